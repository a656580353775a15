// Role run: 32 neighbouring elements of a key or value row, the same for every lane. `at` is the row's first element,
// `d` the first of the 32, a multiple of 32; octets beyond HEAD_DIM of k and VALUE_DIM of v are left out, and beyond the
// last element it is repeated.
//
// Loads at addresses that all lanes share.

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
    return mat2x4<f32>(
        run_k_at(at, d), run_k_at(at, d + 1u), run_k_at(at, d + 2u), run_k_at(at, d + 3u),
        run_k_at(at, d + 4u), run_k_at(at, d + 5u), run_k_at(at, d + 6u), run_k_at(at, d + 7u),
    );
}

fn run_octet_v(at: u32, d: u32, lane: u32) -> mat2x4<f32> {
    return mat2x4<f32>(
        run_v_at(at, d), run_v_at(at, d + 1u), run_v_at(at, d + 2u), run_v_at(at, d + 3u),
        run_v_at(at, d + 4u), run_v_at(at, d + 5u), run_v_at(at, d + 6u), run_v_at(at, d + 7u),
    );
}

fn run_k_at(at: u32, d: u32) -> f32 {
    return cache_k(at + min(d, HEAD_DIM - 1u));
}

fn run_v_at(at: u32, d: u32) -> f32 {
    return cache_v(at + min(d, VALUE_DIM - 1u));
}
