//! How the kernels that work row by row, or cell by cell, divide their work: which parts, how many lanes, which grid.
//!
//! Measured on lavapipe (Mesa 22.3.6), where every access of a lane costs the same wherever it goes: one subgroup
//! a workgroup, and four rows at once so that gain and bias are loaded once for four. A GPU gets a workgroup a
//! row and as many lanes as the row has blocks.

use super::{Kernel, Launch, TensorType, elem_part, grid_2d, require};
use crate::{Caps, DType, Result};

/// From here on a software adapter has enough groups of four rows for its threads.
const FOUR_FROM: usize = 32;
/// Lanes of a workgroup on a software adapter: about the width of its vectors.
const SOFTWARE_LANES: u32 = 8;
/// Quads that a lane of an elementwise kernel takes, in turn.
const SOFTWARE_STEPS: u32 = 32;
const STEPS: u32 = 4;
/// Blocks of a row that a lane holds at most: as many as `sweep_held` has names for.
const HELD: usize = 8;

/// Part that reads rows of `cols` cells of `dtype`.
fn xy_part(cols: usize, dtype: DType, caps: &Caps) -> &'static str {
    match cols.is_multiple_of(4) {
        true if dtype == DType::F32 && caps.by_pairs() => "parts/xy_pairs",
        true => "parts/xy_quads",
        false => "parts/xy_cells",
    }
}

/// The reduce part and the lanes for rows of `blocks` blocks.
pub(super) fn reduce_part(blocks: usize, caps: &Caps) -> (&'static str, u32) {
    match caps.subgroup {
        // The only subgroup size there is, so a workgroup of as many lanes is one subgroup.
        Some((small, large)) if caps.software && small == large && small <= 2 * SOFTWARE_LANES => {
            ("parts/reduce_single", small)
        }
        _ if caps.software => ("parts/reduce_shared", SOFTWARE_LANES),
        subgroup => {
            let lanes = (blocks as u32).next_power_of_two().clamp(32, 256).min(caps.max_lanes);
            (if subgroup.is_some() { "parts/reduce_subgroup" } else { "parts/reduce_shared" }, lanes)
        }
    }
}

/// The parts of roles gain and bias for rows of `x`.
pub(super) fn column_parts(x: &TensorType, caps: &Caps) -> [&'static str; 2] {
    match caps.by_pairs() && x.cols().is_multiple_of(4) {
        true => ["parts/gain_pairs", "parts/bias_pairs"],
        false => ["parts/gain_cols", "parts/bias_cols"],
    }
}

/// A run of rows that one dispatch takes, and the part that reads them.
struct Span {
    first: usize,
    end: usize,
    xy: &'static str,
}

/// Spans of rows for a kernel without operands by column, whose quads need not begin where rows begin. Rows of no
/// whole quads are read by aligned quads; that needs an extent of whole quads, so up to three rows are left over.
fn spans(rows: usize, cols: usize, dtype: DType, caps: &Caps) -> Vec<Span> {
    let whole = rows / whole_quads(cols) * whole_quads(cols);
    if whole == rows || cols < 4 || whole == 0 {
        let xy = if cols < 4 || cols.is_multiple_of(4) { xy_part(cols, dtype, caps) } else { "parts/xy_ragged" };
        let xy = if whole == rows { xy } else { xy_part(cols, dtype, caps) };
        return vec![Span { first: 0, end: rows, xy }];
    }
    vec![Span { first: 0, end: whole, xy: "parts/xy_ragged" }, Span { first: whole, end: rows, xy: "parts/xy_cells" }]
}

/// Launches of a kernel that reduces rows of `x` and reads nothing by column: roles elem, xy, rows, reduce.
pub(super) fn by_whole_row(
    kernel: &dyn Kernel,
    x: &TensorType,
    caps: &Caps,
    params: &[(&'static str, u32)],
) -> Result<Vec<Launch>> {
    let (rows, cols) = extents(kernel, x)?;
    let (reduce, lanes) = reduce_part(cols.div_ceil(16), caps);
    let launch = |span: &Span| {
        let (rows_part, step) = rows_part(span.end - span.first, caps);
        let files = vec![kernel.name(), elem_part(x.dtype, caps)?, span.xy, rows_part, reduce];
        let mut all = vec![("rows", span.end as u32), ("cols", cols as u32), ("first", span.first as u32)];
        all.extend(params);
        let grid = grid_2d((span.end - span.first).div_ceil(step), caps)?;
        Ok(Launch { files, overrides: vec![("LANES", lanes.into())], params: all, grid, chunk: None })
    };
    spans(rows, cols, x.dtype, caps).iter().map(launch).collect()
}

/// Launches of softmax: as [`by_whole_row`], but a software adapter holds rows that fit in registers.
pub(super) fn sweep(kernel: &dyn Kernel, x: &TensorType, caps: &Caps) -> Result<Vec<Launch>> {
    let mut launches = by_whole_row(kernel, x, caps, &[])?;
    for launch in &mut launches {
        let held = caps.software && hold(launch, x.cols(), caps)?;
        launch.files.push(if held { "parts/sweep_held" } else { "parts/sweep_streams" });
    }
    Ok(launches)
}

/// Changes a launch to the part `sweep_held`, unless the rows are too wide for it.
fn hold(launch: &mut Launch, cols: usize, caps: &Caps) -> Result<bool> {
    let (_, lanes) = reduce_part(cols.div_ceil(16), caps);
    // A ragged row may touch one quad more than it fills; as many rows as are whole quads go together.
    let ragged = launch.files.contains(&"parts/xy_ragged");
    let quads = if ragged { (cols + 6) / 4 } else { cols.div_ceil(4) };
    let together = if ragged { whole_quads(cols) } else { 1 };
    let blocks = quads.div_ceil(4 * lanes as usize);
    if blocks > HELD {
        return Ok(false);
    }
    launch.files.retain(|file| !file.starts_with("parts/rows_"));
    launch.files.iter_mut().filter(|file| **file == "parts/xy_ragged").for_each(|file| *file = "parts/xy_stacked");
    launch.overrides.extend([("HELD", blocks as f64), ("ROWS", together as f64)]);
    let rows = (launch.params[0].1 - launch.params[2].1) as usize;
    launch.grid = grid_2d(rows / together, caps)?;
    Ok(true)
}

/// The number of rows that are whole quads together.
fn whole_quads(cols: usize) -> usize {
    match cols % 4 {
        0 => 1,
        2 => 2,
        _ => 4,
    }
}

/// The part that says how many rows a workgroup takes, and how many that are.
fn rows_part(rows: usize, caps: &Caps) -> (&'static str, usize) {
    if caps.software && rows >= FOUR_FROM { ("parts/rows_four", 4) } else { ("parts/rows_one", 1) }
}

/// Launch of a kernel that reduces rows of `x`: roles elem, xy, rows, reduce, then `parts`.
pub(super) fn by_row(
    kernel: &dyn Kernel,
    x: &TensorType,
    caps: &Caps,
    parts: &[&'static str],
    params: &[(&'static str, u32)],
) -> Result<Vec<Launch>> {
    let (rows, cols) = extents(kernel, x)?;
    let (reduce, lanes) = reduce_part(cols.div_ceil(16), caps);
    let (rows_part, step) = rows_part(rows, caps);
    let mut files = vec![kernel.name(), elem_part(x.dtype, caps)?, xy_part(cols, x.dtype, caps), rows_part, reduce];
    files.extend(parts);
    let mut all = vec![("rows", rows as u32), ("cols", cols as u32)];
    all.extend(params);
    Ok(vec![Launch {
        files,
        overrides: vec![("LANES", lanes.into())],
        params: all,
        grid: grid_2d(rows.div_ceil(step), caps)?,
        chunk: None,
    }])
}

/// Launch of a kernel that maps the cells of `rows` rows of `cols`: roles elem, xy, then `parts`.
pub(super) fn by_cell(
    kernel: &dyn Kernel,
    y: &TensorType,
    (rows, cols): (usize, usize),
    caps: &Caps,
    parts: &[&'static str],
) -> Result<Launch> {
    extents(kernel, y)?;
    let (lanes, steps) = if caps.software { (SOFTWARE_LANES, SOFTWARE_STEPS) } else { (64.min(caps.max_lanes), STEPS) };
    let mut files = vec![kernel.name(), elem_part(y.dtype, caps)?, xy_part(cols, y.dtype, caps)];
    files.extend(parts);
    let spans = cols.div_ceil(4).div_ceil((lanes * steps) as usize);
    Ok(Launch {
        files,
        overrides: vec![("LANES", lanes.into()), ("STEPS", steps.into())],
        params: vec![("rows", rows as u32), ("cols", cols as u32)],
        grid: grid_2d(rows * spans, caps)?,
        chunk: None,
    })
}

/// Rows and columns, when the kernel's u32 indices can name every cell.
pub(super) fn extents(kernel: &dyn Kernel, x: &TensorType) -> Result<(usize, usize)> {
    let cells = x.shape.iter().try_fold(1usize, |n, extent| n.checked_mul(*extent));
    let fits = cells.is_some_and(|n| n < u32::MAX as usize - 64);
    require(kernel, fits, || format!("{x} has more cells than 32-bit indices name"))?;
    require(kernel, x.cols() > 0, || format!("{x} has no columns"))?;
    Ok((x.rows(), x.cols()))
}

/// Activations are f32 or f16, in rows.
pub(super) fn activation(kernel: &dyn Kernel, x: &TensorType) -> Result<()> {
    use crate::DType::{F16, F32};
    let fits = matches!(x.dtype, F32 | F16) && x.layout == super::Layout::Rows;
    require(kernel, fits, || format!("{x} is not an activation: f32 or f16, row-major"))?;
    extents(kernel, x).map(|_| ())
}

/// A vector of f32, one cell a column of `x`.
pub(super) fn column_vector(kernel: &dyn Kernel, what: &str, v: &TensorType, x: &TensorType) -> Result<()> {
    let fits = v.dtype == crate::DType::F32 && v.layout == super::Layout::Rows && v.elements() == x.cols();
    require(kernel, fits, || format!("{what} {v} is not f32 with a cell for each column of x {x}"))
}

/// The number of inputs.
pub(super) fn arity(kernel: &dyn Kernel, inputs: &[TensorType]) -> Result<()> {
    let want = kernel.inputs().len();
    require(kernel, inputs.len() == want, || format!("takes {want} inputs, not {}", inputs.len()))
}

#[cfg(test)]
mod tests {
    use super::super::{Io, L2Norm, RmsNorm, Softmax};
    use super::*;
    use crate::DType;

    fn launch(kernel: &dyn Kernel, rows: usize, cols: usize, caps: &Caps) -> Launch {
        let inputs = [TensorType::f32(&[rows, cols]), TensorType::f32(&[cols])];
        kernel.launch(&Io { inputs: &inputs, outputs: &inputs[..1] }, caps).unwrap().remove(0)
    }

    #[test]
    fn variants_follow_the_adapter_and_the_shape() {
        let gpu = Caps { subgroup: Some((16, 64)), ..Caps::floor() };
        let software = Caps { software: true, subgroup: Some((8, 8)), ..Caps::floor() };
        let norm = RmsNorm { eps: 1e-6 };
        let on_gpu = launch(&norm, 577, 1024, &gpu);
        let gain = "parts/gain_cols";
        assert!(on_gpu.files.ends_with(&["parts/xy_quads", "parts/rows_one", "parts/reduce_subgroup", gain]));
        assert_eq!((on_gpu.grid, on_gpu.overrides[0]), ([577, 1, 1], ("LANES", 64.0)));
        let here = launch(&norm, 577, 1023, &software);
        assert!(here.files.ends_with(&["parts/xy_cells", "parts/rows_four", "parts/reduce_single", gain]));
        let pairs = launch(&norm, 577, 1024, &Caps { int64: true, ..software.clone() });
        assert!(pairs.files.contains(&"parts/xy_pairs") && pairs.files.ends_with(&["parts/gain_pairs"]));
        assert!(!launch(&norm, 577, 1024, &Caps { int64: true, ..gpu.clone() }).files.contains(&"parts/xy_pairs"));
        assert_eq!((here.grid, here.overrides[0]), ([145, 1, 1], ("LANES", 8.0)));
        assert!(launch(&L2Norm { eps: 1e-6 }, 4, 1023, &gpu).files.contains(&"parts/xy_ragged"));
        assert!(launch(&norm, 4, 1023, &gpu).files.contains(&"parts/xy_cells"), "gain is read by column");
        assert_eq!(launch(&norm, 70_000, 4, &gpu).grid, [65_535, 2, 1]);
    }

    #[test]
    fn a_software_adapter_holds_rows_that_fit() {
        let software = Caps { software: true, subgroup: Some((8, 8)), ..Caps::floor() };
        let launches = |rows: usize, cols: usize| {
            let types = [TensorType::f32(&[rows, cols])];
            Softmax::default().launch(&Io { inputs: &types, outputs: &types }, &software).unwrap()
        };
        let whole = launches(7, 1024);
        assert!(whole.len() == 1 && whole[0].files.ends_with(&["parts/reduce_single", "parts/sweep_held"]));
        assert!(launches(7, 1028)[0].files.ends_with(&[
            "parts/rows_one",
            "parts/reduce_single",
            "parts/sweep_streams"
        ]));
        let ragged = launches(577, 577);
        assert_eq!((ragged[0].grid, ragged[1].grid), ([144, 1, 1], [1, 1, 1]));
        assert!(ragged[0].files.contains(&"parts/xy_stacked") && ragged[1].files.contains(&"parts/xy_cells"));
        assert_eq!((ragged[0].params[0], ragged[1].params[2]), (("rows", 576), ("first", 576)));
    }

    #[test]
    fn sizes_that_indices_cannot_name_are_refused() {
        let norm = RmsNorm { eps: 1e-6 };
        let gain = TensorType::f32(&[1 << 20]);
        for x in
            [TensorType::f32(&[1 << 20, 1 << 20]), TensorType::f32(&[usize::MAX, 1 << 20]), TensorType::f32(&[3, 0])]
        {
            assert!(norm.infer(&[x, gain.clone()]).is_err());
        }
        assert!(norm.infer(&[TensorType::new(DType::U32, &[2, 4]), TensorType::f32(&[4])]).is_err());
        assert!(norm.infer(&[TensorType::f32(&[2, 4]), TensorType::f32(&[3])]).is_err());
        assert!(norm.infer(&[TensorType::f32(&[2, 4])]).is_err());
    }
}
