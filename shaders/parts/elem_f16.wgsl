// Role elem: activations are stored as f16 and computed with in f32.
enable f16;

alias Elem = f16;
alias Elem4 = vec4<f16>;
