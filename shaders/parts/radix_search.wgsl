// Role search: the token at which a running sum reaches a goal, tokens being ordered by (z, index), without sorting.
//
// The 21 bits of z, then those of the index, are found 7 at a time: a pass over the tokens sums into 128 bins, one
// a value of the next digit, and one lane adds the bins up. After the first digit the tokens that can still matter
// are listed in workgroup memory, if they fit; later passes, also of later searches, visit the list only.
//
// Uses Row, depth_of(row, i) and params.cols of the kernel, weight, and wide_*. Contains barriers: call search and
// mass in uniform control flow, search_start before them.

struct Found {
    z: u32,
    index: u32,
    below: vec2<u32>, // sum over the tokens before, in the order (z, index)
    upto: vec2<u32>, // sum over the tokens up to this one, or up to its z if the index was not searched
}

const LIST: u32 = 1024u;

var<workgroup> search_found: Found;
var<workgroup> search_list: array<u32, LIST>;
var<workgroup> search_fill: atomic<u32>;
var<workgroup> search_listed: u32; // 0: no list, all tokens

fn search_start(lane: u32) {
    if lane == 0u {
        search_listed = 0u;
    }
    workgroupBarrier();
}

fn search_token(i: u32, listed: u32) -> u32 {
    return select(i, search_list[min(i, LIST - 1u)], listed != 0u);
}

// Sum of the weights of the tokens whose z is at most `limit`.
fn mass(row: Row, limit: u32, lane: u32) -> vec2<u32> {
    let listed = workgroupUniformLoad(&search_listed);
    wide_clear(lane);
    var sum = vec2<u32>(0u);
    for (var i = lane; i < select(listed, params.cols, listed == 0u); i += LANES) {
        let z = depth_of(row, search_token(i, listed));
        if z <= limit {
            sum = wide_add(sum, vec2<u32>(weight(z), 0u));
        }
    }
    wide_tally(0u, sum);
    workgroupBarrier();
    if lane == 0u {
        search_found.upto = wide_bin(0u);
    }
    return workgroupUniformLoad(&search_found).upto;
}

// Lists the tokens whose z is from `low` to `high`, if they fit.
fn search_narrow(row: Row, low: u32, high: u32, lane: u32) {
    if lane == 0u {
        atomicStore(&search_fill, 0u);
    }
    workgroupBarrier();
    for (var i = lane; i < params.cols; i += LANES) {
        let z = depth_of(row, i);
        if z >= low && z <= high {
            let place = atomicAdd(&search_fill, 1u);
            if place < LIST {
                search_list[place] = i;
            }
        }
    }
    workgroupBarrier();
    if lane == 0u {
        let fill = atomicLoad(&search_fill);
        search_listed = select(0u, fill, fill <= LIST);
    }
    workgroupBarrier();
}

// The first token, of those whose z is at most `limit`, at which the running sum reaches `goal`: a sum of ones if
// `counting`, else of weights. Finds its z alone, as a limit for later searches, or with `last` also its index.
fn search(row: Row, limit: u32, goal: vec2<u32>, counting: bool, last: bool, lane: u32) -> Found {
    var at = Found(0u, 0u, vec2<u32>(0u), vec2<u32>(0u));
    for (var digit = 0u; digit < select(3u, 6u, last); digit++) {
        let shift = 14u - 7u * (digit % 3u);
        let by_index = digit >= 3u;
        let listed = workgroupUniformLoad(&search_listed);
        wide_clear(lane);
        for (var i = lane; i < select(listed, params.cols, listed == 0u); i += LANES) {
            let token = search_token(i, listed);
            let z = depth_of(row, token);
            let bits = select(z, token, by_index);
            let known = select(at.z, at.index, by_index);
            if z <= limit && (!by_index || z == at.z) && ((bits >> shift) >> 7u) == ((known >> shift) >> 7u) {
                wide_tally((bits >> shift) % WIDE_BINS, vec2<u32>(select(weight(z), 1u, counting), 0u));
            }
        }
        workgroupBarrier();
        if lane == 0u {
            search_settle(at, goal, shift, by_index);
        }
        at = workgroupUniformLoad(&search_found);
        if digit == 0u && listed == 0u {
            search_narrow(row, select(0u, at.z, last), min(limit, at.z | 0x3fffu), lane);
        }
    }
    return at;
}

// Adds up the bins until the goal is reached, and notes the digit.
fn search_settle(at: Found, goal: vec2<u32>, shift: u32, by_index: bool) {
    var next = at;
    next.upto = wide_add(at.below, wide_bin(0u));
    var bin = 0u;
    for (; bin < WIDE_BINS - 1u && wide_less(next.upto, goal); bin++) {
        next.below = next.upto;
        next.upto = wide_add(next.upto, wide_bin(bin + 1u));
    }
    next.z |= select(bin << shift, 0u, by_index);
    next.index |= select(0u, bin << shift, by_index);
    search_found = next;
}
