//! Layouts of pixel_values that are not planes of one size: rows of patches (Qwen2-VL), pictures filled up to the largest
//! (Pixtral), tiles filled up to the most (Llama 3.2 Vision), patches without a tower (Fuyu).

use super::inputs::{Inputs, Ints};
use super::pixels::{Planes, wrong};
use omma::generate::Pixels;
use omma::image::tiles::TilePlan;
use omma::models::{Tiled, TowerInputs, VisionTower};
use omma::{Error, Result};

/// Frames that a still picture is shown as.
const FRAMES: usize = 2;

fn ints<'i>(inputs: &'i Inputs, name: &str) -> Result<&'i Ints> {
    inputs.ints.get(name).ok_or_else(|| Error::argument(name, "is missing"))
}

/// (rows, columns) of patches of the pictures in `image_grid_thw` \[pictures, 3\].
fn grids(inputs: &Inputs) -> Result<Vec<(usize, usize)>> {
    let count = |v: i64| usize::try_from(v).ok().filter(|n| (1..=1 << 20).contains(n));
    let grid = |row: &[i64]| match (row.first(), count(row[1]), count(row[2])) {
        (Some(1), Some(rows), Some(cols)) => Ok((rows, cols)),
        _ => Err(Error::argument("image_grid_thw", format!("has a row {row:?}, not [1, rows, columns]"))),
    };
    ints(inputs, "image_grid_thw")?.values.chunks_exact(3).map(grid).collect()
}

/// The patch (row, column) of an input's planes as a row: \[channels, frames, patch, patch\] with equal frames.
fn patch_row(planes: &[f32], (height, width): (usize, usize), patch: usize, (row, col): (usize, usize)) -> Vec<f32> {
    let mut values = Vec::new();
    for plane in planes.chunks_exact(height * width) {
        for _ in 0..FRAMES {
            for y in 0..patch {
                values.extend_from_slice(&plane[(row * patch + y) * width + col * patch..][..patch]);
            }
        }
    }
    values
}

/// \[patches of all pictures, channels * frames * patch * patch\] in the tower's order -> planes.
pub fn from_patches(tower: &VisionTower, inputs: &Inputs, shape: &[usize], values: &[f32]) -> Result<Planes> {
    let (patch, channels) = (tower.patch.patch, tower.patch.channels);
    let area = patch * patch;
    let grids = grids(inputs)?;
    let rows: usize = grids.iter().map(|(rows, cols)| rows * cols).sum();
    if shape != [rows, channels * FRAMES * area] {
        return Err(wrong(shape, &format!("{rows} rows of {channels} x {FRAMES} x {patch} x {patch} belong there")));
    }
    let (mut all, mut sizes, mut next) = (Vec::new(), Vec::new(), values.chunks_exact(shape[1]));
    for grid in grids {
        let (height, width) = (grid.0 * patch, grid.1 * patch);
        let start = all.len();
        all.resize(start + channels * height * width, 0.0);
        for ((row, col), line) in tower.order.patches(grid).into_iter().zip(&mut next) {
            for (c, frames) in line.chunks_exact(FRAMES * area).enumerate() {
                let (first, rest) = frames.split_at(area);
                if rest.chunks_exact(area).any(|frame| frame != first) {
                    return Err(Error::unsupported("pixel_values whose frames differ", "still pictures are supported"));
                }
                for (y, pixels) in first.chunks_exact(patch).enumerate() {
                    let at = start + c * height * width + (row * patch + y) * width + col * patch;
                    all[at..at + patch].copy_from_slice(pixels);
                }
            }
        }
        sizes.push((height, width));
    }
    Ok(Planes { values: all, inputs: TowerInputs { sizes, ..TowerInputs::default() } })
}

/// Planes -> pixel_values and image_grid_thw of Qwen2-VL.
pub fn to_patches(tower: &VisionTower, sizes: &[(usize, usize)], planes: &[f32], inputs: &mut Inputs) {
    let (patch, channels) = (tower.patch.patch, tower.patch.channels);
    let (mut values, mut grids, mut from) = (Vec::new(), Vec::new(), 0);
    for size in sizes {
        let own = &planes[from..from + channels * size.0 * size.1];
        from += own.len();
        let grid = tower.grid(*size);
        for place in tower.order.patches(grid) {
            values.extend(patch_row(own, *size, patch, place));
        }
        grids.extend([1, grid.0 as i64, grid.1 as i64]);
    }
    let cols = channels * FRAMES * patch * patch;
    inputs.ints.insert("image_grid_thw".into(), Ints { shape: vec![sizes.len(), 3], values: grids });
    inputs.floats.insert("pixel_values".into(), (vec![values.len() / cols, cols], values));
}

/// \[pictures, channels, most rows, most columns\] of pixels with image_sizes \[pictures, 2\] (height, width) -> planes.
pub fn from_filled(inputs: &Inputs, shape: &[usize], values: &[f32]) -> Result<Planes> {
    let [_, channels, height, width] = shape[..] else { return Err(wrong(shape, "four axes belong there")) };
    let (mut all, mut sizes) = (Vec::new(), Vec::new());
    let pictures = values.chunks_exact(channels * height * width);
    for (size, picture) in ints(inputs, "image_sizes")?.values.chunks_exact(2).zip(pictures) {
        let (rows, cols) = (size[0] as usize, size[1] as usize);
        if rows == 0 || cols == 0 || rows > height || cols > width {
            return Err(wrong(shape, &format!("a picture of {cols}x{rows} pixels does not fit")));
        }
        for plane in picture.chunks_exact(height * width) {
            plane.chunks_exact(width).take(rows).for_each(|line| all.extend_from_slice(&line[..cols]));
        }
        sizes.push((rows, cols));
    }
    Ok(Planes { values: all, inputs: TowerInputs { sizes, ..TowerInputs::default() } })
}

/// Planes -> pixel_values and image_sizes of Pixtral: zeros beside and below smaller pictures.
pub fn to_filled(sizes: &[(usize, usize)], channels: usize, planes: &[f32], inputs: &mut Inputs) {
    let (height, width) = sizes.iter().fold((0, 0), |most, size| (most.0.max(size.0), most.1.max(size.1)));
    let (mut values, mut from) = (Vec::new(), 0);
    for (rows, cols) in sizes {
        for _ in 0..channels {
            for line in planes[from..from + rows * cols].chunks_exact(*cols) {
                values.extend_from_slice(line);
                values.resize(values.len() + width - cols, 0.0);
            }
            values.resize(values.len() + (height - rows) * width, 0.0);
            from += rows * cols;
        }
    }
    let list = sizes.iter().flat_map(|(rows, cols)| [*rows as i64, *cols as i64]).collect();
    inputs.ints.insert("image_sizes".into(), Ints { shape: vec![sizes.len(), 2], values: list });
    inputs.floats.insert("pixel_values".into(), (vec![sizes.len(), channels, height, width], values));
}

/// \[sequences, pictures, most tiles, channels, side, side\] with aspect_ratio_ids \[sequences, pictures\] -> planes of the
/// tiles that pictures fill. `plan` gives the plan of a picture of that (width, height).
pub fn from_tiles(
    tiled: &Tiled,
    inputs: &Inputs,
    (shape, values): (&[usize], &[f32]),
    plan: impl Fn(u32, u32) -> Result<TilePlan>,
) -> Result<Planes> {
    let [_, _, tiles, _, height, width] = shape[..] else { return Err(wrong(shape, "six axes belong there")) };
    let each: usize = shape[3..].iter().product();
    let (mut all, mut tower) = (Vec::new(), TowerInputs::default());
    for (id, picture) in ints(inputs, "aspect_ratio_ids")?.values.iter().zip(values.chunks_exact(tiles * each)) {
        let known = usize::try_from(*id).ok().and_then(|id| tiled.grids.get(id.checked_sub(1)?));
        let (rows, cols) = *known.ok_or_else(|| {
            Error::unsupported(format!("aspect ratio {id}"), format!("1 to {} are supported", tiled.grids.len()))
        })?;
        if rows * cols > tiles {
            return Err(wrong(shape, &format!("{rows}x{cols} tiles do not fit")));
        }
        all.extend_from_slice(&picture[..rows * cols * each]);
        tower.sizes.extend(vec![(height, width); rows * cols]);
        tower.plans.push(plan((cols * width) as u32, (rows * height) as u32)?);
    }
    Ok(Planes { values: all, inputs: tower })
}

/// Planes -> pixel_values, aspect_ratio_ids and aspect_ratio_mask of Llama 3.2 Vision, as one sequence has them.
pub fn to_tiles(tiled: &Tiled, pictures: &[Pixels], planes: &[f32], inputs: &mut Inputs) -> Result<()> {
    let count: usize = pictures.iter().map(|p| p.inputs.len()).sum();
    let each = planes.len() / count.max(1);
    let (mut values, mut ids, mut mask, mut from) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for picture in pictures {
        let filled = picture.inputs.len();
        values.extend_from_slice(&planes[from..from + filled * each]);
        from += filled * each;
        values.resize(values.len() + tiled.tiles.saturating_sub(filled) * each, 0.0);
        let grid = picture.plan.grid.map_or((1, 1), |(cols, rows)| (rows as usize, cols as usize));
        let id = tiled.grids.iter().position(|known| *known == grid);
        ids.push(id.map_or(0, |i| i as i64 + 1));
        mask.extend((0..tiled.tiles).map(|tile| i64::from(tile < filled)));
    }
    let size = pictures.iter().flat_map(|p| &p.inputs).map(|i| i.size()).next().unwrap_or((1, 1));
    let (width, height) = (size.0 as usize, size.1 as usize);
    let shape = vec![1, pictures.len(), tiled.tiles, each / (width * height), height, width];
    inputs.floats.insert("pixel_values".into(), (shape, values));
    inputs.ints.insert("aspect_ratio_ids".into(), Ints { shape: vec![1, pictures.len()], values: ids });
    let shape = vec![1, pictures.len(), tiled.tiles];
    inputs.ints.insert("aspect_ratio_mask".into(), Ints { shape, values: mask });
    Ok(())
}

/// image_patches of Fuyu \[.., patches, patch * patch * channels\], columns by pixel, then by channel -> planes of one
/// input a patch.
pub fn from_pixels(tower: &VisionTower, shape: &[usize], values: &[f32]) -> Result<Planes> {
    let (patch, channels) = (tower.patch.patch, tower.patch.channels);
    let each = patch * patch * channels;
    if shape.last() != Some(&each) {
        return Err(wrong(shape, &format!("rows of {patch} x {patch} x {channels} belong there")));
    }
    let mut all = Vec::with_capacity(values.len());
    for row in values.chunks_exact(each) {
        all.extend((0..channels).flat_map(|c| (0..patch * patch).map(move |i| row[i * channels + c])));
    }
    Ok(Planes { values: all, inputs: TowerInputs::same((patch, patch), values.len() / each) })
}

/// Planes -> image_patches of Fuyu: the patches of every picture, row by row.
pub fn to_pixels(tower: &VisionTower, sizes: &[(usize, usize)], planes: &[f32], inputs: &mut Inputs) {
    let (patch, channels) = (tower.patch.patch, tower.patch.channels);
    let (mut values, mut from) = (Vec::new(), 0);
    for (height, width) in sizes {
        for corner in
            (0..height / patch).flat_map(|row| (0..width / patch).map(move |col| (row * patch) * width + col * patch))
        {
            for i in 0..patch * patch {
                let at = from + corner + i / patch * width + i % patch;
                values.extend((0..channels).map(|c| planes[at + c * height * width]));
            }
        }
        from += channels * height * width;
    }
    let each = patch * patch * channels;
    let shape = vec![sizes.len(), values.len() / each / sizes.len().max(1), each];
    inputs.floats.insert("image_patches".into(), (shape, values));
}
