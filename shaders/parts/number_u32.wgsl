// Role number: numbers are stored as u32 and computed with in u32; what overflows wraps.

alias Stored = u32;
alias Number = u32;
