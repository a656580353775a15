// One pass of a resize, in Pillow's fixed point, by channel, along the lines of a picture: its rows or its columns.
//
//     y[out, line] = clamp((2^21 + sum_s weight[out, s] * x[line, s]) >> 22)
//
// A lane walks along two neighbouring lines of x for a run of outputs, four samples a step; LANES lanes walk side by side.
// The outputs that are not finished have a sum each, a slot; a step adds its samples to all slots by the row of weights
// that the host has made for it (`image::Walk`), so a sample is loaded once for all outputs. Samples that are not
// in the picture are steps whose samples have one colour. A line outside `inside_first .. inside_end` is `beyond`.
//
// Parts: pixel (channels of a word, rounding to a word), slots (Slots, Taps, slots_taps), walk (x, Samples,
// walk_begin, walk_samples), step (steps, step_row), lay (y, lay_begin, lay)

struct Params {
    lines: u32, // that this dispatch reads
    laid: u32, // lines that it writes; those beyond `lines` repeat the last
    first: u32, // line of the bound x that is this dispatch's first
    y_line: u32, // line of y that is this dispatch's first; even where lines are laid in pairs
    tiles: u32, // workgroups a run
    runs: u32,
    steps: u32, // rows of steps
    outputs: u32,
    pitch: u32, // words from row to row of x
    samples: u32, // that a line of x has
    y_pitch: u32, // words from row to row of y
    background: u32, // in the order of bytes of x
    beyond: u32, // in the order of bytes of x
    red: u32, // bit position of red in a word of x; blue is at 16 - red
    inside_first: u32, // lines of y
    inside_end: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
// x: 1, in its part
@group(0) @binding(2) var<storage, read> runs: array<vec4<u32>>; // [runs]: first output, first step, steps, unused
// steps: 3, y: 4, each in its part

override LANES: u32 = 64;
// 1 where some samples are not in the picture.
override COLOURS: u32 = 1;
// 1 where some lines are not inside.
override BEYOND: u32 = 1;
// Slots that become free when a step finishes outputs: 1, 2, 4, or 8 for all of them. Fewer are finished at the end of a
// run only.
override FINISHED: u32 = 4;

// The words of a step: weights and its head (role slots), in at most nine quads.
struct Row {
    a: vec4<i32>,
    b: vec4<i32>,
    c: vec4<i32>,
    d: vec4<i32>,
    e: vec4<i32>,
    f: vec4<i32>,
    g: vec4<i32>,
    h: vec4<i32>,
    i: vec4<i32>,
}

struct Sums {
    red: Slots,
    green: Slots,
    blue: Slots,
}

fn sums_add(sums: Sums, weights: Slots, v: vec3<i32>) -> Sums {
    return Sums(
        slots_add(sums.red, weights, v.x),
        slots_add(sums.green, weights, v.y),
        slots_add(sums.blue, weights, v.z),
    );
}

// Four samples.
fn sums_step(sums: Sums, taps: Taps, words: vec4<u32>, shifts: vec3<u32>) -> Sums {
    let a = sums_add(sums, taps.a, pixel_channels(words.x, shifts));
    let b = sums_add(a, taps.b, pixel_channels(words.y, shifts));
    let c = sums_add(b, taps.c, pixel_channels(words.z, shifts));
    return sums_add(c, taps.d, pixel_channels(words.w, shifts));
}

fn sums_next(sums: Sums) -> Sums {
    return Sums(slots_next(sums.red), slots_next(sums.green), slots_next(sums.blue));
}

// The word of the first slot.
fn sums_word(sums: Sums, inside: bool, beyond: u32) -> u32 {
    let sum = vec3<i32>(slots_first(sums.red), slots_first(sums.green), slots_first(sums.blue));
    let word = pixel_word(sum + PIXEL_HALF);
    if BEYOND == 1u {
        return select(beyond, word, inside);
    }
    return word;
}

// What does not change along two lines: read once, as a uniform that is read in a loop which also stores is read each time.
struct Ends {
    laying: Laying,
    last: u32, // output
    inside: vec2<bool>,
    beyond: u32, // as a word of y
}

// The first slots, as the output that is `i` behind `out`, if as many are finished.
fn finish(i: i32, finished: i32, out: u32, ends: Ends, a: Sums, b: Sums) {
    if i < finished {
        let near = sums_word(a, ends.inside.x, ends.beyond);
        let far = sums_word(b, ends.inside.y, ends.beyond);
        lay(ends.laying, min(out + u32(i), ends.last), vec2<u32>(near, far));
    }
}

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let tile = group.x + group.y * groups.x;
    if tile >= params.tiles * params.runs {
        return;
    }
    let run = runs[tile / params.tiles];
    // Lanes beyond the last line walk along it and write nothing.
    let line = 2u * ((tile % params.tiles) * LANES + lane);
    let lines = min(vec2<u32>(line, line + 1u), vec2<u32>(params.lines - 1u));
    let y_lines = params.y_line + lines;
    let inside = (y_lines >= vec2<u32>(params.inside_first)) & (y_lines < vec2<u32>(params.inside_end));
    let shifts = vec3<u32>(params.red, 8u, 16u - params.red);
    let beyond = pixel_word(pixel_channels(params.beyond, shifts) << vec3<u32>(22u));
    let ends = Ends(lay_begin(line), params.outputs - 1u, inside, beyond);
    let walking = walk_begin(params.first + lines);
    var a: Sums;
    var b: Sums;
    var out = run.x;
    let end = min(run.y + run.z, params.steps);
    for (var step = run.y; step < end; step++) {
        let taps = slots_taps(step_row(step, lane));
        if COLOURS == 1u && taps.at < 0 {
            let colour = vec4<u32>(select(params.background, params.beyond, taps.at < -1));
            a = sums_step(a, taps, colour, shifts);
            b = sums_step(b, taps, colour, shifts);
        } else {
            let words = walk_samples(walking, u32(taps.at));
            a = sums_step(a, taps, words.near, shifts);
            b = sums_step(b, taps, words.far, shifts);
        }
        if taps.finished > 0 {
            // All of them in a row: what is not a loop moves nothing.
            finish(0, taps.finished, out, ends, a, b);
            a = sums_next(a);
            b = sums_next(b);
            if FINISHED > 1u {
                finish(1, taps.finished, out, ends, a, b);
                a = sums_next(a);
                b = sums_next(b);
            }
            if FINISHED > 2u {
                finish(2, taps.finished, out, ends, a, b);
                a = sums_next(a);
                b = sums_next(b);
                finish(3, taps.finished, out, ends, a, b);
                a = sums_next(a);
                b = sums_next(b);
            }
            if FINISHED > 4u {
                finish(4, taps.finished, out, ends, a, b);
                a = sums_next(a);
                b = sums_next(b);
                finish(5, taps.finished, out, ends, a, b);
                a = sums_next(a);
                b = sums_next(b);
                finish(6, taps.finished, out, ends, a, b);
                a = sums_next(a);
                b = sums_next(b);
                finish(7, taps.finished, out, ends, a, b);
                a = sums_next(a);
                b = sums_next(b);
            }
            out += u32(taps.finished);
        }
    }
}
