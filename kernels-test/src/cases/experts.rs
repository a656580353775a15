//! Mixtures of experts: one expert and many, experts without a token, all tokens to one, more than fit a capacity, odd
//! widths; layers of Mixtral and of Qwen2-MoE as bench rows.

use crate::case::{Case, Fill, Input};
use crate::draw::{Draw, Drawn, row};
use omma::kernels::{
    Block, ExpertCombine, ExpertMatMul, ExpertSort, Kernel, Packing, Route, Score, Swiglu, TensorType,
};

const NOBODY: u32 = u32::MAX;

fn routed(kernel: Route, rows: usize, experts: usize, fill: Fill) -> Case {
    let name = format!("{rows}x{experts} {} {fill:?}", kernel.show());
    Case::new(name, kernel, vec![Input::f32(&[rows, experts]).fill(fill)])
}

pub fn route() -> Vec<Case> {
    let base = Route { top: 2, score: Score::Softmax, normalise: true, scale: 1.0 };
    let case = routed;
    let mut all = Vec::new();
    for score in [Score::Softmax, Score::Sigmoid] {
        for normalise in [true, false] {
            let kernel = Route { score, normalise, ..base };
            all.push(case(kernel, 7, 8, Fill::Uniform(-4.0, 4.0)));
            all.push(case(Route { top: 8, scale: 2.5, ..kernel }, 13, 257, Fill::Uniform(-9.0, 9.0)));
            all.push(case(Route { top: 1, ..kernel }, 1, 1, Fill::Uniform(-1.0, 1.0)));
            all.push(case(Route { top: 5, ..kernel }, 3, 5, Fill::Uniform(-1.0, 1.0)));
            all.push(case(kernel, 3, 64, Fill::Zeros));
        }
    }
    all.push(case(base, 5, 33, Fill::Huge));
    all.push(case(base, 65_537, 4, Fill::Uniform(-2.0, 2.0)));
    all.push(case(base, 4096, 8, Fill::Uniform(-2.0, 2.0)).bench());
    all.push(case(Route { top: 4, ..base }, 4096, 60, Fill::Uniform(-2.0, 2.0)).bench());
    all
}

fn sort(kernel: ExpertSort, rows: usize, top: usize, fill: Fill) -> Case {
    let name = format!("{rows}x{top} {} {fill:?}", kernel.show());
    Case::new(name, kernel, vec![Input::new(TensorType::u32(&[rows, top]), fill)])
}

pub fn expert_sort() -> Vec<Case> {
    let case = sort;
    let mut all = Vec::new();
    for capacity in [None, Some(3), Some(40)] {
        for (experts, rows, top) in [(1, 1, 1), (8, 7, 2), (5, 33, 3), (64, 129, 8), (300, 5, 2)] {
            all.push(case(ExpertSort { experts, capacity }, rows, top, Fill::Index(experts as u32)));
        }
        all.push(case(ExpertSort { experts: 4, capacity }, 40, 1, Fill::Const(2.0)));
        // Ids beyond the last expert.
        all.push(case(ExpertSort { experts: 4, capacity }, 9, 2, Fill::Index(9)));
    }
    all.push(case(ExpertSort { experts: 65_541, capacity: None }, 3, 2, Fill::Index(65_541)));
    all.push(case(ExpertSort { experts: 8, capacity: None }, 4096, 2, Fill::Index(8)).bench());
    all
}

/// Order and spans of assignments to experts `a * 7 % 11 % experts`.
fn sorted(assignments: usize, experts: usize, capacity: Option<usize>) -> (Vec<u32>, Vec<u32>) {
    let (mut order, mut spans) = (Vec::new(), Vec::new());
    for expert in 0..experts {
        let mine = (0..assignments).filter(|a| a * 7 % 11 % experts == expert);
        let kept: Vec<u32> = mine.take(capacity.unwrap_or(usize::MAX)).map(|a| a as u32).collect();
        spans.extend([order.len() as u32, kept.len() as u32]);
        let free = capacity.map_or(0, |c| c - kept.len());
        order.extend(kept);
        order.extend(std::iter::repeat_n(NOBODY, free));
    }
    (order, spans)
}

fn product(kernel: ExpertMatMul, tokens: usize, top: usize, experts: usize, w: Input) -> Case {
    let (order, spans) = sorted(tokens * top, experts, kernel.capacity);
    let rows = if kernel.per.is_some() { tokens } else { order.len() };
    let k = w.ty.cols();
    let name = format!("{tokens}x{top} of {experts} {} {}", w.ty, kernel.show());
    let bias = kernel.bias.then(|| Input::f32(&[w.ty.rows()]));
    let mut inputs =
        vec![Input::f32(&[rows, k]), w, Input::u32(&[order.len()], &order), Input::u32(&[experts, 2], &spans)];
    inputs.extend(bias);
    Case::new(name, kernel, inputs)
}

pub fn expert_matmul() -> Vec<Case> {
    let base = ExpertMatMul { per: Some(2), capacity: None, bias: false };
    let rows = |n: usize, k: usize| Input::f32(&[n, k]);
    let mut all = vec![
        product(ExpertMatMul { per: Some(1), ..base }, 1, 1, 1, rows(1, 1)),
        product(base, 7, 2, 4, rows(4 * 5, 13)),
        product(base, 33, 2, 3, rows(3 * 65, 36)),
        product(ExpertMatMul { bias: true, ..base }, 20, 2, 16, rows(16 * 7, 8)),
        product(ExpertMatMul { per: None, bias: true, ..base }, 20, 2, 5, rows(5 * 64, 20)),
        product(ExpertMatMul { capacity: Some(3), ..base }, 20, 2, 5, rows(5 * 9, 20)),
        product(ExpertMatMul { capacity: Some(17), bias: true, ..base }, 9, 2, 5, rows(5 * 70, 7)),
        product(ExpertMatMul { per: None, capacity: Some(9), ..base }, 9, 2, 5, rows(5 * 9, 12)),
        product(base, 35_000, 2, 3, rows(3 * 2, 3)),
        product(base, 9, 2, 4, Input::panels(omma::DType::F16, 4 * 12, 18)),
    ];
    for block in [Block::Q4_0, Block::Q4K, Block::Q8_0] {
        let w = Input::packed(Packing::Block(block), 4 * 10, 2 * block.values());
        all.push(product(base, 9, 2, 4, w));
    }
    // A quarter of the width of Mixtral-8x7B, with f32 weights.
    all.push(product(base, 64, 2, 8, rows(8 * 448, 512)).bench());
    all.push(product(base, 64, 2, 8, Input::packed(Packing::Block(Block::Q4_0), 8 * 448, 512)).bench_only());
    all
}

fn combined(tokens: usize, top: usize, cols: usize) -> Case {
    // Every fourth assignment was dropped, one place is beyond the end.
    let place = |a: usize| if a % 4 == 3 { NOBODY } else { (a * 5 % (tokens * top + 1)) as u32 };
    let places: Vec<u32> = (0..tokens * top).map(place).collect();
    let inputs = vec![
        Input::f32(&[tokens * top, cols]),
        Input::u32(&[tokens, top], &places),
        Input::f32(&[tokens, top]).fill(Fill::Uniform(0.0, 1.0)),
    ];
    Case::new(format!("{tokens}x{top} {cols}"), ExpertCombine, inputs)
}

pub fn expert_combine() -> Vec<Case> {
    let case = combined;
    vec![
        case(1, 1, 1),
        case(7, 2, 13),
        case(5, 8, 257),
        case(3, 3, 1030),
        case(65_537, 2, 3),
        case(577, 2, 4096).bench(),
    ]
}

fn gated(kernel: Swiglu, shape: &[usize], fill: Fill) -> Case {
    Case::new(format!("{} {shape:?} {fill:?}", kernel.show()), kernel, vec![Input::f32(shape).fill(fill)])
}

pub fn swiglu() -> Vec<Case> {
    let plain = Swiglu { interleaved: false, alpha: 1.0, beta: 0.0, limit: None };
    let gpt_oss = Swiglu { interleaved: true, alpha: 1.702, beta: 1.0, limit: Some(7.0) };
    let case = gated;
    let mut all = Vec::new();
    for kernel in [plain, gpt_oss, Swiglu { interleaved: true, ..plain }, Swiglu { limit: Some(0.25), ..gpt_oss }] {
        all.push(case(kernel, &[1, 2], Fill::Uniform(-1.0, 1.0)));
        all.push(case(kernel, &[7, 26], Fill::Uniform(-9.0, 9.0)));
        all.push(case(kernel, &[3, 64], Fill::Huge));
        all.push(case(kernel, &[3, 64], Fill::Zeros));
        all.push(case(kernel, &[2, 64], Fill::Tiny));
    }
    all.push(case(plain, &[65_537, 2], Fill::Uniform(-1.0, 1.0)));
    all.push(case(gpt_oss, &[577, 5760], Fill::Uniform(-6.0, 6.0)).bench());
    all
}

pub fn draw_route(d: &mut Draw) -> Drawn {
    let (experts, rows) = (d.size(300), d.size(60));
    let kernel = Route {
        top: d.size(experts.min(8)),
        score: d.pick(&[Score::Softmax, Score::Sigmoid]),
        normalise: d.flag(),
        scale: d.pick(&[1.0, 2.5]),
    };
    let fill = d.pick(&[Fill::Uniform(-4.0, 4.0), Fill::Uniform(-9.0, 9.0), Fill::Zeros, Fill::Index(5)]);
    row!(routed(kernel, rows, experts, fill))
}

pub fn draw_expert_sort(d: &mut Draw) -> Drawn {
    let (experts, rows, top) = (d.size(300), d.size(300), d.size(8));
    let kernel = ExpertSort { experts, capacity: d.flag().then(|| d.size(50)) };
    // Ids beyond the last expert as well.
    let below = experts + d.below(3);
    row!(sort(kernel, rows, top, Fill::Index(below as u32)))
}

/// f32 rows of `experts` matrices.
fn rows_of(kernel: ExpertMatMul, tokens: usize, top: usize, experts: usize, n: usize, k: usize) -> Case {
    product(kernel, tokens, top, experts, Input::f32(&[experts * n, k]))
}

/// Packed ones.
fn packed(kernel: ExpertMatMul, tokens: usize, experts: usize, block: Block, n: usize, blocks: usize) -> Case {
    let w = Input::packed(Packing::Block(block), experts * n, blocks * block.values());
    product(kernel, tokens, 2, experts, w)
}

pub fn draw_expert_matmul(d: &mut Draw) -> Drawn {
    let (tokens, top, experts) = (d.size(40), d.size(3), d.size(9));
    let (n, k) = (d.size(80), d.size(100));
    let per = d.flag().then_some(top);
    let capacity = d.flag().then(|| d.size(20));
    let kernel = ExpertMatMul { per, capacity, bias: d.flag() };
    if d.below(3) == 2 {
        let (block, kernel) = (d.pick(&Block::ALL), ExpertMatMul { per: per.map(|_| 2), ..kernel });
        return row!(packed(kernel, tokens, experts, block, n, 1 + k % 2));
    }
    row!(rows_of(kernel, tokens, top, experts, n, k))
}

pub fn draw_expert_combine(d: &mut Draw) -> Drawn {
    let (tokens, top, cols) = (d.size(100), d.size(8), d.size(1100));
    row!(combined(tokens, top, cols))
}

pub fn draw_swiglu(d: &mut Draw) -> Drawn {
    let (rows, cols, interleaved) = (d.size(40), d.size(700), d.flag());
    let (alpha, beta) = d.pick(&[(1.0, 0.0), (1.702, 1.0)]);
    let kernel = Swiglu { interleaved, alpha, beta, limit: d.maybe(&[7.0, 0.25]) };
    let fill = d.fill();
    row!(gated(kernel, &[rows, 2 * cols][..], fill))
}
