//! What the tokens of a prompt have to do with its pictures: positions on three axes (Qwen2-VL), and the tiles that a
//! token sees through cross-attention (Llama 3.2 Vision). Pure functions of where the pictures stand.

/// Which tiles each token of a sequence sees.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sight {
    /// Tiles of all pictures of the sequence, those that a picture does not fill included.
    pub tiles: usize,
    /// \[tokens, tiles\]
    pub flags: Vec<bool>,
}

impl Sight {
    /// The flags of a token.
    pub fn row(&self, token: usize) -> &[bool] {
        self.flags.get(token * self.tiles..(token + 1) * self.tiles).unwrap_or_default()
    }
}

/// Positions (time, row, column) of `tokens` tokens that begin at position `start`: `pictures` holds the first token of
/// each picture and the (times, rows, columns) of its tokens, ascending. Text counts on from the largest position so
/// far on all three axes; a picture's tokens count from there by their place in the grid (M-RoPE; Wang et al. 2024).
pub fn grid_positions(start: u32, tokens: usize, pictures: &[(usize, [usize; 3])]) -> Vec<[u32; 3]> {
    let mut positions: Vec<[u32; 3]> = Vec::new();
    let mut next = start;
    for (first, [times, rows, cols]) in pictures {
        while positions.len() < (*first).min(tokens) {
            positions.push([next; 3]);
            next += 1;
        }
        for i in 0..times * rows * cols {
            let place = [i / (rows * cols), i / cols % rows, i % cols];
            positions.push(place.map(|p| next + p as u32));
        }
        next += (*times).max(*rows).max(*cols) as u32;
    }
    while positions.len() < tokens {
        positions.push([next; 3]);
        next += 1;
    }
    positions.truncate(tokens);
    positions
}

/// What the tokens of a prompt see: `pictures` holds the token of each picture and the tiles that the picture fills, of
/// `tiles` that it has room for. From its picture on a token sees the tiles of that picture, up to the next picture;
/// pictures side by side are seen together.
pub fn tile_sight(tokens: usize, pictures: &[(usize, usize)], tiles: usize) -> Sight {
    let mut ends: Vec<usize> = pictures.iter().skip(1).map(|(at, _)| *at).chain([tokens]).collect();
    for i in (0..pictures.len().saturating_sub(1)).rev() {
        if ends[i] == pictures[i].0 + 1 {
            ends[i] = ends[i + 1];
        }
    }
    let all = pictures.len() * tiles;
    let mut flags = vec![false; tokens * all];
    for (i, ((first, filled), end)) in pictures.iter().zip(ends).enumerate() {
        for token in *first..end.min(tokens) {
            flags[token * all + i * tiles..][..(*filled).min(tiles)].fill(true);
        }
    }
    Sight { tiles: all, flags }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_counts_on_from_the_largest_position_of_a_picture() {
        // Two tokens, a picture of 2 x 3, one token, a picture of 4 x 1, two tokens.
        let positions = grid_positions(0, 15, &[(2, [1, 2, 3]), (9, [1, 4, 1])]);
        let of = |axis: usize| positions.iter().map(|p| p[axis]).collect::<Vec<_>>();
        assert_eq!(of(0), [0, 1, 2, 2, 2, 2, 2, 2, 5, 6, 6, 6, 6, 10, 11]);
        assert_eq!(of(1), [0, 1, 2, 2, 2, 3, 3, 3, 5, 6, 7, 8, 9, 10, 11]);
        assert_eq!(of(2), [0, 1, 2, 3, 4, 2, 3, 4, 5, 6, 6, 6, 6, 10, 11]);
        assert_eq!(grid_positions(7, 2, &[]), [[7; 3], [8; 3]]);
        assert_eq!(grid_positions(7, 2, &[(0, [2, 1, 1])]), [[7, 7, 7], [8, 7, 7]], "frames");
    }

    #[test]
    fn tokens_see_the_last_picture_and_its_neighbours() {
        let rows = |sight: &Sight| {
            let text = |token| sight.row(token).iter().map(|f| if *f { '1' } else { '0' }).collect::<String>();
            (0..sight.flags.len() / sight.tiles).map(text).collect::<Vec<String>>()
        };
        assert_eq!(rows(&tile_sight(3, &[(1, 2)], 4)), ["0000", "1100", "1100"]);
        assert_eq!(rows(&tile_sight(4, &[(0, 1), (2, 2)], 2)), ["1000", "1000", "0011", "0011"]);
        assert_eq!(rows(&tile_sight(4, &[(0, 1), (1, 1), (3, 1)], 1)), ["100", "110", "110", "001"]);
        assert_eq!(tile_sight(4, &[], 4), Sight::default());
    }
}
