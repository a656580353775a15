//! What a policy decides about one picture: sizes, tiles, overview, and the order in which features reach the
//! language model. Plain data; the same picture size always gives the same plan.

use crate::image::{Policy, Window};
use crate::{Error, Result};
use std::borrow::Cow;

/// Longest side of a picture: products of two sides stay exact in an f64, as they are in Python.
pub const MAX_SIDE: u32 = 1 << 26;
/// Most tiles that a policy may be set to.
pub const MAX_TILES: u32 = 4096;
/// Most pixels of all inputs of the tower together.
const MAX_PIXELS: u64 = 1 << 34;

/// A rectangle of pixels or of features.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Area {
    /// Left edge.
    pub x: u32,
    /// Upper edge.
    pub y: u32,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

/// One input of the vision tower that is cut out of the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tile {
    /// What is cut, in pixels of the canvas.
    pub area: Area,
    /// Size (width, height) in which it goes into the tower; resized where it differs from the area.
    pub out: (u32, u32),
}

/// Where the overview stands among the features.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// Before the tiles.
    First,
    /// After the tiles.
    Last,
}

/// What the overview is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum From {
    /// The picture as it was decoded.
    Picture,
    /// The canvas: the picture after resizing and padding.
    Canvas,
    /// The canvas after normalising, by torch's bicubic filter without antialias (Monkey).
    Normalized,
}

/// The whole picture as one more input of the tower.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Overview {
    /// Size (width, height) of the input.
    pub out: (u32, u32),
    /// Where its features stand.
    pub place: Place,
    /// What is resized to it.
    pub from: From,
}

/// One embedding that no tile gave: a token of the vocabulary, or a learned vector.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Mark {
    /// The token's text, or the name of the learned vector.
    pub name: Cow<'static, str>,
    /// A learned vector of the model rather than a row of its token embeddings.
    pub learned: bool,
}

impl Mark {
    /// The name of the mark that is the number of the picture in its conversation, from 0 on.
    pub const NUMBER: &str = "{n}";
    /// A token of the vocabulary.
    pub const fn token(text: &'static str) -> Self {
        Self { name: Cow::Borrowed(text), learned: false }
    }
    /// A learned vector.
    pub const fn vector(name: &'static str) -> Self {
        Self { name: Cow::Borrowed(name), learned: true }
    }
}

/// Which features a [`FeatureMap`] lays out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Of {
    /// Those of the overview.
    Overview,
    /// Those of all tiles, each at its place in the grid.
    Tiles,
}

/// Features as a map, read row by row.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FeatureMap {
    /// Which features.
    pub of: Of,
    /// Size (columns, rows) of the whole map.
    pub full: (u32, u32),
    /// What is kept of it; less than all where padding is cut away.
    pub kept: Area,
    /// Size (columns, rows) that the kept part is shrunk to, bilinearly.
    pub shrunk: Option<(u32, u32)>,
    /// What stands behind every row.
    pub row_end: Option<Mark>,
    /// What stands behind the last row instead.
    pub last_end: Option<Mark>,
}

impl FeatureMap {
    /// A map that is kept whole.
    pub fn whole(of: Of, full: (u32, u32), row_end: Option<Mark>) -> Self {
        let kept = Area { x: 0, y: 0, width: full.0, height: full.1 };
        Self { of, full, kept, shrunk: None, row_end, last_end: None }
    }
    /// (columns, rows) that are read.
    pub fn size(&self) -> (u32, u32) {
        self.shrunk.unwrap_or((self.kept.width, self.kept.height))
    }
    /// Features without marks.
    pub fn features(&self) -> u64 {
        u64::from(self.size().0) * u64::from(self.size().1)
    }
    /// Marks at the ends of rows.
    pub fn marks(&self) -> u64 {
        if self.row_end.is_some() { self.size().1.into() } else { 0 }
    }
}

/// A piece of what stands for the picture in the sequence.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Segment {
    /// All features of the overview.
    Overview {
        /// How many.
        tokens: u64,
    },
    /// All features of a tile.
    Tile {
        /// Its place in [`TilePlan::tiles`].
        index: usize,
        /// How many.
        tokens: u64,
    },
    /// Features row by row.
    Map(FeatureMap),
    /// One embedding in between.
    Mark(Mark),
}

impl Segment {
    /// Tokens of the segment.
    pub fn tokens(&self) -> u64 {
        match self {
            Self::Overview { tokens } | Self::Tile { tokens, .. } => *tokens,
            Self::Map(map) => map.features() + map.marks(),
            Self::Mark(_) => 1,
        }
    }
}

/// How many tokens a picture becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Tokens {
    /// Features that the tower and its connector give for one tile.
    pub per_tile: u64,
    /// Features of the overview.
    pub overview: u64,
    /// Features of all tiles that are kept.
    pub tiles: u64,
    /// Marks between them.
    pub separators: u64,
    /// All of it: the sum of the segments.
    pub total: u64,
}

/// How many features a connector makes of one input of the tower.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Features {
    /// One for each square of so many pixels: patch size, times the factor by which a connector merges sides.
    Squares(u32),
    /// One for each square as above, and one more (a class token that is kept).
    SquaresAndClass(u32),
    /// So many learned queries, whatever the size.
    Queries(u64),
}

impl Features {
    /// Features of an input of that size.
    pub fn count(&self, (width, height): (u32, u32)) -> u64 {
        let squares = |side: u32| u64::from(width / side.max(1)) * u64::from(height / side.max(1));
        match *self {
            Self::Squares(side) => squares(side),
            Self::SquaresAndClass(side) => squares(side) + 1,
            Self::Queries(count) => count,
        }
    }
}

/// What becomes of one picture. Sizes are (width, height) in pixels.
#[derive(Debug, Clone, PartialEq)]
pub struct TilePlan {
    /// The policy that decided.
    pub policy: Policy,
    /// Size of the picture.
    pub size: (u32, u32),
    /// What is resized: the whole picture, or a square around it. In pixels of the picture.
    pub source: Window,
    /// Colour beyond the picture inside `source`.
    pub around: [u8; 3],
    /// A size that the source takes on the way to `resized`: it is resized twice, with bytes in between.
    pub through: Option<(u32, u32)>,
    /// Size that the source is resized to.
    pub resized: (u32, u32),
    /// What tiles are cut from, in pixels of the resized picture: larger where it is padded, smaller where cropped.
    pub canvas: Window,
    /// Colour of the canvas beyond the resized picture.
    pub beyond: [u8; 3],
    /// (columns, rows) of tiles; none where the overview is all there is.
    pub grid: Option<(u32, u32)>,
    /// Tiles, row by row. They cover the canvas exactly.
    pub tiles: Vec<Tile>,
    /// The whole picture as one more input.
    pub overview: Option<Overview>,
    /// Counts.
    pub tokens: Tokens,
    /// What stands for the picture in the sequence, in order.
    pub order: Vec<Segment>,
    /// Why a cap changed the plan, in words.
    pub choice: Option<String>,
}

impl TilePlan {
    /// The whole picture resized, nothing cut yet.
    pub(super) fn new(policy: Policy, size: (u32, u32), resized: (u32, u32)) -> Self {
        Self {
            policy,
            size,
            source: Window { x: 0, y: 0, width: size.0, height: size.1 },
            around: [0; 3],
            through: None,
            resized,
            canvas: Window { x: 0, y: 0, width: resized.0, height: resized.1 },
            beyond: [0; 3],
            grid: None,
            tiles: Vec::new(),
            overview: None,
            tokens: Tokens::default(),
            order: Vec::new(),
            choice: None,
        }
    }
    /// The canvas as one input of its own size.
    pub(super) fn one_tile(self) -> Self {
        let out = (self.canvas.width, self.canvas.height);
        self.cut((1, 1), out)
    }
    /// Equal tiles, row by row, of `canvas / grid` pixels each, which go into the tower at size `out`.
    pub(super) fn cut(mut self, grid: (u32, u32), out: (u32, u32)) -> Self {
        let (width, height) = (self.canvas.width / grid.0.max(1), self.canvas.height / grid.1.max(1));
        let at = |row: u32, column: u32| Area { x: column * width, y: row * height, width, height };
        let cells = (0..grid.1).flat_map(|row| (0..grid.0).map(move |column| (row, column)));
        self.tiles = cells.map(|(row, column)| Tile { area: at(row, column), out }).collect();
        self.grid = Some(grid);
        self
    }
    /// Adds the overview; its features are placed by [`TilePlan::finish`]'s order.
    pub(super) fn overview(mut self, out: (u32, u32), place: Place, from: From) -> Self {
        self.overview = Some(Overview { out, place, from });
        self
    }
    /// All tiles in their order, each as a segment.
    pub(super) fn tile_segments(&self, features: Features) -> impl Iterator<Item = Segment> + '_ {
        let segment = move |(index, tile): (usize, &Tile)| Segment::Tile { index, tokens: features.count(tile.out) };
        self.tiles.iter().enumerate().map(segment)
    }
    /// The overview as a segment, if there is one.
    pub(super) fn overview_segment(&self, features: Features) -> Option<Segment> {
        self.overview.map(|o| Segment::Overview { tokens: features.count(o.out) })
    }
    /// Sets the order and counts; checks what no tower takes.
    pub(super) fn finish(mut self, features: Features, order: Vec<Segment>) -> Result<Self> {
        let tiles = self.tiles.iter().map(|t| t.out);
        let inputs: Vec<(u32, u32)> = tiles.chain(self.overview.map(|o| o.out)).collect();
        let pixels = |(width, height): (u32, u32)| u64::from(width) * u64::from(height);
        let sizes = [self.resized, (self.canvas.width, self.canvas.height)];
        if sizes.iter().chain(&inputs).any(|size| pixels(*size) == 0) {
            return Err(self.refuse("too narrow: a side becomes 0 pixels"));
        }
        let all = inputs.iter().fold(0u64, |sum, size| sum.saturating_add(pixels(*size)));
        if all > MAX_PIXELS || sizes.iter().any(|s| pixels(*s) > MAX_PIXELS) {
            return Err(self.refuse("it becomes more than 2^34 pixels; set a cap on image tokens"));
        }
        let mut tokens = Tokens { total: order.iter().map(Segment::tokens).sum(), ..Tokens::default() };
        tokens.per_tile = self.tiles.first().map_or(0, |t| features.count(t.out));
        for segment in &order {
            match segment {
                Segment::Overview { tokens: n } => tokens.overview += n,
                Segment::Tile { tokens: n, .. } => tokens.tiles += n,
                Segment::Mark(_) => tokens.separators += 1,
                Segment::Map(map) => {
                    tokens.separators += map.marks();
                    let slot = if map.of == Of::Overview { &mut tokens.overview } else { &mut tokens.tiles };
                    *slot += map.features();
                }
            }
        }
        (self.tokens, self.order) = (tokens, order);
        Ok(self)
    }
    fn refuse(&self, reason: &str) -> Error {
        refuse(self.policy, self.size, reason)
    }
}

/// A picture that a policy cannot take.
pub(super) fn refuse(policy: Policy, (width, height): (u32, u32), reason: &str) -> Error {
    Error::argument(format!("picture of {width}x{height} under policy {}", policy.name()), reason)
}
