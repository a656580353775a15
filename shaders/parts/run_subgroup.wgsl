// Role run: 32 neighbouring elements of a key or value row, the same for every lane. `at` is the row's first element,
// `d` the first of the 32, a multiple of 32; octets beyond HEAD_DIM of k and VALUE_DIM of v are left out, and beyond the
// last element it is repeated.
//
// Lane i loads every eighth element, and the subgroup shares them: one load in place of eight, where a load costs the
// same at one address as at eight. Relies on LANES = 8 and subgroups of at least 8 lanes; call in uniform control flow.

// Eight by eight.
struct Run {
    a: mat2x4<f32>,
    b: mat2x4<f32>,
    c: mat2x4<f32>,
    d: mat2x4<f32>,
}

fn run_k(at: u32, d: u32, lane: u32) -> Run {
    var run: Run;
    run.a = run_octet_k(at, d, lane);
    if d + 8u < HEAD_DIM {
        run.b = run_octet_k(at, d + 8u, lane);
    }
    if d + 16u < HEAD_DIM {
        run.c = run_octet_k(at, d + 16u, lane);
    }
    if d + 24u < HEAD_DIM {
        run.d = run_octet_k(at, d + 24u, lane);
    }
    return run;
}

fn run_v(at: u32, d: u32, lane: u32) -> Run {
    var run: Run;
    run.a = run_octet_v(at, d, lane);
    if d + 8u < VALUE_DIM {
        run.b = run_octet_v(at, d + 8u, lane);
    }
    if d + 16u < VALUE_DIM {
        run.c = run_octet_v(at, d + 16u, lane);
    }
    if d + 24u < VALUE_DIM {
        run.d = run_octet_v(at, d + 24u, lane);
    }
    return run;
}

fn run_octet_k(at: u32, d: u32, lane: u32) -> mat2x4<f32> {
    return run_share(cache_k(at + min(d + lane, HEAD_DIM - 1u)));
}

fn run_octet_v(at: u32, d: u32, lane: u32) -> mat2x4<f32> {
    return run_share(cache_v(at + min(d + lane, VALUE_DIM - 1u)));
}

fn run_share(x: f32) -> mat2x4<f32> {
    return mat2x4<f32>(
        subgroupBroadcast(x, 0u), subgroupBroadcast(x, 1u), subgroupBroadcast(x, 2u), subgroupBroadcast(x, 3u),
        subgroupBroadcast(x, 4u), subgroupBroadcast(x, 5u), subgroupBroadcast(x, 6u), subgroupBroadcast(x, 7u),
    );
}
