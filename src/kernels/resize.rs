//! A pass of Pillow's resize, as an integer kernel: along the rows of a picture or along its columns. It takes the
//! weights that `image::Taps` and `image::Walk` compute on the host, so every adapter gives Pillow's bytes.

use super::{Cost, Entry, Io, Kernel, Launch, TensorType, chunks, grid_2d, require};
use crate::image::{FINISHED, Plan, SLOTS, Samples, Taps, Walk};
use crate::reference::{self, Array, Cell};
use crate::{Caps, DType, Error, Result};

/// What a pass resizes: the lines of a pass are treated alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lines {
    /// Rows of `x`; `y` is \[outputs, lines\], so that a second such pass resizes the other axis and turns it back.
    Turned,
    /// Rows of `x`; `y` is \[lines, outputs\].
    Rows,
    /// Columns of `x`; `y` is \[outputs, lines\].
    Columns,
}

/// `x` u32 \[height, pitch\] (pixels `0xAABBGGRR`), `runs` u32 \[runs, 4\] and `steps` i32 \[steps, words\] of a
/// [`Walk`] along the lines -> `y` u32, as [`Lines`] says. An `x` beyond a binding comes in chunks of rows, unless
/// its columns are the lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resize {
    /// What the lines are, in `x` and in `y`.
    pub along: Lines,
    /// Lines of `x` that are resized: the first, and how many.
    pub lines: (u32, u32),
    /// Lines of `y`: of those that are resized, or more, which then repeat the last.
    pub laid: u32,
    /// Lines of `y` that lie in the resized picture, as a range; the others are `beyond`.
    pub inside: (u32, u32),
    /// Outputs of a line.
    pub outputs: u32,
    /// Outputs that a step of the walk finishes ([`Walk::most`]).
    pub most: u32,
    /// Weights of all outputs together.
    pub taps: u32,
    /// Samples of a line that the walk reads, at most ([`Walk::reads`]).
    pub reads: u32,
    /// Some steps of the walk read colours ([`Walk::colours`]).
    pub colours: bool,
    /// Colour of the samples before and after the picture, `0xAABBGGRR`.
    pub background: u32,
    /// Colour of what lies beyond the resized picture, `0xAABBGGRR`.
    pub beyond: u32,
    /// Words of `x` are `0xAARRGGBB`, as a BGRA texture has them.
    pub bgra: bool,
}

const BLACK: u32 = 0xff00_0000;

pub(super) const ENTRY: Entry =
    Entry { name: "resize", about: "a pass of a PIL-exact resize along rows or columns, integers only" };

/// Lanes walk side by side: those of a subgroup where adapters run them as one vector, else a workgroup's.
const LANES: [usize; 2] = [8, 64];
/// Workgroups that keep the cores of a CPU busy. Beyond them a run is as long as can be: it begins by reading what overlaps
/// its first output, which the one before has read too, and by missing the caches, which fetch ahead along a line.
const WORKGROUPS: usize = 128;
/// Outputs of a run: at least for a CPU, at most for a GPU, which has many lanes and is given something for each.
const RUN: [usize; 2] = [64, 16];

/// The two passes of a plan in their order, each with the tables that are its inputs after `x`. The first reads the
/// picture as u32 \[height, pitch\], where `pitch` may exceed its width; the second gives u32 \[crop height, crop
/// width\]. `software` is [`Caps::software`]: how the work is cut.
///
/// # Errors
/// As [`Plan::resampling`].
pub fn resize_passes(plan: &Plan, bgra: bool, software: bool) -> Result<[(Resize, Walk); 2]> {
    let taps = plan.resampling()?;
    let x = Samples { size: plan.source.0, held: 0, origin: plan.canvas.x };
    let y = Samples { size: plan.source.1, held: 0, origin: plan.canvas.y };
    let (x_inside, y_inside) = (taps.inside_x, taps.inside_y);
    // What lies between the passes has rows of whole quads.
    let padded = |lines: u32| lines.next_multiple_of(4);
    let walk = |taps: &Taps, samples, lines| Walk::new(taps, samples, longest_run(lines, taps.outputs(), software));
    let pass = |along, lines: (u32, u32), laid, inside, walk: Walk, bgra| {
        let (background, beyond) = (plan.background, plan.beyond);
        let kernel = Resize { laid, inside, background, beyond, bgra, ..Resize::new(along, lines, &walk) };
        (kernel, walk)
    };
    if taps.vertical_first {
        let columns = walk(&taps.rows, y, taps.reads_x.1)?;
        let (reads, height) = (taps.reads_x, plan.crop.height);
        let rows = walk(&taps.columns, Samples { held: reads.0, ..x }, height)?;
        return Ok([
            pass(Lines::Columns, reads, padded(reads.1), (0, padded(reads.1)), columns, bgra),
            pass(Lines::Rows, (0, height), height, y_inside, rows, false),
        ]);
    }
    let (reads, width) = (taps.reads_y, plan.crop.width);
    let rows = walk(&taps.columns, x, reads.1)?;
    let columns = walk(&taps.rows, Samples { held: reads.0, ..y }, width)?;
    Ok([
        pass(Lines::Turned, reads, padded(reads.1), (0, padded(reads.1)), rows, bgra),
        pass(Lines::Turned, (0, width), width, x_inside, columns, false),
    ])
}

/// Most outputs that a run of a walk should have where so many lines of `outputs` each are walked along.
pub fn longest_run(lines: u32, outputs: usize, software: bool) -> usize {
    if !software {
        return RUN[1];
    }
    let workgroups = (lines as usize).div_ceil(2 * LANES[0]).max(1);
    outputs.div_ceil(WORKGROUPS.div_ceil(workgroups)).max(RUN[0])
}

impl Resize {
    /// A pass over these lines, all of which lie in the picture, black beyond it.
    pub fn new(along: Lines, lines: (u32, u32), walk: &Walk) -> Self {
        Self {
            along,
            lines,
            laid: lines.1,
            inside: (0, lines.1),
            outputs: walk.outputs as u32,
            most: walk.most as u32,
            taps: walk.taps as u32,
            reads: walk.reads() as u32,
            colours: walk.colours(),
            background: BLACK,
            beyond: BLACK,
            bgra: false,
        }
    }
    /// Multiply-adds of a run: of each line, each weight with three channels.
    pub fn multiply_adds(&self) -> u64 {
        3 * u64::from(self.lines.1) * u64::from(self.taps)
    }
    /// Samples that a line of `x` has, and lines of `x`.
    fn extents(&self, x: &TensorType) -> (usize, usize) {
        if self.along == Lines::Columns { (x.rows(), x.cols()) } else { (x.cols(), x.rows()) }
    }
    /// Slots of the walk whose steps these are.
    fn slots(steps: &TensorType) -> Option<usize> {
        SLOTS.into_iter().find(|slots| Walk::row(*slots) == steps.cols())
    }
    /// A colour in the order of the bytes of `x`.
    fn word(&self, colour: u32) -> u32 {
        let [r, g, b, a] = colour.to_le_bytes();
        if self.bgra { u32::from_le_bytes([b, g, r, a]) } else { colour }
    }
    /// The parts for dispatches that begin at these lines of `y`, and lanes.
    fn parts(&self, io: &Io<'_>, caps: &Caps, starts: &[usize]) -> (Vec<&'static str>, usize) {
        let (x, steps) = (&io.inputs[0], &io.inputs[2]);
        let eight = caps.software && caps.subgroup == Some((8, 8));
        let even = io.outputs[0].cols().is_multiple_of(2) && starts.iter().all(|line| line.is_multiple_of(2));
        let slots = match Self::slots(steps) {
            Some(5) => "parts/slots_five",
            Some(6) => "parts/slots_six",
            Some(7) => "parts/slots_seven",
            _ => "parts/slots_eight",
        };
        let walk = match self.along {
            Lines::Columns if x.cols().is_multiple_of(2) && self.lines.0.is_multiple_of(2) => "parts/walk_pairs",
            Lines::Columns => "parts/walk_columns",
            _ if x.cols().is_multiple_of(4) => "parts/walk_quads",
            _ => "parts/walk_words",
        };
        let lay = match self.along {
            Lines::Rows => "parts/lay_along",
            _ if even => "parts/lay_pairs",
            _ => "parts/lay_words",
        };
        let (step, lanes) = if eight { ("parts/step_shared", LANES[0]) } else { ("parts/step_quads", LANES[1]) };
        (vec![ENTRY.name, "parts/pixel_rgb8", slots, walk, step, lay], lanes)
    }
    /// Pieces of `x` with the lines that they hold: one, or strips of rows.
    fn strips(&self, x: &TensorType, caps: &Caps) -> Result<Vec<Strip>> {
        let (first, end) = (self.lines.0 as usize, (self.lines.0 + self.lines.1) as usize);
        if self.along == Lines::Columns {
            // An output reads rows that may lie in two strips.
            fits("input", x, caps)?;
            return Ok(vec![Strip { chunk: None, line: first, y_line: 0, lines: end - first }]);
        }
        let strips = chunks(x, caps);
        let mut found = Vec::new();
        for (i, strip) in strips.iter().enumerate() {
            let (from, to) = (first.max(strip.first), end.min(strip.first + strip.rows));
            if from < to {
                fits("a strip of x", &TensorType::u32(&[strip.rows, x.cols()]), caps)?;
                let chunk = (strips.len() > 1).then_some((0, i));
                found.push(Strip { chunk, line: from - strip.first, y_line: from - first, lines: to - from });
            }
        }
        Ok(found)
    }
}

/// Lines of a dispatch.
struct Strip {
    /// Chunk of `x` that it binds.
    chunk: Option<(usize, usize)>,
    /// Its first line in the bound `x`, and in `y`.
    line: usize,
    y_line: usize,
    lines: usize,
}

/// The operand must be bound whole.
fn fits(what: &str, ty: &TensorType, caps: &Caps) -> Result<()> {
    let limit = caps.max_binding.min(caps.max_buffer);
    if ty.bytes() <= limit {
        return Ok(());
    }
    Err(Error::MissingCapability {
        what: format!("{what} {ty} of {}", ENTRY.name),
        needs: format!("a binding of {} bytes", ty.bytes()),
        has: format!("{limit}"),
    })
}

impl Kernel for Resize {
    fn name(&self) -> &'static str {
        ENTRY.name
    }
    fn inputs(&self) -> Vec<&'static str> {
        vec!["x", "runs", "steps"]
    }
    fn outputs(&self) -> Vec<&'static str> {
        vec!["y"]
    }
    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        require(self, inputs.len() == 3, || format!("{} inputs", inputs.len()))?;
        let (x, runs, steps) = (&inputs[0], &inputs[1], &inputs[2]);
        let tables = runs.dtype == DType::U32 && runs.shape.len() == 2 && runs.cols() == 4 && runs.rows() > 0;
        let walk = steps.dtype == DType::I32 && steps.shape.len() == 2 && Self::slots(steps).is_some();
        require(self, tables && walk && steps.rows() > 0, || format!("runs {runs} and steps {steps} are of no walk"))?;
        let end = u64::from(self.lines.0) + u64::from(self.lines.1);
        let picture = x.dtype == DType::U32 && x.shape.len() == 2 && x.elements() > 0;
        let counts = self.lines.1 > 0 && self.outputs > 0 && self.laid >= self.lines.1;
        require(self, picture && counts && end <= self.extents(x).1 as u64, || {
            format!("x {x} has no lines {}..{end}, or nothing is asked for", self.lines.0)
        })?;
        require(self, FINISHED.contains(&(self.most as usize)), || format!("{} finished a step", self.most))?;
        let (outputs, laid) = (self.outputs as usize, self.laid as usize);
        Ok(vec![TensorType::u32(&if self.along == Lines::Rows { [laid, outputs] } else { [outputs, laid] })])
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        let (x, runs, steps, y) = (&io.inputs[0], &io.inputs[1], &io.inputs[2], &io.outputs[0]);
        fits("weights", steps, caps)?;
        fits("output", y, caps)?;
        let strips = self.strips(x, caps)?;
        let (files, lanes) = self.parts(io, caps, &strips.iter().map(|s| s.y_line).collect::<Vec<_>>());
        let overrides = vec![
            ("LANES", lanes as f64),
            ("FINISHED", self.most.into()),
            ("COLOURS", f64::from(u8::from(self.colours))),
            ("BEYOND", f64::from(u8::from(self.inside.0 > 0 || self.inside.1 < self.lines.1))),
        ];
        let launch = |strip: &Strip| {
            let last = strip.y_line + strip.lines == self.lines.1 as usize;
            let laid = if last { self.laid as usize - strip.y_line } else { strip.lines };
            let tiles = laid.div_ceil(2 * lanes);
            let params = vec![
                ("lines", strip.lines as u32),
                ("laid", laid as u32),
                ("first", strip.line as u32),
                ("y_line", strip.y_line as u32),
                ("tiles", tiles as u32),
                ("runs", runs.rows() as u32),
                ("steps", steps.rows() as u32),
                ("outputs", self.outputs),
                ("pitch", x.cols() as u32),
                ("samples", self.extents(x).0 as u32),
                ("y_pitch", y.cols() as u32),
                ("background", self.word(self.background)),
                ("beyond", self.word(self.beyond)),
                ("red", if self.bgra { 16 } else { 0 }),
                ("inside_first", self.inside.0),
                ("inside_end", self.inside.1),
            ];
            let grid = grid_2d(tiles * runs.rows(), caps)?;
            Ok(Launch { files: files.clone(), overrides: overrides.clone(), params, grid, chunk: strip.chunk })
        };
        strips.iter().map(launch).collect()
    }
    fn cost(&self, io: &Io<'_>) -> Cost {
        // Only the lines that are asked for are read, and of them what the walk reaches.
        let samples = u64::from(self.reads).min(self.extents(&io.inputs[0]).0 as u64);
        let read = 4 * u64::from(self.lines.1) * samples;
        let rest: u64 = io.inputs[1..].iter().chain(io.outputs).map(TensorType::bytes).sum();
        Cost { flops: 0, bytes: read + rest }
    }
    fn oracle(&self, inputs: &[Array], _output: usize, row: usize) -> Vec<Cell> {
        reference::resize(self, inputs, row)
    }
    fn show(&self) -> String {
        let along = match self.along {
            Lines::Turned => "rows, turned",
            Lines::Rows => "rows",
            Lines::Columns => "columns",
        };
        let order = if self.bgra { " bgra" } else { "" };
        let (first, count) = self.lines;
        format!("{along} {first}+{count} to {}{order}", self.outputs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Resample;
    use crate::wgsl;

    fn walk() -> Walk {
        let taps = Taps::new(Resample::Bicubic, 50, 20, 0, 20).unwrap();
        Walk::new(&taps, Samples { size: 50, held: 0, origin: 0 }, 64).unwrap()
    }

    fn pass(along: Lines, lines: (u32, u32)) -> Resize {
        Resize::new(along, lines, &walk())
    }

    /// Inputs for `x` of this shape and weights from 50 samples to 20, with the slots that a walk may have.
    fn inputs(x: [usize; 2], slots: usize) -> Vec<TensorType> {
        let steps = TensorType::new(DType::I32, &[walk().count(), Walk::row(slots)]);
        vec![TensorType::u32(&x), TensorType::u32(&[1, 4]), steps]
    }

    fn launches(kernel: &Resize, inputs: &[TensorType], caps: &Caps) -> Result<Vec<Launch>> {
        let outputs = kernel.infer(inputs)?;
        kernel.launch(&Io { inputs, outputs: &outputs }, caps)
    }

    #[test]
    fn shaders_declare_what_is_launched() {
        let eight = Caps { software: true, int64: true, subgroup: Some((8, 8)), ..Caps::floor() };
        for caps in [Caps::floor(), eight] {
            for (along, lines, x) in [
                (Lines::Turned, 9, [9, 52]),
                (Lines::Turned, 8, [9, 50]),
                (Lines::Rows, 9, [9, 50]),
                (Lines::Columns, 9, [50, 9]),
                (Lines::Columns, 9, [50, 10]),
            ] {
                for slots in SLOTS {
                    let kernel = pass(along, (0, lines));
                    let launch = launches(&kernel, &inputs(x, slots), &caps).unwrap().remove(0);
                    let linked = wgsl::link(&launch.files).unwrap();
                    let reflection = wgsl::reflect(&linked, &launch.overrides).unwrap();
                    reflection.check(kernel.name(), &caps).unwrap();
                }
            }
        }
    }

    #[test]
    fn strips_cover_every_line_once() {
        let caps = Caps { max_binding: 4096, ..Caps::floor() };
        // Rows of 200 bytes: 20 fit a strip.
        let of = |lines, caps: &Caps| {
            let kernel = Resize { laid: 33, ..pass(Lines::Turned, lines) };
            let found = launches(&kernel, &inputs([100, 50], 5), caps).unwrap();
            let param = |l: &Launch, name: &str| l.params.iter().find(|(n, _)| *n == name).unwrap().1;
            let words = |l: &Launch| ["first", "y_line", "lines", "laid"].map(|name| param(l, name));
            found.iter().map(|l| (l.chunk, words(l))).collect::<Vec<_>>()
        };
        assert_eq!(of((7, 13), &caps), [(Some((0, 0)), [7, 0, 13, 33])]);
        let strips = [(Some((0, 0)), [15, 0, 5, 5]), (Some((0, 1)), [0, 5, 20, 20]), (Some((0, 2)), [0, 25, 5, 8])];
        assert_eq!(of((15, 30), &caps), strips);
        assert_eq!(of((15, 30), &Caps::floor()), [(None, [15, 0, 30, 33])]);
    }

    #[test]
    fn what_cannot_be_bound_or_read_is_an_error() {
        let caps = Caps { max_binding: 4096, ..Caps::floor() };
        let error = launches(&pass(Lines::Columns, (0, 50)), &inputs([100, 50], 5), &caps).unwrap_err();
        assert!(matches!(error, Error::MissingCapability { .. }), "{error}");
        let wide = launches(&pass(Lines::Turned, (0, 1)), &inputs([2, 2000], 5), &caps).unwrap_err();
        assert!(matches!(wide, Error::MissingCapability { .. }), "{wide}");
        assert!(pass(Lines::Rows, (90, 11)).infer(&inputs([100, 50], 5)).is_err());
        assert!(pass(Lines::Columns, (u32::MAX, 11)).infer(&inputs([100, 50], 5)).is_err());
        let mut floats = inputs([100, 50], 5);
        floats[2].dtype = DType::F32;
        assert!(pass(Lines::Turned, (0, 1)).infer(&floats).is_err());
        floats[2] = TensorType::new(DType::I32, &[9, Walk::row(5) + 1]);
        assert!(pass(Lines::Turned, (0, 1)).infer(&floats).is_err(), "no walk has such rows");
    }
}
