//! The role `cell`: kernels that treat all columns of a row alike work on quads where every extent is whole quads.

/// Elements that one cell holds, as every extent and offset of the rows allows, and the part of that size.
pub(super) fn cell(extents: &[usize]) -> (usize, &'static str) {
    if extents.iter().all(|e| e % 4 == 0) { (4, "parts/cell_four") } else { (1, "parts/cell_one") }
}

#[cfg(test)]
mod tests {
    use super::cell;

    #[test]
    fn one_odd_extent_makes_single_cells() {
        assert_eq!(cell(&[8, 0, 4]), (4, "parts/cell_four"));
        assert_eq!(cell(&[8, 2, 4]), (1, "parts/cell_one"));
    }
}
