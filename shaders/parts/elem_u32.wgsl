// Role elem: unsigned integers, or words that are moved and not looked at.

alias Elem = u32;
alias Elem4 = vec4<u32>;
