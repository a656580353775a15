// Role moments: mean and variance of rows, in one pass.
//
// Each lane keeps, by stream of the role rows, the count, mean and squared deviations of the cells it has seen, and
// merges into them those of each new quad (Chan, Golub & LeVeque 1979). No large sums are subtracted: an offset
// costs no more digits than in two passes. Contains barriers, those of the role reduce: call it in uniform control
// flow.

// By stream. Streams of one row have equal moments.
struct Moments {
    mean: vec4<f32>,
    variance: vec4<f32>, // sum of squared deviations / cols
}

// Of each stream, the sum of `v` weighted by `w`.
fn moments_sum(v: mat4x4<f32>, w: mat4x4<f32>) -> vec4<f32> {
    return vec4<f32>(dot(v[0], w[0]), dot(v[1], w[1]), dot(v[2], w[2]), dot(v[3], w[3]));
}

// Of each stream, the weighted squared deviations of `v` from `mean`.
fn moments_deviation(v: mat4x4<f32>, w: mat4x4<f32>, mean: vec4<f32>) -> vec4<f32> {
    let d = mat4x4<f32>(v[0] - mean.x, v[1] - mean.y, v[2] - mean.z, v[3] - mean.w);
    return moments_sum(mat4x4<f32>(d[0] * d[0], d[1] * d[1], d[2] * d[2], d[3] * d[3]), w);
}

fn row_moments(row: u32, lane: u32) -> Moments {
    var count = vec4<f32>(0.0);
    var mean = vec4<f32>(0.0);
    var squares = vec4<f32>(0.0);
    for (var i = lane; i < blocks(); i += LANES) {
        let v = block_load(row, i);
        let w = block_weight(row, i);
        let more = vec4<f32>(1.0) * w;
        let block_mean = moments_sum(v, w) / max(more, vec4<f32>(1.0));
        let step = block_mean - mean;
        let share = more / max(count + more, vec4<f32>(1.0));
        mean += step * share;
        squares += moments_deviation(v, w, block_mean) + step * step * (count * share);
        count += more;
    }
    let cols = f32(params.cols);
    let center = merge_sum(group_sum4(count * mean, lane)) / cols;
    let apart = mean - center;
    return Moments(center, merge_sum(group_sum4(squares + count * apart * apart, lane)) / cols);
}
