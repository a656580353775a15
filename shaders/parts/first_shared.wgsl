// Role first: the first entry of each of COLS lines in lexical order, by a tree in workgroup memory.
//
// A workgroup takes COLS lines: lane % COLS is the line, lane / COLS says which of the LANES / COLS slices of it. An
// entry is a key of two words, high word first, and an index that tells equal keys apart. Promise: every lane gets the
// first entry of its line, for COLS and LANES that are powers of two. Contains barriers: call it in uniform control
// flow.

override COLS: u32 = 1u;

var<workgroup> first_cells: array<vec3<u32>, LANES>;

// What comes after every other entry.
const FIRST_NONE: vec3<u32> = vec3<u32>(0xffffffffu);

fn before(a: vec3<u32>, b: vec3<u32>) -> bool {
    if a.x != b.x {
        return a.x < b.x;
    }
    if a.y != b.y {
        return a.y < b.y;
    }
    return a.z < b.z;
}

fn group_first(entry: vec3<u32>, lane: u32) -> vec3<u32> {
    if COLS == LANES {
        return entry;
    }
    first_cells[lane] = entry;
    workgroupBarrier();
    for (var width = LANES / 2u; width >= COLS; width >>= 1u) {
        if lane < width && before(first_cells[lane + width], first_cells[lane]) {
            first_cells[lane] = first_cells[lane + width];
        }
        workgroupBarrier();
    }
    let first = first_cells[lane % COLS];
    workgroupBarrier();
    return first;
}
