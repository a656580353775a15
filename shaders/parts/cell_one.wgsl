// Role cell: rows are moved and computed with element by element. Uses Elem of the role elem.

alias Cell = Elem;
alias Num = f32;
