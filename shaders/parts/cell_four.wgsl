// Role cell: rows are moved and computed with four elements at a time; every extent and offset counts quads. Uses
// Elem4 of the role elem.

alias Cell = Elem4;
alias Num = vec4<f32>;
