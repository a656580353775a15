// Role fold: whole numbers, by the function OP of the role int, which it needs. No barriers.

alias Cell = Int;

fn fold(old: Cell, new_cell: Cell) -> Cell {
    return value(old, new_cell);
}
