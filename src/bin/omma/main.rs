//! omma
fn main() {}
