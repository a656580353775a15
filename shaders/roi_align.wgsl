// Regions of planes brought to one size (He et al. 2017): a region is cut into y_y x y_x bins, a bin is the average (or
// with MAX the maximum) of bilinear samples on a grid within it:
//
//     y[r, c, py, px] = 1 / n * sum over (sy, sx) of x[batch[r], c] at first + (p + (s + 1/2) / samples) * bin
//
// A region is (x1, y1, x2, y2) times `scale`, minus 1/2 with ALIGNED; without it, it is at least one cell wide. There
// are `samples` along each axis of a bin, or where that is 0 ceil(region / bins). Samples more than a cell outside
// are 0. The maximum is over the four weighted neighbours of all samples, as ONNX defines it. A lane computes one
// cell of y; batch indices are clamped.
//
// Parts: elem (Elem, the activation type)

struct Params {
    items: u32, // cells of y
    images: u32,
    channels: u32,
    x_y: u32,
    x_x: u32,
    y_y: u32,
    y_x: u32,
    samples: u32,
    scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Elem>; // [images, channels, x_y, x_x]
@group(0) @binding(2) var<storage, read> regions: array<f32>; // [regions, 4]
@group(0) @binding(3) var<storage, read> batch: array<u32>; // [regions]
@group(0) @binding(4) var<storage, read_write> y: array<Elem>; // [regions, channels, y_y, y_x]

override LANES: u32 = 64;
override ALIGNED: u32 = 1u;
override MAX: u32 = 0u;

// Most samples along an axis of a bin, whatever the region says.
const MOST: f32 = 1024.0;

// Two neighbours along an axis with their weights; weights of 0 where the sample lies outside.
struct Pair {
    low: u32,
    high: u32,
    weights: vec2<f32>,
}

fn pair(at: f32, extent: u32) -> Pair {
    let last = extent - 1u;
    if !(at >= -1.0 && at <= f32(extent)) {
        return Pair(0u, 0u, vec2<f32>(0.0));
    }
    let v = max(at, 0.0);
    let low = min(u32(v), last);
    let share = select(v - f32(low), 0.0, low == last);
    return Pair(low, min(low + 1u, last), vec2<f32>(1.0 - share, share));
}

// The four neighbours of a sample, weighted.
fn corners(plane: u32, row: Pair, col: Pair) -> vec4<f32> {
    let top = (plane * params.x_y + row.low) * params.x_x;
    let bottom = (plane * params.x_y + row.high) * params.x_x;
    let cells = vec4<f32>(f32(x[top + col.low]), f32(x[top + col.high]), f32(x[bottom + col.low]), f32(x[bottom + col.high]));
    return cells * vec4<f32>(row.weights.x * col.weights, row.weights.y * col.weights);
}

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let item = (group.x + group.y * groups.x) * LANES + lane;
    if item >= params.items {
        return;
    }
    let line = item / params.y_x;
    let bin = vec2<f32>(f32(item % params.y_x), f32(line % params.y_y));
    let region = line / params.y_y / params.channels;
    let image = min(batch[region], params.images - 1u);
    let plane = image * params.channels + line / params.y_y % params.channels;

    let half = select(0.0, 0.5, ALIGNED == 1u);
    let first = vec2<f32>(regions[4u * region], regions[4u * region + 1u]) * params.scale - half;
    let end = vec2<f32>(regions[4u * region + 2u], regions[4u * region + 3u]) * params.scale - half;
    let size = max(end - first, vec2<f32>(select(1.0, -3e38, ALIGNED == 1u)));
    let bin_size = size / vec2<f32>(f32(params.y_x), f32(params.y_y));
    let wanted = select(vec2<f32>(f32(params.samples)), ceil(bin_size), params.samples == 0u);
    let samples = clamp(wanted, vec2<f32>(0.0), vec2<f32>(MOST));

    var sum = 0.0;
    var best = -3.4028234e38;
    for (var sy = 0.0; sy < samples.y; sy += 1.0) {
        let row = pair(first.y + bin.y * bin_size.y + (sy + 0.5) * bin_size.y / samples.y, params.x_y);
        var line_sum = 0.0;
        for (var sx = 0.0; sx < samples.x; sx += 1.0) {
            let col = pair(first.x + bin.x * bin_size.x + (sx + 0.5) * bin_size.x / samples.x, params.x_x);
            let v = corners(plane, row, col);
            line_sum += (v.x + v.y) + (v.z + v.w);
            best = max(best, max(max(v.x, v.y), max(v.z, v.w)));
        }
        sum += line_sum;
    }
    let none = samples.x * samples.y == 0.0;
    y[item] = Elem(select(select(sum / (samples.x * samples.y), best, MAX == 1u), 0.0, none));
}
