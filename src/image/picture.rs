//! Bytes of a picture file -> RGB pixels, as PIL's `Image.open(..).convert("RGB")` gives them.
//!
//! Same as PIL, bit for bit: PNG, GIF, BMP, TIFF, PNM and WebP; alpha dropped unless asked otherwise, grey replicated,
//! palettes expanded, 16-bit colour cut to its high byte, 16-bit grey clipped at 255 (PIL's own, odd rule), the
//! first frame of an animation, no colour management. Not bit for bit: JPEG, whose standard leaves the rounding of
//! the inverse transform and the chroma upsampling to the decoder. Against libjpeg-turbo a picture with subsampled
//! chroma differs by 0.35 levels on average and 5 at most, one with full chroma by 0.02 and 2 (a picture of 123x77,
//! quality 90). Refused though PIL reads them: TIFF with a palette or with 32-bit float samples.

use super::inks;
use crate::{Error, Result};
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader};
use std::io::Cursor;

/// What a picture may cost before it is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Most pixels, width x height.
    pub max_pixels: u64,
    /// Most bytes that the file may have.
    pub max_bytes: u64,
}

impl Default for Limits {
    /// 178 956 970 pixels, where PIL refuses a decompression bomb too (716 MB decoded), and files of 1 GiB.
    fn default() -> Self {
        Self { max_pixels: 178_956_970, max_bytes: 1 << 30 }
    }
}

/// A decoded picture.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// `height * width` pixels, row-major, `0xAABBGGRR`, alpha always 255.
    pub pixels: Vec<u32>,
}

impl std::fmt::Debug for Picture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Picture({}x{})", self.width, self.height)
    }
}

impl Picture {
    /// Decodes a file held in memory. EXIF orientation is ignored, as transformers ignores it; that of a TIFF is not, for
    /// PIL itself turns a TIFF when it loads it.
    ///
    /// # Errors
    /// [`Error::Picture`] with `name` for bytes that are no picture, for a damaged one and for one beyond `limits`.
    pub fn decode(name: &str, bytes: &[u8], limits: &Limits) -> Result<Self> {
        let (decoded, format, _) = decode(name, bytes, limits)?;
        Ok(Self::from_decoded(&decoded, format, None))
    }
    /// Like [`Picture::decode`], but what is transparent lies on `background` (red, green, blue), as some processors
    /// of transformers have it; mixed in bytes as PIL's `alpha_composite` on an opaque picture.
    ///
    /// # Errors
    /// As [`Picture::decode`].
    pub fn decode_over(name: &str, bytes: &[u8], limits: &Limits, background: [u8; 3]) -> Result<Self> {
        let (decoded, format, _) = decode(name, bytes, limits)?;
        Ok(Self::from_decoded(&decoded, format, Some(background)))
    }
    /// Like [`Picture::decode`], then turned as its EXIF orientation says.
    ///
    /// # Errors
    /// As [`Picture::decode`].
    pub fn decode_oriented(name: &str, bytes: &[u8], limits: &Limits) -> Result<Self> {
        let (mut decoded, format, orientation) = decode(name, bytes, limits)?;
        decoded.apply_orientation(orientation);
        Ok(Self::from_decoded(&decoded, format, None))
    }
    /// A picture from `3 * width * height` bytes, row-major, red first.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for an empty picture or another number of bytes.
    pub fn from_rgb8(width: u32, height: u32, bytes: &[u8]) -> Result<Self> {
        Self::from_bytes(width, height, bytes, 3)
    }
    /// A picture from `4 * width * height` bytes, row-major, red first; alpha is dropped.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for an empty picture or another number of bytes.
    pub fn from_rgba8(width: u32, height: u32, bytes: &[u8]) -> Result<Self> {
        Self::from_bytes(width, height, bytes, 4)
    }
    /// Red, green and blue of the pixel in column `x` of row `y`, if there is one.
    pub fn rgb(&self, x: u32, y: u32) -> Option<[u8; 3]> {
        let inside = x < self.width && y < self.height;
        let at = y as usize * self.width as usize + x as usize;
        inside.then(|| self.pixels.get(at)).flatten().map(|p| [*p as u8, (*p >> 8) as u8, (*p >> 16) as u8])
    }

    fn from_bytes(width: u32, height: u32, bytes: &[u8], channels: usize) -> Result<Self> {
        let want = u128::from(width) * u128::from(height) * channels as u128;
        if want == 0 || want != bytes.len() as u128 {
            let reason = format!("{width}x{height} with {channels} channels needs {want} bytes, got {}", bytes.len());
            return Err(Error::argument("pixels", reason));
        }
        let pixels = bytes.chunks_exact(channels).map(|p| rgb(p[0], p[1], p[2])).collect();
        Ok(Self { width, height, pixels })
    }

    fn from_decoded(decoded: &DynamicImage, format: ImageFormat, over: Option<[u8; 3]>) -> Self {
        let pixels = match decoded {
            DynamicImage::ImageLuma8(p) => p.pixels().map(|p| grey(p.0[0])).collect(),
            DynamicImage::ImageLumaA8(p) => p.pixels().map(|p| lay(grey(p.0[0]), p.0[1], over)).collect(),
            DynamicImage::ImageRgb8(p) => p.pixels().map(|p| rgb(p.0[0], p.0[1], p.0[2])).collect(),
            DynamicImage::ImageRgba8(p) => p.pixels().map(|p| lay(rgb(p.0[0], p.0[1], p.0[2]), p.0[3], over)).collect(),
            // PIL keeps 16-bit grey as integers and clips them when it makes RGB of them...
            DynamicImage::ImageLuma16(p) => p.pixels().map(|p| grey(p.0[0].min(255) as u8)).collect(),
            // ... but reads 16-bit grey with alpha, and 16-bit colour, as their high bytes.
            DynamicImage::ImageLumaA16(p) => {
                p.pixels().map(|p| lay(grey((p.0[0] >> 8) as u8), (p.0[1] >> 8) as u8, over)).collect()
            }
            DynamicImage::ImageRgb16(p) => p.pixels().map(|p| rgb16(p.0, format)).collect(),
            DynamicImage::ImageRgba16(p) => {
                let pixel = |p: &image::Rgba<u16>| rgb16([p.0[0], p.0[1], p.0[2]], format);
                p.pixels().map(|p| lay(pixel(p), (p.0[3] >> 8) as u8, over)).collect()
            }
            other => other.to_rgb8().pixels().map(|p| rgb(p.0[0], p.0[1], p.0[2])).collect(),
        };
        Self { width: decoded.width(), height: decoded.height(), pixels }
    }
}

const fn rgb(r: u8, g: u8, b: u8) -> u32 {
    u32::from_le_bytes([r, g, b, 255])
}

const fn grey(v: u8) -> u32 {
    rgb(v, v, v)
}

/// A pixel on a background, by its alpha; without a background alpha is dropped.
fn lay(pixel: u32, alpha: u8, over: Option<[u8; 3]>) -> u32 {
    let Some(over) = over else { return pixel };
    let [r, g, b, _] = pixel.to_le_bytes();
    // Sums are divided by 255 and rounded to the nearest.
    let mix = |top: u8, below: u8| {
        let sum = u32::from(top) * u32::from(alpha) + u32::from(below) * (255 - u32::from(alpha)) + 128;
        ((sum + (sum >> 8)) >> 8) as u8
    };
    rgb(mix(r, over[0]), mix(g, over[1]), mix(b, over[2]))
}

/// 16-bit colour as PIL cuts it: PNM is rounded to 8 bits, everything else loses its low byte.
fn rgb16(p: [u16; 3], format: ImageFormat) -> u32 {
    let cut = |v: u16| match format {
        ImageFormat::Pnm => ((u32::from(v) * 255 + 32_767) / 65_535) as u8,
        _ => (v >> 8) as u8,
    };
    rgb(cut(p[0]), cut(p[1]), cut(p[2]))
}

fn decode(name: &str, bytes: &[u8], limits: &Limits) -> Result<(DynamicImage, ImageFormat, Orientation)> {
    let refuse = |reason: String| Error::Picture { path: name.to_string(), reason };
    let refused = |e: image::ImageError| refuse(one_line(&e.to_string()));
    if bytes.len() as u64 > limits.max_bytes {
        return Err(refuse(format!("{} bytes, the limit is {}", bytes.len(), limits.max_bytes)));
    }
    let mut reader = ImageReader::new(Cursor::new(bytes));
    let format = image::guess_format(bytes)
        .map_err(|_| refuse("none of the formats png, jpeg, webp, gif, bmp, tiff, pnm".to_string()))?;
    if format == ImageFormat::Tiff
        && let Some(decoded) = inks::decode(bytes, limits).map_err(|e| refuse(one_line(&e.to_string())))?
    {
        return Ok((decoded, format, Orientation::NoTransforms));
    }
    reader.set_format(format);
    // Eight bytes a pixel hold every pixel type; the slack is for tables and metadata of tiny pictures.
    let mut alloc = image::Limits::no_limits();
    alloc.max_alloc = Some(limits.max_pixels.saturating_mul(8).saturating_add(64 << 20));
    reader.limits(alloc);
    let mut decoder = reader.into_decoder().map_err(refused)?;
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    if pixels == 0 || pixels > limits.max_pixels {
        return Err(refuse(format!("{width}x{height} pixels, the limit is {}", limits.max_pixels)));
    }
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut decoded = DynamicImage::from_decoder(decoder).map_err(refused)?;
    if format != ImageFormat::Tiff {
        return Ok((decoded, format, orientation));
    }
    // PIL turns a TIFF while it loads it, asked or not.
    decoded.apply_orientation(orientation);
    Ok((decoded, format, Orientation::NoTransforms))
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
