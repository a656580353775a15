//! copy and fma_chain: the kernels that measure the ceilings.

use crate::case::{Case, Input};
use omma::kernels::{Copy, FmaChain};

pub fn copy() -> Vec<Case> {
    let case = |rows: usize, cols: usize| Case::new(format!("{rows}x{cols}"), Copy, vec![Input::f32(&[rows, cols])]);
    vec![case(1, 4), case(7, 12), case(65_537, 4), case(1024, 4096).bench()]
}

pub fn fma_chain() -> Vec<Case> {
    let case = |count: usize, rounds: u32| {
        Case::new(format!("{count} x {rounds}"), FmaChain { rounds }, vec![Input::f32(&[count])])
    };
    vec![case(1, 4), case(65, 8), case(1000, 100), case(16_384, 2000).bench()]
}
