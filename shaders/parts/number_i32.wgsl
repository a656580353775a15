// Role number: numbers are stored as i32 and computed with in i32; what overflows wraps.

alias Stored = i32;
alias Number = i32;
