//! Plans as text for people: one line a fact.

use super::{FeatureMap, Of, Place, Segment, TilePlan};
use std::fmt;

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Overview { tokens } => write!(f, "overview {tokens}"),
            Self::Tile { index, tokens } => write!(f, "tile {} {tokens}", index + 1),
            Self::Mark(mark) if mark.learned => write!(f, "[{}]", mark.name),
            Self::Mark(mark) => write!(f, "{:?}", mark.name),
            Self::Map(map) => write!(f, "{map}"),
        }
    }
}

impl fmt::Display for FeatureMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = if self.of == Of::Tiles { "map of the tiles" } else { "map of the overview" };
        let (columns, rows) = self.size();
        write!(f, "{of} {columns}x{rows}")?;
        if (self.kept.width, self.kept.height) != self.full {
            write!(f, " (of {}x{} from {},{}", self.full.0, self.full.1, self.kept.x, self.kept.y)?;
            if self.shrunk.is_some() {
                write!(f, ", {}x{} shrunk", self.kept.width, self.kept.height)?;
            }
            f.write_str(")")?;
        } else if self.shrunk.is_some() {
            write!(f, " (shrunk from {}x{})", self.full.0, self.full.1)?;
        }
        match &self.row_end {
            Some(mark) => write!(f, ", {} behind each row", Segment::Mark(mark.clone())),
            None => Ok(()),
        }
    }
}

impl fmt::Display for TilePlan {
    /// Several lines without one at the end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = |(width, height): (u32, u32)| format!("{width}x{height}");
        write!(f, "{}  policy {}", size(self.size), self.policy)?;
        let through = self.through.map_or_else(String::new, |s| format!("{}, then to ", size(s)));
        write!(f, "\n  resized    to {through}{}", size(self.resized))?;
        let source = self.source;
        if (source.width, source.height) != self.size {
            write!(f, ", after padding to {}x{}", source.width, source.height)?;
        }
        let canvas = self.canvas;
        if (canvas.width, canvas.height) != self.resized {
            let (x, y) = (-canvas.x, -canvas.y);
            write!(f, "\n  canvas     {}x{}, the picture at {x},{y}", canvas.width, canvas.height)?;
        }
        if let (Some((columns, rows)), Some(tile)) = (self.grid, self.tiles.first()) {
            write!(f, "\n  tiles      {columns} x {rows}, {} each", size(tile.out))?;
        }
        if let Some(overview) = self.overview {
            let place = if overview.place == Place::First { "first" } else { "last" };
            write!(f, "\n  overview   {}, {place}", size(overview.out))?;
        }
        let t = &self.tokens;
        write!(f, "\n  tokens     {} = {} of tiles", t.total, t.tiles)?;
        write!(f, " + {} of the overview + {} separators ({} a tile)", t.overview, t.separators, t.per_tile)?;
        let order = self.order.iter().map(Segment::to_string).collect::<Vec<_>>().join(" ");
        write!(f, "\n  order      {order}")?;
        match &self.choice {
            Some(choice) => write!(f, "\n  cap        {choice}"),
            None => Ok(()),
        }
    }
}
