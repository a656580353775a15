// Role sweep: rows as four streams of quads (role rows), each cell loaded twice.
//
// Each lane strides over blocks, one quad of each stream: once for maximum and sum, once to write. The sum is kept
// relative to the largest cell seen so far and rescaled when a larger one comes (Milakov & Gimelshein 2018), so
// nothing overflows. Calls the role reduce, so barriers are as there.

// Of each stream, the weighted sum of exp(v - top).
fn block_exp_sum(v: mat4x4<f32>, w: mat4x4<f32>, top: vec4<f32>) -> vec4<f32> {
    return vec4<f32>(
        dot(exp_below(v[0], top.x), w[0]),
        dot(exp_below(v[1], top.y), w[1]),
        dot(exp_below(v[2], top.z), w[2]),
        dot(exp_below(v[3], top.w), w[3]),
    );
}

// exp(old - now) for old <= now; exactly 1 where nothing changed, whatever exp(0) is.
fn rescale(old: vec4<f32>, now: vec4<f32>) -> vec4<f32> {
    return select(exp(max(old - now, vec4<f32>(FAR))), vec4<f32>(1.0), old == now);
}

fn sweep(row: u32, lane: u32) {
    var top = vec4<f32>(LOWEST);
    var sum = vec4<f32>(0.0);
    for (var i = lane; i < blocks(); i += LANES) {
        let v = block_load(row, i);
        let w = block_weight(row, i);
        let larger = max(top, block_max(v, w));
        sum = sum * rescale(top, larger) + block_exp_sum(v, w, larger);
        top = larger;
    }
    let row_top = merge_max(group_max4(top, lane));
    let weight = row_weight(merge_sum(group_sum4(sum * rescale(top, row_top), lane)));
    for (var i = lane; i < blocks(); i += LANES) {
        let v = block_load(row, i);
        block_put(row, i, mat4x4<f32>(
            finished(v[0], row_top.x, weight.x),
            finished(v[1], row_top.y, weight.y),
            finished(v[2], row_top.z, weight.z),
            finished(v[3], row_top.w, weight.w),
        ));
    }
}
