// Numbers into a packed weight:
//
//     y = the bytes of the blocks of x, VALUES numbers each, and their magnitudes
//
// A block is a format's unit of neighbouring values that share a scale; where a format has a scale a row, a row. The
// blocks lie in y as they lie in x. A lane takes PACK_STEP neighbouring blocks, which make whole words, and nobody else
// writes to these.
//
// Parts: pack (PACK_STEP, pack_block), stream (bytes into words), and what the first of them names

struct Params {
    blocks: u32,
    values: u32, // of a block
    magnitudes: u32, // word of y where they begin, in layouts of sections
    table: u32, // word of y where the table of codes begins
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>; // [blocks, values]
@group(0) @binding(2) var<storage, read_write> y: array<u32>;

override LANES: u32 = 64;

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let first = ((group.x + group.y * groups.x) * LANES + lane) * PACK_STEP;
    if first >= params.blocks {
        return;
    }
    stream_start(first * pack_bytes() / 4u);
    for (var block = first; block < min(first + PACK_STEP, params.blocks); block++) {
        pack_block(block, block * params.values);
    }
    stream_end();
}
