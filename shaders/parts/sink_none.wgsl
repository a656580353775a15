// Role sink: none. sink_score(head) is the score of a key that only takes weight; LOWEST says there is none.

fn sink_score(head: u32) -> f32 {
    return LOWEST;
}
