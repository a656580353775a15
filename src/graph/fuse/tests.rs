//! Each rewrite on small graphs: what becomes what, and what must block it.

use super::super::Plan;
use super::*;
use crate::kernels::{Act, KvAppend, RmsNorm, TensorType};
use crate::{Caps, DType};

const ROWS: usize = 20;
const WIDTH: usize = 16;

fn weight(g: &mut Graph, name: &str) -> ValueId {
    g.weight(name, TensorType::panels(DType::F32, WIDTH, WIDTH))
}

fn input(g: &mut Graph, name: &str) -> ValueId {
    g.state(name, TensorType::f32(&[ROWS, WIDTH]))
}

fn product(g: &mut Graph, x: ValueId, name: &str) -> ValueId {
    let w = weight(g, name);
    g.apply(MatMul::default(), &[x, w]).unwrap()
}

fn gelu(g: &mut Graph, x: ValueId) -> ValueId {
    g.apply(Unary { op: UnaryOp::Act(Act::Gelu) }, &[x]).unwrap()
}

fn add(g: &mut Graph, a: ValueId, b: ValueId) -> ValueId {
    g.apply(Binary { op: BinaryOp::Add }, &[a, b]).unwrap()
}

/// Names and attributes of the nodes after fusing; the plan of the fused graph has to exist.
fn fused(g: &Graph, options: &FuseOptions) -> Vec<String> {
    let done = fuse(g.clone(), options);
    Plan::new(done.clone(), &Caps::floor()).unwrap();
    let name = |n: &Node| format!("{} {}", n.kernel.name(), n.kernel.show()).trim_end().to_owned();
    for node in &done.nodes {
        let (inputs, outputs) = done.io(node);
        assert_eq!(node.kernel.infer(&inputs).unwrap(), outputs, "types still fit");
    }
    done.nodes.iter().map(name).collect()
}

fn all() -> FuseOptions {
    FuseOptions::default()
}

#[test]
fn an_activation_joins_its_product() {
    let mut g = Graph::new();
    let x = input(&mut g, "x");
    let y = product(&mut g, x, "w");
    let z = gelu(&mut g, y);
    g.store(z, "z");
    assert_eq!(fused(&g, &all()), ["matmul gelu"]);
    assert_eq!(fused(&g, &all().without("matmul_act")), ["matmul", "unary gelu"]);
    assert_eq!(fused(&g, &FuseOptions::none()), ["matmul", "unary gelu"]);
    let done = fuse(g, &all());
    assert_eq!((done.nodes[0].inputs.len(), done.nodes[0].outputs[0]), (2, z));
}

#[test]
fn other_functions_do_not_join() {
    let mut g = Graph::new();
    let x = input(&mut g, "x");
    let y = product(&mut g, x, "w");
    let z = g.apply(Unary { op: UnaryOp::Tanh }, &[y]).unwrap();
    g.store(z, "z");
    assert_eq!(fused(&g, &all()), ["matmul", "unary tanh"]);
}

#[test]
fn an_activation_after_the_residual_stays() {
    let mut g = Graph::new();
    let x = input(&mut g, "x");
    let y = product(&mut g, x, "w");
    let sum = add(&mut g, y, x);
    let z = gelu(&mut g, sum);
    g.store(z, "z");
    assert_eq!(fused(&g, &all()), ["matmul residual", "unary gelu"]);
}

#[test]
fn a_sum_joins_its_product_from_either_side() {
    for swapped in [false, true] {
        let mut g = Graph::new();
        let x = input(&mut g, "x");
        let y = product(&mut g, x, "w");
        let y = gelu(&mut g, y);
        let z = if swapped { add(&mut g, x, y) } else { add(&mut g, y, x) };
        g.store(z, "z");
        assert_eq!(fused(&g, &all()), ["matmul gelu residual"]);
        let done = fuse(g.clone(), &all());
        assert_eq!(done.nodes[0].inputs.last(), Some(&x));
        assert_eq!(fused(&g, &all().without("matmul_residual")), ["matmul gelu", "binary add"]);
        assert_eq!(fused(&g, &all().without("matmul_act")), ["matmul", "unary gelu", "binary add"]);
    }
}

#[test]
fn of_two_products_the_later_takes_the_sum() {
    let mut g = Graph::new();
    let x = input(&mut g, "x");
    let (a, b) = (product(&mut g, x, "a"), product(&mut g, x, "b"));
    let z = add(&mut g, a, b);
    g.store(z, "z");
    let done = fuse(g, &all());
    let inputs: Vec<_> = done.nodes.iter().map(|n| n.inputs.len()).collect();
    assert_eq!(inputs, [2, 3]);
    assert_eq!(done.nodes[1].inputs[2], a);
}

#[test]
fn a_later_operand_and_its_reshape_block_the_sum() {
    for reshaped in [false, true] {
        let mut g = Graph::new();
        let x = input(&mut g, "x");
        let y = product(&mut g, x, "w");
        let mut late = gelu(&mut g, x);
        if reshaped {
            late = g.reshape(late, &[ROWS, WIDTH]).unwrap();
        }
        let z = add(&mut g, y, late);
        g.store(z, "z");
        assert_eq!(fused(&g, &all()), ["matmul", "unary gelu", "binary add"]);
    }
}

#[test]
fn a_product_added_to_itself_or_broadcast_stays() {
    let mut g = Graph::new();
    let x = input(&mut g, "x");
    let y = product(&mut g, x, "w");
    let z = add(&mut g, y, y);
    g.store(z, "z");
    let y = product(&mut g, x, "v");
    let row = g.state("row", TensorType::f32(&[WIDTH]));
    let z = add(&mut g, y, row);
    g.store(z, "z2");
    assert_eq!(fused(&g, &all()), ["matmul", "binary add", "matmul", "binary add"]);
}

/// The value between two nodes, with something that lets others see it.
fn with_seen(see: impl Fn(&mut Graph, ValueId)) -> Vec<Vec<String>> {
    let next: [fn(&mut Graph, ValueId, ValueId) -> ValueId; 2] = [|g, y, _| gelu(g, y), |g, y, x| add(g, y, x)];
    let build = |next: &fn(&mut Graph, ValueId, ValueId) -> ValueId| {
        let mut g = Graph::new();
        let x = input(&mut g, "x");
        let y = product(&mut g, x, "w");
        let z = next(&mut g, y, x);
        g.store(z, "z");
        see(&mut g, y);
        fused(&g, &all())
    };
    next.iter().map(build).collect()
}

#[test]
fn values_that_others_can_see_are_left_alone() {
    let apart = |list: &[Vec<String>]| list.iter().all(|names| names.len() > 1 && names[0] == "matmul");
    let kept = with_seen(|g, y| {
        g.tap("stage", y);
        g.keep_taps(|name| name == "stage");
    });
    assert!(apart(&kept), "{kept:?}");
    let stored = with_seen(|g, y| g.store(y, "y"));
    assert!(apart(&stored), "{stored:?}");
    let shown = with_seen(|g, y| {
        let _ = g.reshape(y, &[WIDTH, ROWS]).unwrap();
    });
    assert!(apart(&shown), "{shown:?}");
    let twice = with_seen(|g, y| {
        let t = g.apply(Unary { op: UnaryOp::Tanh }, &[y]).unwrap();
        g.store(t, "t");
    });
    assert!(apart(&twice), "{twice:?}");
    assert!(!apart(&with_seen(|_, _| {})));
}

#[test]
fn a_tap_that_is_not_kept_does_not_block_and_goes() {
    let mut g = Graph::new();
    let x = input(&mut g, "x");
    let y = product(&mut g, x, "w");
    g.tap("inner", y);
    let z = gelu(&mut g, y);
    g.tap("outer", z);
    let end = gelu(&mut g, z);
    g.store(end, "end");
    let done = fuse(g, &all());
    assert_eq!(done.taps, [("outer".to_owned(), z)]);
}

#[test]
fn a_buffer_that_changes_between_blocks_the_move() {
    // The residual is a cache that a node between the product and the sum appends to.
    let mut g = Graph::new();
    let x = input(&mut g, "x");
    let cache = input(&mut g, "cache");
    let y = product(&mut g, x, "w");
    let slots = g.state("slots", TensorType::u32(&[ROWS]));
    g.apply(KvAppend { x_offset: 0, cols: WIDTH }, &[x, slots, cache]).unwrap();
    let z = add(&mut g, y, cache);
    g.store(z, "z");
    assert_eq!(fused(&g, &all()).len(), 3);
    // The result replaces what the product reads.
    let mut g = Graph::new();
    let x = input(&mut g, "x");
    let y = product(&mut g, x, "w");
    let z = gelu(&mut g, y);
    g.store(z, "x");
    assert_eq!(fused(&g, &all()).len(), 2);
    // The result is stored where a node between still reads the old contents.
    let mut g = Graph::new();
    let (x, old) = (input(&mut g, "x"), input(&mut g, "old"));
    let y = product(&mut g, x, "w");
    let seen = gelu(&mut g, old);
    g.store(seen, "seen");
    let z = gelu(&mut g, y);
    g.store(z, "old");
    assert_eq!(fused(&g, &all()).len(), 3);
}

#[test]
fn few_rows_with_panels_become_a_matvec() {
    for (rows, layout, want) in [
        (MatVec::MOST_ROWS, Layout::Panels, "matvec gelu residual"),
        (MatVec::MOST_ROWS + 1, Layout::Panels, "matmul gelu residual"),
        (1, Layout::Rows, "matmul gelu residual"),
    ] {
        let mut g = Graph::new();
        let x = g.state("x", TensorType::f32(&[rows, WIDTH]));
        let w = g.weight("w", TensorType { layout, ..TensorType::f32(&[WIDTH, WIDTH]) });
        let y = g.apply(MatMul::default(), &[x, w]).unwrap();
        let y = gelu(&mut g, y);
        let z = add(&mut g, x, y);
        g.store(z, "z");
        assert_eq!(fused(&g, &all()), [want]);
        assert_eq!(fused(&g, &all().without("matvec")), ["matmul gelu residual"]);
    }
}

#[test]
fn dead_nodes_go_with_what_only_they_read() {
    let mut g = Graph::new();
    let x = input(&mut g, "x");
    let z = gelu(&mut g, x);
    g.store(z, "z");
    let gain = g.weight("gain", TensorType::f32(&[WIDTH]));
    let dead = g.apply(RmsNorm { eps: 1e-5 }, &[x, gain]).unwrap();
    let dead = product(&mut g, dead, "w");
    g.tap("dead", dead);
    assert_eq!(fused(&g, &all()), ["unary gelu"]);
    assert_eq!(fused(&g, &all().without("dead_nodes")).len(), 3);
    assert!(fuse(g.clone(), &all()).taps.is_empty());
    let shown = g.reshape(dead, &[WIDTH, ROWS]).unwrap();
    g.values[shown.0].keep = true;
    assert_eq!(fused(&g, &all()).len(), 3, "kept under another shape");
}

#[test]
fn names_are_unique_and_switch_off_one_rewrite_each() {
    for rewrite in REWRITES {
        let options = all().without(rewrite.name);
        let off: Vec<_> = REWRITES.iter().filter(|r| !options.has(r.name)).map(|r| r.name).collect();
        assert_eq!(off, [rewrite.name]);
        assert!(!FuseOptions::none().has(rewrite.name));
    }
    assert_eq!(all().without("no such rewrite"), all());
}
