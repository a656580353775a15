//! The order of a plan row by row: for every token of a picture, which feature of which input it is, or which mark.
//! What assembles a sequence on the device is a gather by this list.

use super::plan::{FeatureMap, Of, Place, Segment, TilePlan};
use crate::{Error, Result};

/// Where one token of a picture comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenRow<'p> {
    /// A feature of the overview, by its place among the features of that input.
    Overview(u64),
    /// A feature of a tile.
    Tile {
        /// The tile's place in [`TilePlan::tiles`].
        tile: usize,
        /// The feature's place among those of the tile.
        at: u64,
    },
    /// A mark, by name.
    Mark(&'p str),
}

/// Token by token what `segments` say, for a grid (columns, rows) of tiles.
///
/// # Errors
/// [`Error::Unsupported`] for a map that is shrunk: its tokens are no features but means of them.
/// [`Error::InvalidArgument`] for a map that tiles do not divide, and for more than 2^26 tokens.
pub fn token_rows<'p>(segments: &'p [Segment], grid: (u32, u32)) -> Result<Vec<TokenRow<'p>>> {
    const MOST: u64 = 1 << 26;
    let total = segments.iter().map(Segment::tokens).fold(0, u64::saturating_add);
    if total > MOST {
        return Err(Error::argument(format!("{total} tokens of a picture"), format!("at most {MOST} are listed")));
    }
    let mut all = Vec::with_capacity(total as usize);
    for segment in segments {
        match segment {
            Segment::Overview { tokens } => all.extend((0..*tokens).map(TokenRow::Overview)),
            Segment::Tile { index, tokens } => all.extend((0..*tokens).map(|at| TokenRow::Tile { tile: *index, at })),
            Segment::Mark(mark) => all.push(TokenRow::Mark(&mark.name)),
            Segment::Map(map) => map_rows(map, grid, &mut all)?,
        }
    }
    Ok(all)
}

fn map_rows<'p>(map: &'p FeatureMap, grid: (u32, u32), all: &mut Vec<TokenRow<'p>>) -> Result<()> {
    if map.shrunk.is_some() {
        let reason = "its tokens are interpolated; features are only picked by row";
        return Err(Error::unsupported("a map of features that is shrunk", reason));
    }
    let (columns, rows) = if map.of == Of::Tiles { grid } else { (1, 1) };
    let whole = |full: u32, parts: u32| parts > 0 && full.is_multiple_of(parts);
    let area = map.kept;
    let inside = area.x.checked_add(area.width).is_some_and(|end| end <= map.full.0)
        && area.y.checked_add(area.height).is_some_and(|end| end <= map.full.1);
    if !(whole(map.full.0, columns) && whole(map.full.1, rows) && inside) {
        let what = format!("a map of {}x{} features, {area:?}", map.full.0, map.full.1);
        return Err(Error::argument(what, format!("{columns}x{rows} tiles do not make it")));
    }
    let side = (map.full.0 / columns, map.full.1 / rows);
    for y in area.y..area.y + area.height {
        for x in area.x..area.x + area.width {
            let at = u64::from(y % side.1) * u64::from(side.0) + u64::from(x % side.0);
            let tile = (y / side.1) as usize * columns as usize + (x / side.0) as usize;
            all.push(if map.of == Of::Tiles { TokenRow::Tile { tile, at } } else { TokenRow::Overview(at) });
        }
        let last = y + 1 == area.y + area.height;
        let end = map.last_end.as_ref().filter(|_| last).or(map.row_end.as_ref());
        all.extend(end.map(|mark| TokenRow::Mark(&mark.name)));
    }
    Ok(())
}

impl TilePlan {
    /// Token by token what stands for the picture in the sequence.
    ///
    /// # Errors
    /// As [`token_rows`].
    pub fn token_rows(&self) -> Result<Vec<TokenRow<'_>>> {
        token_rows(&self.order, self.grid.unwrap_or((1, 1)))
    }
    /// The place of an input among all inputs of the tower, which stand in the order of [`TilePlan::inputs`]: tiles row by
    /// row, the overview before or after them. `None` is the overview.
    pub fn input_of(&self, tile: Option<usize>) -> usize {
        let first = self.overview.is_some_and(|o| o.place == Place::First);
        match tile {
            Some(tile) => tile + usize::from(first),
            None if first => 0,
            None => self.tiles.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Policy;
    use crate::image::tiles::{Mark, Tiling};

    #[test]
    fn every_policy_lists_as_many_rows_as_it_counts_tokens() {
        for name in ["anyres", "hd", "uhd", "uhd-paper", "monkey", "minicpmv", "internvl", "fuyu", "xcomposer"] {
            let tiling = Tiling::named(name.parse::<Policy>().unwrap()).unwrap();
            for (width, height) in [(640, 480), (300, 1000), (333, 777), (100, 100)] {
                let plan = tiling.plan(width, height).unwrap();
                let rows = plan.token_rows().unwrap();
                assert_eq!(rows.len() as u64, plan.tokens.total, "{name} {width}x{height}");
                let tiles =
                    |row: &TokenRow<'_>| !matches!(row, TokenRow::Tile { tile, .. } if *tile >= plan.tiles.len());
                assert!(rows.iter().all(tiles), "{name} {width}x{height}");
            }
        }
    }

    #[test]
    fn a_map_of_two_tiles_is_read_across_them() {
        let map = FeatureMap::whole(Of::Tiles, (4, 2), Some(Mark::vector("end")));
        let order = [Segment::Map(map.clone())];
        let tile = |tile, at| TokenRow::Tile { tile, at };
        let end = TokenRow::Mark("end");
        let rows = token_rows(&order, (2, 1)).unwrap();
        assert_eq!(rows[..5], [tile(0, 0), tile(0, 1), tile(1, 0), tile(1, 1), end]);
        assert_eq!(rows[5..], [tile(0, 2), tile(0, 3), tile(1, 2), tile(1, 3), end]);
        assert!(token_rows(&order, (3, 1)).is_err());
        let shrunk = [Segment::Map(FeatureMap { shrunk: Some((1, 1)), ..map })];
        assert!(matches!(token_rows(&shrunk, (2, 1)), Err(Error::Unsupported { .. })));
    }
}
