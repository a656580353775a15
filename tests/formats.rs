//! Picture files of every kind, against what Pillow made of them (kernels-test/goldens/make_pictures.py), and files that lie
//! about their size: refused soon, and without the memory that they ask for.

use omma::image::{Limits, Picture};
use omma::{Error, Result};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("kernels-test/goldens/pictures")
}

fn rgb(picture: &Picture) -> Vec<u8> {
    picture.pixels.iter().flat_map(|p| p.to_le_bytes()[..3].to_vec()).collect()
}

/// Exact where the format is lossless. A JPEG's transform and the spreading of its chroma may be rounded otherwise: at most 2
/// levels with full chroma, 5 where it is subsampled, and half a level on average, as `Picture` says.
#[test]
fn every_kind_of_file_is_what_pillow_reads() {
    let read = |name: &str| std::fs::read(folder().join(name)).unwrap();
    let index: Value = serde_json::from_slice(&read("index.json")).unwrap();
    let expected = read("expected.bin");
    let mut wrong = Vec::new();
    for file in index["files"].as_array().unwrap() {
        let name = file["file"].as_str().unwrap();
        let limits = Limits::default();
        let decoded = if file["oriented"] == true {
            Picture::decode_oriented(name, &read(name), &limits)
        } else {
            Picture::decode(name, &read(name), &limits)
        };
        let picture = match decoded {
            Ok(picture) => picture,
            Err(e) => {
                wrong.push(e.to_string());
                continue;
            }
        };
        let size = [u64::from(picture.width), u64::from(picture.height)];
        if size != ["width", "height"].map(|side| file[side].as_u64().unwrap()) {
            wrong.push(format!("{name}: {size:?}"));
            continue;
        }
        let got = rgb(&picture);
        let want = &expected[file["at"].as_u64().unwrap() as usize..][..got.len()];
        let far: Vec<u8> = got.iter().zip(want).map(|(a, b)| a.abs_diff(*b)).collect();
        let (worst, sum) = (far.iter().max().copied().unwrap_or(0), far.iter().map(|v| u32::from(*v)).sum::<u32>());
        let mean = f64::from(sum) / far.len() as f64;
        let allowed = match name {
            _ if file["exact"] == true => 0,
            "rgb.jpg" | "half_chroma.jpg" => 5,
            _ => 2,
        };
        if worst > allowed || mean > 0.5 {
            wrong.push(format!("{name}: {worst} levels, {mean:.3} on average"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The bytes of the file `name` with `value` at `at`.
fn edited(name: &str, edits: &[(usize, &[u8])]) -> Vec<u8> {
    let mut bytes = std::fs::read(folder().join(name)).unwrap();
    for (at, value) in edits {
        bytes[*at..at + value.len()].copy_from_slice(value);
    }
    bytes
}

/// Where `pattern` is in a file.
fn find(name: &str, pattern: &[u8]) -> usize {
    let bytes = std::fs::read(folder().join(name)).unwrap();
    bytes.windows(pattern.len()).position(|w| w == pattern).unwrap()
}

/// A PNG whose header, with its checksum, says this size.
fn png(width: u32, height: u32) -> Vec<u8> {
    let mut head = b"IHDR".to_vec();
    head.extend(width.to_be_bytes().iter().chain(&height.to_be_bytes()).chain(&[8, 2, 0, 0, 0]));
    let crc = head.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |c, _| if c & 1 == 1 { c >> 1 ^ 0xedb8_8320 } else { c >> 1 })
    });
    head.extend((!crc).to_be_bytes());
    edited("rgb.png", &[(12, &head)])
}

/// A TIFF whose tags of width and height have these values.
fn tiff(name: &str, side: u32) -> Vec<u8> {
    let mut bytes = std::fs::read(folder().join(name)).unwrap();
    for tag in [[0x00u8, 0x01], [0x01, 0x01]] {
        let at = (8..bytes.len() - 12)
            .find(|at| bytes[*at..at + 2] == tag && [3, 4].contains(&bytes[at + 2]) && bytes[at + 4] == 1);
        let at = at.unwrap();
        bytes[at + 2] = 4;
        bytes[at + 8..at + 12].copy_from_slice(&side.to_le_bytes());
    }
    bytes
}

/// Largest memory of this process so far, where the system tells it.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmHWM")).unwrap_or("");
    line.split_whitespace().nth(1).and_then(|kb| kb.parse().ok()).unwrap_or(0)
}

#[test]
fn lying_and_broken_files_are_refused_soon() {
    let frame = find("full_chroma.jpg", &[0xff, 0xc0]) + 5;
    let side = |side: u16| [side.to_be_bytes(), side.to_be_bytes()].concat();
    let little = |side: u32| [side.to_le_bytes(), side.to_le_bytes()].concat();
    let small = |side: u16| [side.to_le_bytes(), side.to_le_bytes()].concat();
    let vp8 = find("lossy.webp", b"\x9d\x01\x2a") + 3;
    let vp8l = find("lossless.webp", b"\x2f") + 1;
    let mut files = vec![
        ("png 65535", png(65_535, 65_535)),
        ("png 2^31 - 1", png(i32::MAX as u32, i32::MAX as u32)),
        ("png 0 x 9", png(0, 9)),
        ("png 9 x 0", png(9, 0)),
        // Within the limit of pixels, but the data are those of a few.
        ("png 13000", png(13_000, 13_000)),
        ("jpeg 65535", edited("full_chroma.jpg", &[(frame, &side(65_535))])),
        ("jpeg 0", edited("full_chroma.jpg", &[(frame, &side(0))])),
        ("gif 65535", edited("animated.gif", &[(6, &small(65_535))])),
        ("bmp 65535", edited("rgb.bmp", &[(18, &little(65_535))])),
        ("bmp 2^31 - 1", edited("rgb.bmp", &[(18, &little(i32::MAX as u32))])),
        ("bmp -2^31", edited("rgb.bmp", &[(18, &little(1 << 31))])),
        ("bmp 0", edited("rgb.bmp", &[(18, &little(0))])),
        ("webp 16383", edited("lossy.webp", &[(vp8, &small(16_383))])),
        ("webp lossless 16384", edited("lossless.webp", &[(vp8l, &[0xff, 0xff, 0xff, 0x0f])])),
        ("pnm 65535", b"P6 65535 65535 255\n123".to_vec()),
        ("pnm 13000", b"P6 13000 13000 255\n123".to_vec()),
    ];
    for name in ["rgb.tif", "cmyk.tif", "la.tif", "tiff_lzw.tif"] {
        files.extend([0, 65_535, 13_000, u32::MAX].map(|side| ("tiff", tiff(name, side))));
    }
    let names =
        ["rgb.png", "full_chroma.jpg", "lossless.webp", "animated.gif", "rgb.bmp", "rgb.tif", "cmyk.tif", "la.tif"];
    for name in names {
        let bytes = std::fs::read(folder().join(name)).unwrap();
        files.extend([4, 12, 30].map(|end| (name, bytes[..end].to_vec())));
    }
    for (name, bytes) in &files {
        let (before, start) = (peak(), Instant::now());
        let result: Result<Picture> = Picture::decode(name, bytes, &Limits::default());
        assert!(matches!(result, Err(Error::Picture { .. })), "{name}: {result:?}");
        assert!(start.elapsed() < Duration::from_secs(2), "{name}: {:?}", start.elapsed());
        let taken = (peak() - before) / 1024;
        assert!(taken < 200, "{name}: {taken} MiB");
    }
}
