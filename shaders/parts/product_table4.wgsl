// Role products: 64 weights of each of four columns in codes of a table (see weight_table4), k in runs of 64 and these
// within one block, times as many activations; the magnitude after the sum. The table is loaded once for all of them: lane i
// of the eight of a subgroup has entries i and i + 8, and each code gets its own by subgroupShuffle.

// 16 weights in two words, the first of a byte in its high bits.
fn product_sixteen(at: u32, table: vec2<f32>, x: mat4x4<f32>, sum: vec4<f32>) -> vec4<f32> {
    let v = w[at];
    let u = w[at + 1u];
    let v_high = unpack4xU8((v >> 4u) & 0x0f0f0f0fu);
    let v_low = unpack4xU8(v & 0x0f0f0f0fu);
    let u_high = unpack4xU8((u >> 4u) & 0x0f0f0f0fu);
    let u_low = unpack4xU8(u & 0x0f0f0f0fu);
    var s = fma(x[0], lane_table(vec4<u32>(v_high.x, v_low.x, v_high.y, v_low.y), table), sum);
    s = fma(x[1], lane_table(vec4<u32>(v_high.z, v_low.z, v_high.w, v_low.w), table), s);
    s = fma(x[2], lane_table(vec4<u32>(u_high.x, u_low.x, u_high.y, u_low.y), table), s);
    return fma(x[3], lane_table(vec4<u32>(u_high.z, u_low.z, u_high.w, u_low.w), table), s);
}

fn product_column(first: u32, table: vec2<f32>, a: mat4x4<f32>, b: mat4x4<f32>, c: mat4x4<f32>, d: mat4x4<f32>) -> f32 {
    let at = first / 8u;
    var s = product_sixteen(at, table, a, vec4<f32>());
    s = product_sixteen(at + 2u, table, b, s);
    s = product_sixteen(at + 4u, table, c, s);
    s = product_sixteen(at + 6u, table, d, s);
    return w_magnitude(first / W_BLOCK) * ((s.x + s.y) + (s.z + s.w));
}

fn w_products(
    run: u32, lane: u32, col: vec4<u32>, a: mat4x4<f32>, b: mat4x4<f32>, c: mat4x4<f32>, d: mat4x4<f32>
) -> vec4<f32> {
    let table = vec2<f32>(w_entry(lane), w_entry(8u + lane));
    let first = col * params.inner + 64u * run;
    return vec4<f32>(
        product_column(first.x, table, a, b, c, d),
        product_column(first.y, table, a, b, c, d),
        product_column(first.z, table, a, b, c, d),
        product_column(first.w, table, a, b, c, d),
    );
}
