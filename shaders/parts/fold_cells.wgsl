// Role fold: cells of floats, or of words that are replaced. OP: 0 the sum, 2 the product, 7 the larger, 8 the smaller
// (the numbers of `IntegerOp`), others the new cell. Needs the role cell. No barriers.

fn fold(old: Cell, new_cell: Cell) -> Cell {
    switch OP {
        case 0u: {
            return old + new_cell;
        }
        case 2u: {
            return old * new_cell;
        }
        case 7u: {
            return max(old, new_cell);
        }
        case 8u: {
            return min(old, new_cell);
        }
        default: {
            return new_cell;
        }
    }
}
