// Samples of planes at places that a grid gives (Jaderberg et al. 2015), over two or three axes:
//
//     y[b, c, p] = x[b, c] at the place (grid[b, p] + 1) / 2 * (extent - 1)   with CORNERS, else
//                             ((grid[b, p] + 1) * extent - 1) / 2
//
// MODE says how a cell comes from its neighbours: 0 the nearest (ties to even), 1 linear, 2 cubic (Keys 1981, a = -3/4;
// two axes only). PADDING says what lies outside: 0 zeros, 1 the border, 2 the reflection at the border (between
// the centres of the outer cells with CORNERS, else between their edges). Coordinates of the grid come fastest
// axis first. A lane computes one cell of y.
//
// Parts: elem (Elem, the activation type)

struct Params {
    items: u32, // cells of y
    channels: u32,
    x_z: u32,
    x_y: u32,
    x_x: u32,
    places: u32, // of one image
    axes: u32, // coordinates of a place: 2 or 3
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Elem>; // [images, channels, x_z, x_y, x_x]
@group(0) @binding(2) var<storage, read> grid: array<f32>; // [images, places, axes]
@group(0) @binding(3) var<storage, read_write> y: array<Elem>; // [images, channels, places]

override LANES: u32 = 64;
override MODE: u32 = 1u;
override PADDING: u32 = 0u;
override CORNERS: u32 = 0u;

// Beyond any extent: what is further away is as far outside.
const FAR: f32 = 1e6;

// `v` folded into low .. high.
fn reflected(v: f32, low: f32, high: f32) -> f32 {
    let range = high - low;
    if range <= 0.0 {
        return low;
    }
    let away = abs(v - low);
    let turns = floor(away / range);
    let rest = away - turns * range;
    return select(low + rest, high - rest, u32(turns) % 2u == 1u);
}

// The place of a coordinate along an axis of `extent` cells. Places beyond a border stay there: their neighbours are
// the border's cells.
fn place(coordinate: f32, extent: u32) -> f32 {
    let size = f32(extent);
    let inside = select(((coordinate + 1.0) * size - 1.0) / 2.0, (coordinate + 1.0) / 2.0 * (size - 1.0), CORNERS == 1u);
    let at = clamp(inside, -FAR, FAR);
    let edge = select(0.5, 0.0, CORNERS == 1u);
    if PADDING == 2u && (at < -edge || at > size - 1.0 + edge) {
        return reflected(at, -edge, size - 1.0 + edge);
    }
    return at;
}

// The cell that stands for cell `i` of an axis; extent where there is none.
fn neighbour(i: f32, extent: u32) -> u32 {
    let last = f32(extent) - 1.0;
    if i >= 0.0 && i <= last {
        return u32(i);
    }
    if PADDING == 0u {
        return extent;
    }
    let edge = select(0.5, 0.0, CORNERS == 1u);
    let stand_in = select(i, reflected(i, -edge, last + edge), PADDING == 2u);
    return u32(clamp(stand_in, 0.0, last));
}

fn cell(plane: u32, z: f32, row: f32, col: f32) -> f32 {
    let at = vec3<u32>(neighbour(z, params.x_z), neighbour(row, params.x_y), neighbour(col, params.x_x));
    let inside = all(at < vec3<u32>(params.x_z, params.x_y, params.x_x));
    let index = ((plane * params.x_z + at.x) * params.x_y + at.y) * params.x_x + at.z;
    return select(0.0, f32(x[select(0u, index, inside)]), inside);
}

fn linear(plane: u32, z: f32, row: f32, col: f32) -> f32 {
    let top = floor(row);
    let left = floor(col);
    let down = row - top;
    let right = col - left;
    let above = mix(cell(plane, z, top, left), cell(plane, z, top, left + 1.0), right);
    let below = mix(cell(plane, z, top + 1.0, left), cell(plane, z, top + 1.0, left + 1.0), right);
    return mix(above, below, down);
}

// Weights of the cells at -1, 0, 1, 2 for a place `t` after cell 0.
fn cubic_weights(t: f32) -> vec4<f32> {
    let a = -0.75;
    let near = vec2<f32>(t, 1.0 - t);
    let far = near + 1.0;
    let inner = ((a + 2.0) * near - (a + 3.0)) * near * near + 1.0;
    let outer = ((a * far - 5.0 * a) * far + 8.0 * a) * far - 4.0 * a;
    return vec4<f32>(outer.x, inner.x, inner.y, outer.y);
}

fn cubic(plane: u32, row: f32, col: f32) -> f32 {
    let top = floor(row);
    let left = floor(col);
    let down = cubic_weights(row - top);
    let right = cubic_weights(col - left);
    var sum = 0.0;
    for (var i = 0u; i < 4u; i++) {
        let line = top + f32(i) - 1.0;
        sum += down[i] * dot(right, vec4<f32>(
            cell(plane, 0.0, line, left - 1.0),
            cell(plane, 0.0, line, left),
            cell(plane, 0.0, line, left + 1.0),
            cell(plane, 0.0, line, left + 2.0),
        ));
    }
    return sum;
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
    let plane = item / params.places;
    let at = (plane / params.channels * params.places + item % params.places) * params.axes;
    let col = place(grid[at], params.x_x);
    let row = place(grid[at + 1u], params.x_y);
    var z = 0.0;
    if params.axes == 3u {
        z = place(grid[at + 2u], params.x_z);
    }
    var value = 0.0;
    if MODE == 0u {
        value = cell(plane, round(z), round(row), round(col));
    } else if MODE == 2u {
        value = cubic(plane, row, col);
    } else {
        let front = floor(z);
        value = linear(plane, front, row, col);
        if params.axes == 3u {
            value = mix(value, linear(plane, front + 1.0, row, col), z - front);
        }
    }
    y[item] = Elem(value);
}
