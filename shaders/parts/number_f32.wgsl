// Role number: numbers are stored as f32 and computed with in f32.

alias Stored = f32;
alias Number = f32;
