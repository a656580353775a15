//! TIFF files that the `image` crate reads otherwise than PIL: four inks (CMYK), which it rounds in its own way, and grey with
//! alpha, which it refuses.

use super::Limits;
use image::metadata::Orientation;
use image::{DynamicImage, GrayAlphaImage, RgbImage};
use std::io::Cursor;
use tiff::decoder::{Decoder, DecodingResult};
use tiff::tags::{PlanarConfiguration, Tag};
use tiff::{ColorType, TiffResult};

/// The first picture of the file, turned as it says; `None` where it is of another kind, its planes are apart, or it is beyond
/// `limits`, which the ordinary way finds out again.
///
/// # Errors
/// A damaged file.
pub(super) fn decode(bytes: &[u8], limits: &Limits) -> TiffResult<Option<DynamicImage>> {
    let mut bounds = tiff::decoder::Limits::default();
    bounds.decoding_buffer_size = usize::try_from(limits.max_pixels.saturating_mul(8)).unwrap_or(usize::MAX);
    let mut decoder = Decoder::new(Cursor::new(bytes))?.with_limits(bounds);
    let (width, height) = decoder.dimensions()?;
    let inks = match decoder.colortype() {
        Ok(ColorType::CMYK(8 | 16)) => true,
        Ok(ColorType::Multiband { bit_depth: 8, num_samples: 2 }) => false,
        _ => return Ok(None),
    };
    let apart =
        decoder.find_tag_unsigned::<u16>(Tag::PlanarConfiguration)? == Some(PlanarConfiguration::Planar.to_u16());
    let pixels = u64::from(width) * u64::from(height);
    if apart || pixels == 0 || pixels > limits.max_pixels {
        return Ok(None);
    }
    let turn =
        decoder.find_tag_unsigned::<u16>(Tag::Orientation)?.and_then(|v| Orientation::from_exif(v.min(255) as u8));
    let samples: Vec<u8> = match decoder.read_image()? {
        DecodingResult::U8(samples) => samples,
        DecodingResult::U16(samples) => samples.iter().map(|v| (v >> 8) as u8).collect(),
        _ => return Ok(None),
    };
    let decoded = if inks {
        let rgb = samples.chunks_exact(4).flat_map(light).collect();
        RgbImage::from_raw(width, height, rgb).map(DynamicImage::ImageRgb8)
    } else {
        GrayAlphaImage::from_raw(width, height, samples).map(DynamicImage::ImageLumaA8)
    };
    Ok(decoded.map(|mut picture| {
        picture.apply_orientation(turn.unwrap_or(Orientation::NoTransforms));
        picture
    }))
}

/// What four inks leave of the light.
fn light(inks: &[u8]) -> [u8; 3] {
    let white = 255 - u32::from(inks[3]);
    let left = |ink: u8| {
        let taken = u32::from(ink) * white + 128;
        (white - ((taken + (taken >> 8)) >> 8)) as u8
    };
    [left(inks[0]), left(inks[1]), left(inks[2])]
}
