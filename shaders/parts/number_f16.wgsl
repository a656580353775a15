// Role number: numbers are stored as f16 and computed with in f32.

enable f16;

alias Stored = f16;
alias Number = f32;
