//! Drawings of plans: the canvas with its padding, a frame and a number for each tile in their order, a green frame
//! around what of the features is kept, and the overview beside it. For people only; no model sees these pixels.

use image::{Rgb, RgbImage};
use omma::image::Picture;
use omma::image::tiles::{From, Of, Segment, TilePlan};

/// Longest side of one drawn canvas.
const LONGEST: f64 = 1024.0;
/// Pixels between drawings.
const GAP: u32 = 16;
const PAPER: Rgb<u8> = Rgb([245, 245, 245]);
const TILE: Rgb<u8> = Rgb([220, 30, 30]);
const KEPT: Rgb<u8> = Rgb([20, 150, 40]);
const OVERVIEW: Rgb<u8> = Rgb([30, 70, 220]);
const INK: Rgb<u8> = Rgb([255, 255, 255]);

/// Rows of the digits 0 to 9, five of three bits each from the top.
const DIGITS: [[u8; 5]; 10] = [
    [7, 5, 5, 5, 7],
    [2, 6, 2, 2, 7],
    [7, 1, 7, 4, 7],
    [7, 1, 7, 1, 7],
    [5, 5, 7, 1, 1],
    [7, 4, 7, 1, 7],
    [7, 4, 7, 5, 7],
    [7, 1, 2, 2, 2],
    [7, 5, 7, 5, 7],
    [7, 5, 7, 1, 7],
];

/// A rectangle of the drawing: left, top, width, height.
type Frame = (u32, u32, u32, u32);

/// Draws a plan; without a picture a chart stands for it.
pub fn plan(plan: &TilePlan, picture: Option<&Picture>) -> RgbImage {
    let canvas = (plan.canvas.width, plan.canvas.height);
    let overview = plan.overview.map(|o| o.out).unwrap_or((1, 1));
    let longest = canvas.0.max(canvas.1).max(overview.0).max(overview.1);
    let scale = (LONGEST / f64::from(longest)).min(1.0);
    let drawn = |side: u32| ((f64::from(side) * scale).round() as u32).max(1);
    let alone = plan.tiles.is_empty();
    let left = if alone { 0 } else { drawn(canvas.0) + GAP };
    let right = plan.overview.map_or(0, |_| drawn(overview.0));
    let height = drawn(canvas.1).max(plan.overview.map_or(0, |_| drawn(overview.1)));
    let mut image = RgbImage::from_pixel((left + right).max(1), height, PAPER);
    if !alone {
        fill(&mut image, (0, 0, drawn(canvas.0), drawn(canvas.1)), |x, y| canvas_colour(plan, picture, x, y));
        for (i, tile) in plan.tiles.iter().enumerate() {
            let a = tile.area;
            let (x, y) = ((f64::from(a.x) * scale) as u32, (f64::from(a.y) * scale) as u32);
            let at = (x, y, drawn(a.width), drawn(a.height));
            frame(&mut image, at, TILE);
            number(&mut image, at, i + 1);
        }
        kept(&mut image, plan, (drawn(canvas.0), drawn(canvas.1)));
    }
    if let Some(o) = plan.overview {
        let at = (left, 0, drawn(o.out.0), drawn(o.out.1));
        match o.from {
            From::Picture => fill(&mut image, at, |x, y| picture_colour(plan.size, picture, x, y)),
            From::Canvas | From::Normalized => fill(&mut image, at, |x, y| canvas_colour(plan, picture, x, y)),
        }
        frame(&mut image, at, OVERVIEW);
    }
    image
}

/// Drawings one below the other.
pub fn stack(drawings: &[RgbImage]) -> RgbImage {
    let width = drawings.iter().map(RgbImage::width).max().unwrap_or(1);
    let height: u32 = drawings.iter().map(|d| d.height() + GAP).sum::<u32>().saturating_sub(GAP).max(1);
    let mut whole = RgbImage::from_pixel(width, height, PAPER);
    let mut top = 0;
    for drawing in drawings {
        image::imageops::replace(&mut whole, drawing, 0, top);
        top += i64::from(drawing.height() + GAP);
    }
    whole
}

/// Paints a rectangle by a function of the place within it, from 0 to 1.
fn fill(image: &mut RgbImage, (left, top, width, height): Frame, colour: impl Fn(f64, f64) -> Rgb<u8>) {
    for (x, y) in (0..height).flat_map(|y| (0..width).map(move |x| (x, y))) {
        let (u, v) = ((f64::from(x) + 0.5) / f64::from(width), (f64::from(y) + 0.5) / f64::from(height));
        dot(image, left + x, top + y, colour(u, v));
    }
}

fn dot(image: &mut RgbImage, x: u32, y: u32, colour: Rgb<u8>) {
    if x < image.width() && y < image.height() {
        image.put_pixel(x, y, colour);
    }
}

/// The canvas at a place from 0 to 1.
fn canvas_colour(plan: &TilePlan, picture: Option<&Picture>, u: f64, v: f64) -> Rgb<u8> {
    let (canvas, source) = (plan.canvas, plan.source);
    let at = |t: f64, start: i32, side: u32| f64::from(start) + t * f64::from(side);
    let x = at(u, canvas.x, canvas.width) / f64::from(plan.resized.0);
    let y = at(v, canvas.y, canvas.height) / f64::from(plan.resized.1);
    let inside = |t: f64| (0.0..1.0).contains(&t);
    if !inside(x) || !inside(y) {
        return Rgb(plan.beyond);
    }
    let x = at(x, source.x, source.width) / f64::from(plan.size.0);
    let y = at(y, source.y, source.height) / f64::from(plan.size.1);
    if inside(x) && inside(y) { picture_colour(plan.size, picture, x, y) } else { Rgb(plan.around) }
}

/// The picture at a place from 0 to 1; without one a chart of squares, bluer to the right, greener below.
fn picture_colour((width, height): (u32, u32), picture: Option<&Picture>, u: f64, v: f64) -> Rgb<u8> {
    let (x, y) = ((u * f64::from(width)) as u32, (v * f64::from(height)) as u32);
    if let Some(picture) = picture {
        return Rgb(picture.rgb(x, y).unwrap_or_default());
    }
    let square = (width.max(height) / 16).max(1);
    let base = if (x / square + y / square).is_multiple_of(2) { 150 } else { 110 };
    Rgb([base, base + (v * 90.0) as u8, base + (u * 90.0) as u8])
}

/// A frame of two pixels inside a rectangle.
fn frame(image: &mut RgbImage, (left, top, width, height): Frame, colour: Rgb<u8>) {
    let (right, bottom) = (left + width.max(1) - 1, top + height.max(1) - 1);
    for i in 0..2.min(width.min(height)) {
        for x in left..=right {
            dot(image, x, top + i, colour);
            dot(image, x, bottom - i, colour);
        }
        for y in top..=bottom {
            dot(image, left + i, y, colour);
            dot(image, right - i, y, colour);
        }
    }
}

/// What of the map of features is kept, where that is not all.
fn kept(image: &mut RgbImage, plan: &TilePlan, drawn: (u32, u32)) {
    let maps = plan.order.iter().filter_map(|s| if let Segment::Map(map) = s { Some(map) } else { None });
    for map in maps.filter(|m| m.of == Of::Tiles && (m.kept.width, m.kept.height) != m.full) {
        let part = |at: u32, of: u32, side: u32| (f64::from(at) / f64::from(of.max(1)) * f64::from(side)) as u32;
        let k = map.kept;
        let (left, top) = (part(k.x, map.full.0, drawn.0), part(k.y, map.full.1, drawn.1));
        frame(image, (left, top, part(k.width, map.full.0, drawn.0), part(k.height, map.full.1, drawn.1)), KEPT);
    }
}

/// A number on a plate in the lower right corner of a rectangle, where it covers little; none where nothing fits.
fn number(image: &mut RgbImage, (left, top, width, height): Frame, number: usize) {
    let text = number.to_string();
    let columns = text.len() as u32 * 4 + 1;
    let zoom = (width / (2 * columns)).min(height / 14).min(3);
    if zoom == 0 {
        return;
    }
    let (w, h) = (columns * zoom, 7 * zoom);
    let (x, y) = (left + width - w, top + height - h);
    fill(image, (x, y, w, h), |_, _| TILE);
    for (i, digit) in text.bytes().enumerate() {
        let rows = &DIGITS[usize::from(digit - b'0')];
        for (row, column) in (0..5u32).flat_map(|row| (0..3u32).map(move |column| (row, column))) {
            if rows[row as usize] >> (2 - column) & 1 == 1 {
                let (px, py) = (x + (1 + i as u32 * 4 + column) * zoom, y + (1 + row) * zoom);
                fill(image, (px, py, zoom, zoom), |_, _| INK);
            }
        }
    }
}
