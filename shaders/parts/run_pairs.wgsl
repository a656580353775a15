// Role run: 32 neighbouring elements of a key or value row, the same for every lane. `at` is the row's first element,
// `d` the first of the 32, a multiple of 32; beyond HEAD_DIM of k and VALUE_DIM of v the last four are repeated.
//
// For heads of whole quads that begin at whole quads: lane i loads quad i, and the subgroup shares them. Relies on LANES = 8 and subgroups of exactly 8 lanes; call in uniform control flow.

// Eight by eight.
struct Run {
    a: mat2x4<f32>,
    b: mat2x4<f32>,
    c: mat2x4<f32>,
    d: mat2x4<f32>,
}

fn run_k(at: u32, d: u32, lane: u32) -> Run {
    return run_share(cache_k_quad(at, d + 4u * lane, HEAD_DIM));
}

fn run_v(at: u32, d: u32, lane: u32) -> Run {
    return run_share(cache_v_quad(at, d + 4u * lane, VALUE_DIM));
}

fn run_share(x: vec4<f32>) -> Run {
    return Run(
        mat2x4<f32>(subgroupBroadcast(x, 0u), subgroupBroadcast(x, 1u)),
        mat2x4<f32>(subgroupBroadcast(x, 2u), subgroupBroadcast(x, 3u)),
        mat2x4<f32>(subgroupBroadcast(x, 4u), subgroupBroadcast(x, 5u)),
        mat2x4<f32>(subgroupBroadcast(x, 6u), subgroupBroadcast(x, 7u)),
    );
}
