// Pooling over up to three axes, chosen by the override OP, over the cells v of a window that lie inside x:
//
//     0 average  sum v / how many     1 maximum  max v     2 norm  (sum |v|^power)^(1 / power)
//
// The window of place p begins at p stride - pad and takes every dilation-th cell; with SPREAD it takes the cells from
// floor(p x / y) to ceil((p + 1) x / y) instead, x and y being the extents (adaptive pooling). The average counts the
// cells inside, or with COUNT_PADDING also those of the padding. A lane computes one cell of y.
//
// Parts: number (Stored, Number), place (place_put)

struct Params {
    items: u32, // cells of y
    x_z: u32, // extents of x
    x_y: u32,
    x_x: u32,
    y_z: u32, // extents of y
    y_y: u32,
    y_x: u32,
    window_z: u32,
    window_y: u32,
    window_x: u32,
    stride_z: u32,
    stride_y: u32,
    stride_x: u32,
    dilation_z: u32,
    dilation_y: u32,
    dilation_x: u32,
    pad_z: u32,
    pad_y: u32,
    pad_x: u32,
    pad_end_z: u32,
    pad_end_y: u32,
    pad_end_x: u32,
    power: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Stored>; // [planes, x_z, x_y, x_x]
@group(0) @binding(2) var<storage, read_write> y: array<Stored>; // [planes, y_z, y_y, y_x]

override LANES: u32 = 64;
override OP: u32 = 0u;
override SPREAD: u32 = 0u;
override COUNT_PADDING: u32 = 0u;

// Cells of a window along one axis: first, distance, end, all from the first cell of the padding; how many count.
struct Span {
    first: u32,
    step: u32,
    end: u32,
    counted: u32,
}

// Steps of `step` from `first` that stay below `end`.
fn steps(first: u32, step: u32, end: u32) -> u32 {
    return select(0u, (end - first + step - 1u) / step, first < end);
}

fn span(p: u32, x_size: u32, y_size: u32, window: u32, stride: u32, dilation: u32, pad: u32, pad_end: u32) -> Span {
    if SPREAD == 1u {
        let first = p * x_size / y_size;
        let end = ((p + 1u) * x_size + y_size - 1u) / y_size;
        return Span(first, 1u, end, end - first);
    }
    let start = p * stride;
    let end = start + (window - 1u) * dilation + 1u;
    // The first cell inside, in steps from the start.
    let skip = select(0u, (pad - start + dilation - 1u) / dilation, start < pad);
    let first = start + skip * dilation;
    let last = min(end, pad + x_size);
    let all = steps(start, dilation, min(end, pad + x_size + pad_end));
    let own = Span(first, dilation, last, select(steps(first, dilation, last), all, COUNT_PADDING == 1u));
    return own;
}

fn raised(v: f32) -> f32 {
    var product = v;
    for (var i = 1u; i < params.power; i++) {
        product *= v;
    }
    return product;
}

// s^(1 / power): by exponent and logarithm, then a step of Newton's method.
fn root(s: f32) -> f32 {
    if params.power == 1u || s == 0.0 {
        return s;
    }
    let p = f32(params.power);
    let guess = exp2(log2(s) / p);
    return guess + guess * (s / raised(guess) - 1.0) / p;
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
    let layer = line / params.y_y;
    let in_x = span(item % params.y_x, params.x_x, params.y_x, params.window_x, params.stride_x, params.dilation_x,
        params.pad_x, params.pad_end_x);
    let in_y = span(line % params.y_y, params.x_y, params.y_y, params.window_y, params.stride_y, params.dilation_y,
        params.pad_y, params.pad_end_y);
    let in_z = span(layer % params.y_z, params.x_z, params.y_z, params.window_z, params.stride_z, params.dilation_z,
        params.pad_z, params.pad_end_z);
    let plane = layer / params.y_z * params.x_z;
    let pads = select(vec3<u32>(params.pad_z, params.pad_y, params.pad_x), vec3<u32>(0u), SPREAD == 1u);

    var sum = 0.0;
    var best = Number(0);
    var found = 0xffffffffu;
    for (var z = in_z.first; z < in_z.end; z += in_z.step) {
        for (var row = in_y.first; row < in_y.end; row += in_y.step) {
            let start = ((plane + z - pads.x) * params.x_y + row - pads.y) * params.x_x - pads.z;
            var line_sum = 0.0;
            for (var col = in_x.first; col < in_x.end; col += in_x.step) {
                let v = Number(x[start + col]);
                if OP == 1u {
                    if found == 0xffffffffu || v > best {
                        best = v;
                        found = start + col;
                    }
                } else if OP == 2u {
                    line_sum += raised(abs(f32(v)));
                } else {
                    line_sum += f32(v);
                }
            }
            sum += line_sum;
        }
    }
    if OP == 1u {
        y[item] = Stored(best);
    } else if OP == 2u {
        y[item] = Stored(Number(root(sum)));
    } else {
        y[item] = Stored(Number(sum / f32(in_z.counted * in_y.counted * in_x.counted)));
    }
    place_put(item, found);
}
