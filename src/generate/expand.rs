//! What stands for a picture in a prompt: its placeholder becomes the plan's order of feature rows and marks.

use super::Model;
use super::pictures::Pixels;
use crate::image::tiles::{Mark, Segment};
use crate::text::Tokenizer;
use crate::{Error, Result};

/// Where a picture stands among the tokens of a prompt.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Placed {
    /// First token.
    pub first: usize,
    /// Tokens, marks included.
    pub len: usize,
    /// Of these, counted from the first, those that take the next feature rows, ascending.
    pub rows: Vec<usize>,
    /// (times, rows, columns) of its features, where their places are positions.
    pub grid: [usize; 3],
    /// Tiles that it fills, where a decoder attends to them.
    pub tiles: usize,
}

impl Placed {
    /// The same picture `by` tokens later.
    pub fn moved(mut self, by: usize) -> Self {
        self.first += by;
        self
    }
    /// Positions of its feature rows.
    pub fn positions(&self) -> impl Iterator<Item = usize> + '_ {
        self.rows.iter().map(|row| self.first + row)
    }
}

/// The token behind or before which a neighbour's equal mark is left out.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Joint {
    /// The id of the last mark, where the picture's tokens end in one.
    pub last: Option<u32>,
}

enum Piece {
    Rows(usize),
    Mark(String),
}

/// Appends the tokens of picture `number` of a conversation to `ids`. `joint` is that of the picture before where nothing
/// stands between.
///
/// # Errors
/// [`Error::Unsupported`] for a model without a token for picture rows.
pub(super) fn expand(
    model: &Model,
    tokenizer: &Tokenizer,
    (picture, number): (&Pixels, usize),
    joint: Joint,
    ids: &mut Vec<u32>,
) -> Result<(Placed, Joint)> {
    let token =
        model.spec.image_token.ok_or_else(|| Error::unsupported("a picture", "the model has no token for it"))?;
    let (grid, tiles) = (grid(model, picture), picture.inputs.len());
    if model.spec.decoder.as_ref().is_some_and(|decoder| decoder.cross.is_some()) {
        // Its features stand beside the prompt.
        ids.push(token);
        return Ok((Placed { first: ids.len() - 1, len: 1, rows: Vec::new(), grid, tiles }, Joint::default()));
    }
    let mut pieces = pieces(&picture.plan.order);
    for piece in &mut pieces {
        if matches!(piece, Piece::Mark(name) if name == Mark::NUMBER) {
            *piece = Piece::Mark(number.to_string());
        }
    }
    let (mut own, mut rows, mut at) = (Vec::new(), Vec::new(), 0);
    while at < pieces.len() {
        if let Piece::Rows(count) = &pieces[at] {
            rows.extend(own.len()..own.len() + count);
            own.extend(std::iter::repeat_n(token, *count));
            at += 1;
            continue;
        }
        let marks = pieces[at..].iter().map_while(|p| if let Piece::Mark(m) = p { Some(m.as_str()) } else { None });
        let marks: Vec<&str> = marks.collect();
        at += marks.len();
        own.extend(mark_ids(tokenizer, &marks)?);
    }
    let first = own.first().copied().filter(|id| *id != token);
    let skip = usize::from(model.spec.merge_marks && first.is_some() && first == joint.last);
    let rows = rows.into_iter().map(|row| row - skip).collect();
    let placed = Placed { first: ids.len(), len: own.len() - skip, rows, grid, tiles };
    let last = own.last().copied().filter(|id| *id != token);
    ids.extend(own.into_iter().skip(skip));
    Ok((placed, Joint { last }))
}

/// (times, rows, columns) of the features of a picture that is one input: squares of its patches.
fn grid(model: &Model, picture: &Pixels) -> [usize; 3] {
    let (Some(tower), [input]) = (&model.spec.vision, picture.inputs.as_slice()) else { return [1, 0, 0] };
    let (width, height) = input.size();
    let (rows, cols) = tower.grid((height as usize, width as usize));
    [1, rows / tower.order.merge.max(1), cols / tower.order.merge.max(1)]
}

/// Feature rows (learned vectors among them) and marks in their order.
fn pieces(order: &[Segment]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let push = |pieces: &mut Vec<Piece>, mark: &Mark| {
        pieces.push(if mark.learned { Piece::Rows(1) } else { Piece::Mark(mark.name.to_string()) });
    };
    for segment in order {
        match segment {
            Segment::Overview { tokens } | Segment::Tile { tokens, .. } => pieces.push(Piece::Rows(*tokens as usize)),
            Segment::Mark(mark) => push(&mut pieces, mark),
            Segment::Map(map) => {
                for row in 0..map.size().1 {
                    pieces.push(Piece::Rows(map.size().0 as usize));
                    let last = map.last_end.as_ref().filter(|_| row + 1 == map.size().1);
                    if let Some(mark) = last.or(map.row_end.as_ref()) {
                        push(&mut pieces, mark);
                    }
                }
            }
        }
    }
    pieces
}

/// Ids of marks that follow one another. What is no token of its own is encoded as the text that it makes together.
fn mark_ids(tokenizer: &Tokenizer, marks: &[&str]) -> Result<Vec<u32>> {
    let (mut ids, mut text) = (Vec::new(), String::new());
    for mark in marks {
        match tokenizer.token_to_id(mark) {
            Some(id) => {
                ids.extend(text_ids(tokenizer, &text)?);
                text.clear();
                ids.push(id);
            }
            None => text.push_str(mark),
        }
    }
    ids.extend(text_ids(tokenizer, &text)?);
    Ok(ids)
}

/// Ids of a text between special tokens; a single byte is its byte token where the vocabulary has those.
fn text_ids(tokenizer: &Tokenizer, text: &str) -> Result<Vec<u32>> {
    match text.as_bytes() {
        [] => Ok(Vec::new()),
        [byte] => match tokenizer.token_to_id(&format!("<0x{byte:02X}>")) {
            Some(id) => Ok(vec![id]),
            None => tokenizer.encode(text, false),
        },
        _ => tokenizer.encode(text, false),
    }
}
