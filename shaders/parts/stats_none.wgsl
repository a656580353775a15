// Role stats: mean and scale of a row are not kept.

fn stats_put(row: u32, lane: u32, center: vec4<f32>, scale: vec4<f32>) {}
