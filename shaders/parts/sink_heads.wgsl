// Role sink: one learned score a head, in the units of the scores before log2(e). Binds sinks.

@group(1) @binding(3) var<storage, read> sinks: array<f32>; // [heads]

fn sink_score(head: u32) -> f32 {
    return clamp(sinks[head], -FARTHEST, FARTHEST) * LOG2_E;
}
