// Role attend: a tile of queries, for adapters that run a workgroup as one vector unit of a CPU.
//
// A lane owns four neighbouring queries of the tile: their q and their sums stay in registers, in blocks of 4 x 4
// with the queries as rows and four dimensions as columns. Keys come one by one as runs of 32 elements that all lanes share (role run);
// after four keys the softmax state is brought up to date once. No workgroup memory, no barriers.
// Relies on LANES = 8 = TILE / 4 and HEAD_DIM, VALUE_DIM <= 128; the lines beyond them fall away when they are set.

// s + the dot products of four queries with a key, over four dimensions.
fn attend_dots(q: mat4x4<f32>, k: vec4<f32>, s: vec4<f32>) -> vec4<f32> {
    return fma(q[3], vec4<f32>(k.w), fma(q[2], vec4<f32>(k.z), fma(q[1], vec4<f32>(k.y), fma(q[0], vec4<f32>(k.x), s))));
}

// The sums of four queries over four dimensions, scaled, plus two values with their weights.
fn attend_add(sum: mat4x4<f32>, scale: vec4<f32>, w: mat2x4<f32>, v: vec4<f32>, u: vec4<f32>) -> mat4x4<f32> {
    return mat4x4<f32>(
        fma(w[1], u.xxxx, fma(w[0], v.xxxx, sum[0] * scale)),
        fma(w[1], u.yyyy, fma(w[0], v.yyyy, sum[1] * scale)),
        fma(w[1], u.zzzz, fma(w[0], v.zzzz, sum[2] * scale)),
        fma(w[1], u.wwww, fma(w[0], v.wwww, sum[3] * scale)),
    );
}

// Dimension d of four queries, scaled; 0 beyond HEAD_DIM.
fn attend_q_column(at: vec4<u32>, d: u32) -> vec4<f32> {
    if d >= HEAD_DIM {
        return vec4<f32>();
    }
    return vec4<f32>(f32(q[at.x + d]), f32(q[at.y + d]), f32(q[at.z + d]), f32(q[at.w + d])) * params.scale;
}

fn attend_q(at: vec4<u32>, d: u32) -> mat4x4<f32> {
    return mat4x4<f32>(
        attend_q_column(at, d), attend_q_column(at, d + 1u), attend_q_column(at, d + 2u), attend_q_column(at, d + 3u),
    );
}

fn attend_store_column(at: vec4<u32>, real: vec4<bool>, d: u32, column: vec4<f32>) {
    if d >= VALUE_DIM {
        return;
    }
    for (var r = 0u; r < 4u; r++) {
        if real[r] {
            y[at[r] + d] = Elem(column[r]);
        }
    }
}

fn attend_store(at: vec4<u32>, real: vec4<bool>, d: u32, block: mat4x4<f32>) {
    attend_store_column(at, real, d, block[0]);
    attend_store_column(at, real, d + 1u, block[1]);
    attend_store_column(at, real, d + 2u, block[2]);
    attend_store_column(at, real, d + 3u, block[3]);
}

fn attend_scaled(block: mat4x4<f32>, scale: vec4<f32>) -> mat4x4<f32> {
    return mat4x4<f32>(block[0] * scale, block[1] * scale, block[2] * scale, block[3] * scale);
}

fn attend(tile: Tile, lane: u32) {
    let i = 4u * lane + vec4<u32>(0u, 1u, 2u, 3u);
    let row = tile.q_first + min(i, vec4<u32>(tile.rows - 1u));
    let kv_head = tile.head / params.kv_group;
    let q_at = row * params.q_stride + params.q_offset + tile.head * params.q_head;
    let k_at = tile.k_first * params.k_stride + params.k_offset + kv_head * params.k_head;
    let v_at = tile.k_first * params.v_stride + params.v_offset + kv_head * params.v_head;
    let q0 = attend_q(q_at, 0u); let q1 = attend_q(q_at, 4u);
    let q2 = attend_q(q_at, 8u); let q3 = attend_q(q_at, 12u);
    let q4 = attend_q(q_at, 16u); let q5 = attend_q(q_at, 20u);
    let q6 = attend_q(q_at, 24u); let q7 = attend_q(q_at, 28u);
    let q8 = attend_q(q_at, 32u); let q9 = attend_q(q_at, 36u);
    let q10 = attend_q(q_at, 40u); let q11 = attend_q(q_at, 44u);
    let q12 = attend_q(q_at, 48u); let q13 = attend_q(q_at, 52u);
    let q14 = attend_q(q_at, 56u); let q15 = attend_q(q_at, 60u);
    let q16 = attend_q(q_at, 64u); let q17 = attend_q(q_at, 68u);
    let q18 = attend_q(q_at, 72u); let q19 = attend_q(q_at, 76u);
    let q20 = attend_q(q_at, 80u); let q21 = attend_q(q_at, 84u);
    let q22 = attend_q(q_at, 88u); let q23 = attend_q(q_at, 92u);
    let q24 = attend_q(q_at, 96u); let q25 = attend_q(q_at, 100u);
    let q26 = attend_q(q_at, 104u); let q27 = attend_q(q_at, 108u);
    let q28 = attend_q(q_at, 112u); let q29 = attend_q(q_at, 116u);
    let q30 = attend_q(q_at, 120u); let q31 = attend_q(q_at, 124u);
    var sums: array<mat4x4<f32>, 32>; // constant indices only: they are registers
    let sink = sink_score(tile.head);
    var peak = vec4<f32>(sink);
    var total = vec4<f32>(select(0.0, 1.0, sink > LOWEST));
    let keys = vec2<i32>(keys_from(tile, vec4<i32>(0)).x, keys_to(tile, vec4<i32>(i32(tile.rows) - 1)).x);
    let key_from = keys_from(tile, vec4<i32>(i));
    let key_to = keys_to(tile, vec4<i32>(i));
    for (var first = keys.x; first < keys.y; first += 4) {
        var s0 = vec4<f32>(); var s1 = s0; var s2 = s0; var s3 = s0;
        for (var n = 0; n < 4; n++) {
            let key = min(first + n, tile.k_len - 1);
            let at = k_at + u32(key) * params.k_stride;
            var even = vec4<f32>(); var odd = even;
            if HEAD_DIM > 0u {
                let x = run_k(at, 0u, lane);
                even = attend_dots(q0, x.a[0], even); odd = attend_dots(q1, x.a[1], odd);
                if HEAD_DIM > 8u { even = attend_dots(q2, x.b[0], even); odd = attend_dots(q3, x.b[1], odd); }
                if HEAD_DIM > 16u { even = attend_dots(q4, x.c[0], even); odd = attend_dots(q5, x.c[1], odd); }
                if HEAD_DIM > 24u { even = attend_dots(q6, x.d[0], even); odd = attend_dots(q7, x.d[1], odd); }
            }
            if HEAD_DIM > 32u {
                let x = run_k(at, 32u, lane);
                even = attend_dots(q8, x.a[0], even); odd = attend_dots(q9, x.a[1], odd);
                if HEAD_DIM > 40u { even = attend_dots(q10, x.b[0], even); odd = attend_dots(q11, x.b[1], odd); }
                if HEAD_DIM > 48u { even = attend_dots(q12, x.c[0], even); odd = attend_dots(q13, x.c[1], odd); }
                if HEAD_DIM > 56u { even = attend_dots(q14, x.d[0], even); odd = attend_dots(q15, x.d[1], odd); }
            }
            if HEAD_DIM > 64u {
                let x = run_k(at, 64u, lane);
                even = attend_dots(q16, x.a[0], even); odd = attend_dots(q17, x.a[1], odd);
                if HEAD_DIM > 72u { even = attend_dots(q18, x.b[0], even); odd = attend_dots(q19, x.b[1], odd); }
                if HEAD_DIM > 80u { even = attend_dots(q20, x.c[0], even); odd = attend_dots(q21, x.c[1], odd); }
                if HEAD_DIM > 88u { even = attend_dots(q22, x.d[0], even); odd = attend_dots(q23, x.d[1], odd); }
            }
            if HEAD_DIM > 96u {
                let x = run_k(at, 96u, lane);
                even = attend_dots(q24, x.a[0], even); odd = attend_dots(q25, x.a[1], odd);
                if HEAD_DIM > 104u { even = attend_dots(q26, x.b[0], even); odd = attend_dots(q27, x.b[1], odd); }
                if HEAD_DIM > 112u { even = attend_dots(q28, x.c[0], even); odd = attend_dots(q29, x.c[1], odd); }
                if HEAD_DIM > 120u { even = attend_dots(q30, x.d[0], even); odd = attend_dots(q31, x.d[1], odd); }
            }
            let inside = (vec4<i32>(first + n) >= key_from) & (vec4<i32>(first + n) < key_to);
            let s = select(vec4<f32>(MASKED), sight_score(tile, i, u32(key), even + odd), inside);
            s0 = select(s0, s, n == 0); s1 = select(s1, s, n == 1); s2 = select(s2, s, n == 2); s3 = select(s3, s, n == 3);
        }
        let new_peak = max(max(peak, max(s0, s1)), max(s2, s3));
        var scale = exp2(peak - new_peak);
        peak = new_peak;
        s0 = exp2(s0 - peak); s1 = exp2(s1 - peak); s2 = exp2(s2 - peak); s3 = exp2(s3 - peak);
        total = fma(total, scale, (s0 + s1) + (s2 + s3));
        for (var n = 0; n < 4; n += 2) {
            let last = tile.k_len - 1;
            let at = v_at + vec2<u32>(min(vec2<i32>(first + n) + vec2<i32>(0, 1), vec2<i32>(last))) * params.v_stride;
            let w = mat2x4<f32>(select(s0, s2, n == 2), select(s1, s3, n == 2));
            if VALUE_DIM > 0u {
                let x = run_v(at.x, 0u, lane);
                let z = run_v(at.y, 0u, lane);
                sums[0] = attend_add(sums[0], scale, w, x.a[0], z.a[0]); sums[1] = attend_add(sums[1], scale, w, x.a[1], z.a[1]);
                if VALUE_DIM > 8u { sums[2] = attend_add(sums[2], scale, w, x.b[0], z.b[0]); sums[3] = attend_add(sums[3], scale, w, x.b[1], z.b[1]); }
                if VALUE_DIM > 16u { sums[4] = attend_add(sums[4], scale, w, x.c[0], z.c[0]); sums[5] = attend_add(sums[5], scale, w, x.c[1], z.c[1]); }
                if VALUE_DIM > 24u { sums[6] = attend_add(sums[6], scale, w, x.d[0], z.d[0]); sums[7] = attend_add(sums[7], scale, w, x.d[1], z.d[1]); }
            }
            if VALUE_DIM > 32u {
                let x = run_v(at.x, 32u, lane);
                let z = run_v(at.y, 32u, lane);
                sums[8] = attend_add(sums[8], scale, w, x.a[0], z.a[0]); sums[9] = attend_add(sums[9], scale, w, x.a[1], z.a[1]);
                if VALUE_DIM > 40u { sums[10] = attend_add(sums[10], scale, w, x.b[0], z.b[0]); sums[11] = attend_add(sums[11], scale, w, x.b[1], z.b[1]); }
                if VALUE_DIM > 48u { sums[12] = attend_add(sums[12], scale, w, x.c[0], z.c[0]); sums[13] = attend_add(sums[13], scale, w, x.c[1], z.c[1]); }
                if VALUE_DIM > 56u { sums[14] = attend_add(sums[14], scale, w, x.d[0], z.d[0]); sums[15] = attend_add(sums[15], scale, w, x.d[1], z.d[1]); }
            }
            if VALUE_DIM > 64u {
                let x = run_v(at.x, 64u, lane);
                let z = run_v(at.y, 64u, lane);
                sums[16] = attend_add(sums[16], scale, w, x.a[0], z.a[0]); sums[17] = attend_add(sums[17], scale, w, x.a[1], z.a[1]);
                if VALUE_DIM > 72u { sums[18] = attend_add(sums[18], scale, w, x.b[0], z.b[0]); sums[19] = attend_add(sums[19], scale, w, x.b[1], z.b[1]); }
                if VALUE_DIM > 80u { sums[20] = attend_add(sums[20], scale, w, x.c[0], z.c[0]); sums[21] = attend_add(sums[21], scale, w, x.c[1], z.c[1]); }
                if VALUE_DIM > 88u { sums[22] = attend_add(sums[22], scale, w, x.d[0], z.d[0]); sums[23] = attend_add(sums[23], scale, w, x.d[1], z.d[1]); }
            }
            if VALUE_DIM > 96u {
                let x = run_v(at.x, 96u, lane);
                let z = run_v(at.y, 96u, lane);
                sums[24] = attend_add(sums[24], scale, w, x.a[0], z.a[0]); sums[25] = attend_add(sums[25], scale, w, x.a[1], z.a[1]);
                if VALUE_DIM > 104u { sums[26] = attend_add(sums[26], scale, w, x.b[0], z.b[0]); sums[27] = attend_add(sums[27], scale, w, x.b[1], z.b[1]); }
                if VALUE_DIM > 112u { sums[28] = attend_add(sums[28], scale, w, x.c[0], z.c[0]); sums[29] = attend_add(sums[29], scale, w, x.c[1], z.c[1]); }
                if VALUE_DIM > 120u { sums[30] = attend_add(sums[30], scale, w, x.d[0], z.d[0]); sums[31] = attend_add(sums[31], scale, w, x.d[1], z.d[1]); }
            }
            scale = vec4<f32>(1.0);
        }
    }
    // A query that saw no key kept the lowest peak: its weights were those of masked keys.
    let share = select(vec4<f32>(), 1.0 / total, peak > vec4<f32>(LOWEST));
    let y_at = row * params.y_stride + tile.head * params.y_head;
    let real = i < vec4<u32>(tile.rows);
    attend_store(y_at, real, 0u, attend_scaled(sums[0], share)); attend_store(y_at, real, 4u, attend_scaled(sums[1], share));
    attend_store(y_at, real, 8u, attend_scaled(sums[2], share)); attend_store(y_at, real, 12u, attend_scaled(sums[3], share));
    attend_store(y_at, real, 16u, attend_scaled(sums[4], share)); attend_store(y_at, real, 20u, attend_scaled(sums[5], share));
    attend_store(y_at, real, 24u, attend_scaled(sums[6], share)); attend_store(y_at, real, 28u, attend_scaled(sums[7], share));
    attend_store(y_at, real, 32u, attend_scaled(sums[8], share)); attend_store(y_at, real, 36u, attend_scaled(sums[9], share));
    attend_store(y_at, real, 40u, attend_scaled(sums[10], share)); attend_store(y_at, real, 44u, attend_scaled(sums[11], share));
    attend_store(y_at, real, 48u, attend_scaled(sums[12], share)); attend_store(y_at, real, 52u, attend_scaled(sums[13], share));
    attend_store(y_at, real, 56u, attend_scaled(sums[14], share)); attend_store(y_at, real, 60u, attend_scaled(sums[15], share));
    attend_store(y_at, real, 64u, attend_scaled(sums[16], share)); attend_store(y_at, real, 68u, attend_scaled(sums[17], share));
    attend_store(y_at, real, 72u, attend_scaled(sums[18], share)); attend_store(y_at, real, 76u, attend_scaled(sums[19], share));
    attend_store(y_at, real, 80u, attend_scaled(sums[20], share)); attend_store(y_at, real, 84u, attend_scaled(sums[21], share));
    attend_store(y_at, real, 88u, attend_scaled(sums[22], share)); attend_store(y_at, real, 92u, attend_scaled(sums[23], share));
    attend_store(y_at, real, 96u, attend_scaled(sums[24], share)); attend_store(y_at, real, 100u, attend_scaled(sums[25], share));
    attend_store(y_at, real, 104u, attend_scaled(sums[26], share)); attend_store(y_at, real, 108u, attend_scaled(sums[27], share));
    attend_store(y_at, real, 112u, attend_scaled(sums[28], share)); attend_store(y_at, real, 116u, attend_scaled(sums[29], share));
    attend_store(y_at, real, 120u, attend_scaled(sums[30], share)); attend_store(y_at, real, 124u, attend_scaled(sums[31], share));
}
