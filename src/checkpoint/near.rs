//! The names nearest to one that is missing, by edit distance (Levenshtein 1966). Cheap for 1e5 names: each
//! comparison stops as soon as it cannot be among the best.

/// Names longer than this are compared by no one.
const LONGEST: usize = 512;

/// Up to `count` of `names` within half the length of `wanted`, nearest first, equal ones in the order given.
pub(crate) fn nearest<'a>(names: impl Iterator<Item = &'a str>, wanted: &str, count: usize) -> Vec<String> {
    if wanted.len() > LONGEST || count == 0 {
        return Vec::new();
    }
    let mut best: Vec<(usize, &str)> = Vec::with_capacity(count + 1);
    let mut limit = (wanted.len() / 2).clamp(2, 32);
    for name in names.filter(|name| name.len() <= LONGEST) {
        let Some(far) = distance(name.as_bytes(), wanted.as_bytes(), limit) else { continue };
        let at = best.partition_point(|(other, _)| *other <= far);
        best.insert(at, (far, name));
        best.truncate(count);
        if best.len() == count {
            // Only a nearer one changes the list now.
            match best[count - 1].0.checked_sub(1) {
                Some(nearer) => limit = nearer,
                None => break,
            }
        }
    }
    best.into_iter().map(|(_, name)| name.to_owned()).collect()
}

/// Edit distance of `a` and `b` in bytes, if it is at most `limit`. Takes about `limit` steps a byte.
fn distance(a: &[u8], b: &[u8], limit: usize) -> Option<usize> {
    let front = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    let (a, b) = (&a[front..], &b[front..]);
    let back = a.iter().rev().zip(b.iter().rev()).take_while(|(x, y)| x == y).count();
    let (a, b) = (&a[..a.len() - back], &b[..b.len() - back]);
    if a.len().abs_diff(b.len()) > limit {
        return None;
    }
    let beyond = limit + 1;
    let mut row: Vec<usize> = (0..=b.len()).map(|j| j.min(beyond)).collect();
    for (i, x) in a.iter().enumerate() {
        // Cells further than `limit` from the diagonal are beyond the limit.
        let (from, to) = ((i + 1).saturating_sub(limit), (i + 1 + limit).min(b.len()));
        let mut diagonal = row[from.saturating_sub(1)];
        let mut least = beyond;
        if from == 0 {
            diagonal = row[0];
            row[0] = (i + 1).min(beyond);
            least = row[0];
        } else {
            row[from - 1] = beyond;
        }
        for j in from.max(1)..=to {
            let above = if j == i + 1 + limit { beyond } else { row[j] };
            let swap = diagonal + usize::from(*x != b[j - 1]);
            diagonal = row[j];
            row[j] = swap.min(above + 1).min(row[j - 1] + 1).min(beyond);
            least = least.min(row[j]);
        }
        if least > limit {
            return None;
        }
    }
    row.last().copied().filter(|far| *far <= limit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plain(a: &[u8], b: &[u8]) -> usize {
        let mut table = vec![vec![0; b.len() + 1]; a.len() + 1];
        for i in 0..=a.len() {
            for j in 0..=b.len() {
                table[i][j] = if i == 0 || j == 0 {
                    i + j
                } else {
                    let swap = table[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                    swap.min(table[i - 1][j] + 1).min(table[i][j - 1] + 1)
                };
            }
        }
        table[a.len()][b.len()]
    }

    proptest! {
        #[test]
        fn the_band_gives_the_plain_distance(a in "[abc]{0,12}", b in "[abc]{0,12}", limit in 0usize..9) {
            let far = plain(a.as_bytes(), b.as_bytes());
            prop_assert_eq!(distance(a.as_bytes(), b.as_bytes(), limit), Some(far).filter(|far| *far <= limit));
        }
    }

    #[test]
    fn three_nearest_of_a_hundred_thousand() {
        let names: Vec<String> =
            (0..100_000).map(|n| format!("model.layers.{}.mlp.experts.{}.up_proj.weight", n / 512, n % 512)).collect();
        let started = std::time::Instant::now();
        let near = nearest(names.iter().map(String::as_str), "model.layers.7.mlp.expert.9.up_proj.weight", 3);
        assert_eq!(near[0], "model.layers.7.mlp.experts.9.up_proj.weight");
        assert_eq!(near.len(), 3);
        // Takes some 20 ms; without the limit many seconds.
        assert!(started.elapsed().as_secs() < 5);
        assert!(nearest(names.iter().map(String::as_str), &"x".repeat(600), 3).is_empty());
    }
}
