// Role mask: every key of a sequence may be seen.

fn mask_sees(key: u32) -> bool {
    return true;
}
