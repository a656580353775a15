//! Tests of decoding, configurations and geometry on data made here. What the expected values are was found with
//! Pillow 13 and transformers 4.57 where they are not plain.

use super::*;
use crate::Error;
use crate::reference::pillow_resize;
use image::{DynamicImage, ImageFormat};
use proptest::prelude::*;
use serde_json::json;
use std::io::Cursor;

fn decode(bytes: &[u8]) -> crate::Result<Picture> {
    Picture::decode("a.png", bytes, &Limits::default())
}

fn encode(picture: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.into().write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn reds(picture: &Picture) -> Vec<u8> {
    picture.pixels.iter().map(|p| *p as u8).collect()
}

fn rgb_bytes(picture: &Picture) -> Vec<u8> {
    picture.pixels.iter().flat_map(|p| [*p as u8, (*p >> 8) as u8, (*p >> 16) as u8]).collect()
}

#[test]
fn alpha_is_dropped_and_grey_replicated() {
    let rgba = image::RgbaImage::from_raw(2, 1, vec![1, 2, 3, 0, 4, 5, 6, 128]).unwrap();
    let picture = decode(&encode(rgba, ImageFormat::Png)).unwrap();
    assert_eq!(picture.pixels, [0xff03_0201, 0xff06_0504]);
    let grey_alpha = image::GrayAlphaImage::from_raw(2, 1, vec![9, 0, 200, 7]).unwrap();
    assert_eq!(decode(&encode(grey_alpha, ImageFormat::Png)).unwrap().pixels, [0xff09_0909, 0xffc8_c8c8]);
    let over = |bytes: &[u8]| Picture::decode_over("a", bytes, &Limits::default(), [255, 0, 100]).unwrap().pixels;
    let half = image::RgbaImage::from_raw(3, 1, vec![10, 20, 30, 128, 1, 2, 3, 0, 4, 5, 6, 255]).unwrap();
    assert_eq!(over(&encode(half, ImageFormat::Png)), [0xff41_0a84, 0xff64_00ff, 0xff06_0504]);
    let grey = image::GrayImage::from_raw(1, 1, vec![77]).unwrap();
    assert_eq!(decode(&encode(grey, ImageFormat::Png)).unwrap().rgb(0, 0), Some([77; 3]));
}

#[test]
fn sixteen_bits_as_pil_cuts_them() {
    type Grey = image::ImageBuffer<image::Luma<u16>, Vec<u16>>;
    type Rgb = image::ImageBuffer<image::Rgb<u16>, Vec<u16>>;
    let grey = || Grey::from_raw(6, 1, vec![0, 1, 255, 256, 4096, 65_535]).unwrap();
    for format in [ImageFormat::Png, ImageFormat::Tiff, ImageFormat::Pnm] {
        assert_eq!(reds(&decode(&encode(grey(), format)).unwrap()), [0, 1, 255, 255, 255, 255], "{format:?}");
    }
    let colour = || Rgb::from_raw(2, 1, vec![0, 128, 256, 32_767, 65_407, 65_535]).unwrap();
    assert_eq!(rgb_bytes(&decode(&encode(colour(), ImageFormat::Png)).unwrap()), [0, 0, 1, 127, 255, 255]);
    assert_eq!(rgb_bytes(&decode(&encode(colour(), ImageFormat::Pnm)).unwrap()), [0, 0, 1, 127, 255, 255]);
    let edge = Rgb::from_raw(1, 1, vec![0x12ff, 0xfe80, 384]).unwrap();
    assert_eq!(rgb_bytes(&decode(&encode(edge.clone(), ImageFormat::Png)).unwrap()), [18, 254, 1]);
    assert_eq!(rgb_bytes(&decode(&encode(edge, ImageFormat::Pnm)).unwrap()), [19, 254, 1]);
}

#[test]
fn small_pnm_ranges_are_stretched() {
    assert_eq!(reds(&decode(b"P5\n4 1\n15\n\x00\x01\x07\x0f").unwrap()), [0, 17, 119, 255]);
    assert_eq!(rgb_bytes(&decode(b"P6\n2 1\n100\n\x00\x01\x32\x33\x63\x64").unwrap()), [0, 3, 128, 130, 252, 255]);
    assert_eq!(reds(&decode(b"P4\n8 1\n\xa5").unwrap()), [0, 255, 0, 255, 255, 0, 255, 0]);
}

/// 2x1 palette picture with a transparent colour: PIL keeps the colour and drops the transparency.
#[test]
fn first_frame_of_a_gif() {
    let gif =
        b"GIF89a\x02\x00\x01\x00\x80\x00\x00\x0a\x14\x1e\xc8\x64\x32\x21\xf9\x04\x01\x00\x00\x00\x00\x2c\x00\x00\x00\
        \x00\x02\x00\x01\x00\x00\x02\x02\x44\x0a\x00\x3b";
    assert_eq!(rgb_bytes(&decode(gif).unwrap()), [10, 20, 30, 200, 100, 50]);
}

#[test]
fn every_lossless_format_and_jpeg() {
    let picture = image::RgbImage::from_fn(13, 7, |x, y| image::Rgb([x as u8 * 9, y as u8 * 30, 40]));
    let want: Vec<u8> = picture.as_raw().clone();
    let formats = [ImageFormat::Png, ImageFormat::Bmp, ImageFormat::Tiff, ImageFormat::Pnm, ImageFormat::WebP];
    for format in formats {
        let decoded = decode(&encode(picture.clone(), format)).unwrap();
        assert_eq!((decoded.width, decoded.height, rgb_bytes(&decoded)), (13, 7, want.clone()), "{format:?}");
    }
    let jpeg = decode(&encode(picture, ImageFormat::Jpeg)).unwrap();
    let far = rgb_bytes(&jpeg).iter().zip(&want).map(|(a, b)| a.abs_diff(*b)).max();
    assert!((jpeg.width, jpeg.height) == (13, 7) && far < Some(40), "{far:?}");
}

#[test]
fn bytes_as_pictures() {
    let rgba = Picture::from_rgba8(1, 2, &[1, 2, 3, 4, 5, 6, 7, 8]).unwrap();
    assert_eq!(rgba.pixels, [0xff03_0201, 0xff07_0605]);
    assert_eq!(rgba, Picture::from_rgb8(1, 2, &[1, 2, 3, 5, 6, 7]).unwrap());
    assert!(Picture::from_rgb8(1, 2, &[0; 5]).is_err());
    assert!(Picture::from_rgb8(0, 2, &[]).is_err());
    assert!(Picture::from_rgb8(u32::MAX, u32::MAX, &[]).is_err());
    assert_eq!(rgba.rgb(1, 0), None);
}

fn refusal(result: crate::Result<Picture>) -> String {
    match result {
        Err(Error::Picture { path, reason }) => format!("{path}: {reason}"),
        other => panic!("expected Error::Picture, got {other:?}"),
    }
}

#[test]
fn bad_files_are_refused() {
    assert!(refusal(decode(b"")).contains("png"));
    assert!(refusal(decode(b"Hello, I am no picture")).starts_with("a.png: none of the formats"));
    let png = encode(image::RgbImage::new(20, 20), ImageFormat::Png);
    for length in [8, 20, 33, 40, png.len() - 20] {
        refusal(decode(&png[..length]));
    }
    let few = Limits { max_pixels: 399, ..Limits::default() };
    assert!(refusal(Picture::decode("big", &png, &few)).contains("20x20 pixels, the limit is 399"));
    let short = Limits { max_bytes: 10, ..Limits::default() };
    assert!(refusal(Picture::decode("big", &png, &short)).contains("the limit is 10"));
    // A header that promises 60000 x 60000 pixels, in a few bytes.
    let mut bomb = b"P6\n60000 60000\n255\n".to_vec();
    bomb.extend([0; 64]);
    assert!(refusal(decode(&bomb)).contains("60000x60000"));
}

/// Orientation 6 in an EXIF block: the picture is shown turned by a quarter, on request only.
#[test]
fn exif_orientation_on_request() {
    let jpeg = encode(image::RgbImage::new(16, 8), ImageFormat::Jpeg);
    let exif = b"\xff\xe1\x00\x22Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    let turned = [&jpeg[..2], exif, &jpeg[2..]].concat();
    let plain = decode(&turned).unwrap();
    assert_eq!((plain.width, plain.height), (16, 8));
    let shown = Picture::decode_oriented("a", &turned, &Limits::default()).unwrap();
    assert_eq!((shown.width, shown.height), (8, 16));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Damaged files of every format give a picture or an error, never a panic.
    #[test]
    fn damaged_files(which in 0usize..6, cut in 0.0f64..1.0, at in 0.0f64..1.0, byte in any::<u8>(), keep in any::<bool>()) {
        let formats = [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP, ImageFormat::Gif, ImageFormat::Bmp,
                       ImageFormat::Tiff];
        let picture = image::RgbImage::from_fn(17, 9, |x, y| image::Rgb([x as u8 * 15, y as u8 * 28, 7]));
        let mut bytes = encode(picture, formats[which]);
        let index = (at * bytes.len() as f64) as usize;
        bytes[index] = byte;
        let end = if keep { bytes.len() } else { (cut * bytes.len() as f64) as usize };
        let limits = Limits { max_pixels: 1 << 20, ..Limits::default() };
        if let Ok(picture) = Picture::decode("damaged", &bytes[..end], &limits) {
            prop_assert_eq!(picture.pixels.len() as u64, u64::from(picture.width) * u64::from(picture.height));
        }
    }
    #[test]
    fn noise_after_a_magic(which in 0usize..7, noise in proptest::collection::vec(any::<u8>(), 0..200)) {
        let magics: [&[u8]; 7] = [b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a", b"BM", b"II*\0", b"P6", b"RIFF\x40\0\0\0WEBP"];
        let limits = Limits { max_pixels: 1 << 20, ..Limits::default() };
        let _ = Picture::decode("noise", &[magics[which], &noise].concat(), &limits);
    }
    /// Any size under any steps gives a plan or an error, and the weights stay inside what is read.
    #[test]
    fn plans_of_any_size(
        w in prop_oneof![1u32..40, 1u32..70_000, Just(u32::MAX)],
        h in prop_oneof![1u32..40, 1u32..70_000],
        edge in prop_oneof![1u32..40, Just(65_536u32)],
        crop in prop_oneof![Just(None), (1u32..60, 1u32..60).prop_map(Some)],
        pad in any::<bool>(),
        filter in 0u64..6,
    ) {
        let mut steps = Preprocess::read(None, None, Some("CLIPImageProcessor")).unwrap();
        steps.size = Some(Size::ShortestEdge(edge));
        steps.crop = crop;
        steps.resample = Resample::from_pil(filter).unwrap();
        let policy = if pad { Policy::Pad } else { Policy::None };
        if let Ok(plan) = steps.plan(w, h, policy, None) {
            prop_assert!(plan.resized.0 >= edge && plan.resized.1 >= edge);
            if u64::from(plan.crop.width) * u64::from(plan.crop.height) < 10_000 && let Ok(r) = plan.resampling() {
                prop_assert_eq!(r.columns.outputs(), plan.crop.width as usize);
                prop_assert!(r.reads_y.0 + r.reads_y.1 <= h && r.reads_x.0 + r.reads_x.1 <= w);
                let (low, high) = r.rows.reach().unwrap();
                prop_assert!(high <= plan.canvas.height && low < high);
            }
        }
    }
}

fn steps(value: serde_json::Value) -> crate::Result<Preprocess> {
    Preprocess::from_value("preprocessor_config.json", &value, None)
}

fn clip() -> Preprocess {
    steps(json!({"image_processor_type": "CLIPImageProcessor"})).unwrap()
}

#[test]
fn defaults_of_each_type() {
    let of = |name: &str| {
        let s = steps(json!({"image_processor_type": format!("{name}ImageProcessor")})).unwrap();
        (s.size.unwrap(), s.resample, s.crop, s.mean[0], s.std[0])
    };
    let square = |side| Size::Exact { height: side, width: side };
    let clip = (0.48145466, 0.26862954);
    let crop = Some((224, 224));
    for name in ["CLIP", "Bit", "Llava", "ChineseCLIP"] {
        assert_eq!(of(name), (Size::ShortestEdge(224), Resample::Bicubic, crop, clip.0, clip.1), "{name}");
    }
    assert_eq!(of("ViT"), (square(224), Resample::Bilinear, None, 0.5, 0.5));
    assert_eq!(of("DeiT"), (square(256), Resample::Bicubic, crop, 0.5, 0.5));
    assert_eq!(of("Beit"), (square(256), Resample::Bicubic, crop, 0.5, 0.5));
    assert_eq!(of("Siglip"), (square(224), Resample::Bicubic, None, 0.5, 0.5));
    assert_eq!(of("Blip"), (square(384), Resample::Bicubic, None, clip.0, clip.1));
}

#[test]
fn sizes_in_all_their_forms() {
    let size = |kind: &str, size| steps(json!({"image_processor_type": kind, "size": size})).map(|s| s.size.unwrap());
    let exact = |height, width| Ok(Size::Exact { height, width });
    assert_eq!(size("CLIPFeatureExtractor", json!(70)), Ok(Size::ShortestEdge(70)));
    assert_eq!(size("ViTImageProcessorFast", json!(70)), exact(70, 70));
    assert_eq!(size("ViTImageProcessorPil", json!([70, 80])), exact(70, 80));
    assert_eq!(size("CLIPImageProcessor", json!({"height": 3, "width": 4})), exact(3, 4));
    let bounded = json!({"shortest_edge": 3, "longest_edge": 4});
    assert_eq!(size("CLIPImageProcessor", bounded), Ok(Size::Bounded { shortest: 3, longest: 4 }));
    let error = |value| size("CLIPImageProcessor", value).unwrap_err().to_string();
    assert!(error(json!({"longest_edge": 4})).contains("longest_edge"));
    for wrong in [json!(0), json!(-3), json!(1.5), json!("224"), json!({"shortest_edge": 1e9}), json!([1, 2, 3])] {
        assert!(error(wrong.clone()).contains("`size`"), "{wrong}");
    }
}

#[test]
fn both_layouts_of_the_files() {
    let four = ("preprocessor_config.json", r#"{"image_processor_type": "CLIPImageProcessor", "size": 50}"#);
    let five = (
        "processor_config.json",
        r#"{"image_processor": {"image_processor_type": "CLIPImageProcessorFast", "size": {"shortest_edge": 60}}}"#,
    );
    let plain = ("processor_config.json", r#"{"image_token": "<image>", "patch_size": 14}"#);
    let size = |a, b| Preprocess::read(a, b, None).map(|s| s.size.unwrap());
    assert_eq!(size(Some(four), None), Ok(Size::ShortestEdge(50)));
    assert_eq!(size(Some(four), Some(plain)), Ok(Size::ShortestEdge(50)));
    assert_eq!(size(Some(four), Some(five)), Ok(Size::ShortestEdge(60)));
    assert_eq!(size(None, Some(five)), Ok(Size::ShortestEdge(60)));
    assert!(size(None, Some(plain)).is_err());
    assert!(matches!(size(Some(("p.json", "{")), None), Err(Error::Malformed { .. })));
    assert!(matches!(size(Some(("p.json", "[]")), None), Err(Error::Malformed { .. })));
    assert_eq!(Preprocess::read(None, Some(plain), Some("CLIPImageProcessor")), Ok(clip()));
}

#[test]
fn options_that_are_not_done_are_named() {
    let with = |key: &str, value: serde_json::Value| {
        let mut object = json!({"image_processor_type": "CLIPImageProcessor"});
        object[key] = value;
        steps(object)
    };
    let unsupported = |key: &str, value| match with(key, value) {
        Err(Error::Unsupported { what, .. }) => assert!(what.contains(key), "{what}"),
        other => panic!("{key}: {other:?}"),
    };
    unsupported("image_processor_type", json!("FuyuImageProcessor"));
    unsupported("do_pad", json!(true));
    unsupported("do_rotate", json!(true));
    unsupported("crop_pct", json!(0.9));
    unsupported("resample", json!(9));
    for (key, value) in [
        ("resample", json!("x")),
        ("do_resize", json!(1)),
        ("image_mean", json!([1, 2])),
        ("image_std", json!([1, 0, 1])),
        ("rescale_factor", json!("a")),
        ("crop_size", json!({})),
    ] {
        let error = with(key, value).unwrap_err();
        assert!(matches!(&error, Error::Malformed { reason, .. } if reason.contains(key)), "{key}: {error}");
    }
    let harmless = with("do_pad", json!(false)).and(with("do_convert_rgb", json!(null)));
    assert_eq!(harmless.unwrap(), clip());
    assert_eq!(with("image_mean", json!(0.25)).unwrap().mean, [0.25; 3]);
    let raw = with("do_rescale", json!(false)).unwrap();
    assert_eq!((raw.rescale, with("do_normalize", json!(false)).unwrap().std), (1.0, [1.0; 3]));
}

#[test]
fn shortest_edge_and_centre_crop() {
    let steps = clip();
    let of = |w, h| {
        let plan = steps.plan(w, h, Policy::Auto, None).unwrap();
        (plan.resized, (plan.crop.x, plan.crop.y))
    };
    // int(224 * 157 / 83) = 423, (423 - 224) // 2 = 99.
    assert_eq!(of(157, 83), ((423, 224), (99, 0)));
    assert_eq!(of(83, 157), ((224, 423), (0, 99)));
    assert_eq!(of(1, 1), ((224, 224), (0, 0)));
    assert_eq!(of(30_000, 20), ((336_000, 224), (167_888, 0)));
    let mut small = clip();
    small.size = Some(Size::ShortestEdge(47));
    small.crop = Some((56, 61));
    let plan = small.plan(50, 47, Policy::None, None).unwrap();
    // (47 - 56) // 2 = -5 and (50 - 61) // 2 = -6: Python rounds down.
    assert_eq!(plan.crop, Window { x: -6, y: -5, width: 61, height: 56 });
    let r = plan.resampling().unwrap();
    assert_eq!((r.inside_x, r.inside_y), ((6, 56), (5, 52)));
    assert_eq!(plan.output(), (61, 56));
}

#[test]
fn bounded_sizes() {
    let of = |w, h, shortest, longest| {
        let mut steps = clip();
        (steps.size, steps.crop) = (Some(Size::Bounded { shortest, longest }), None);
        steps.plan(w, h, Policy::None, None).map(|p| p.resized)
    };
    assert_eq!(of(640, 480, 800, 1333), Ok((1066, 800)));
    assert_eq!(of(1920, 1080, 800, 1333), Ok((1333, 750)));
    assert_eq!(of(1080, 1920, 800, 1333), Ok((750, 1333)));
    assert_eq!(of(1333, 750, 800, 1333), Ok((1333, 750)));
    assert!(of(30_000, 1, 8, 16).is_err(), "a side of 0 pixels");
}

#[test]
fn padding_to_a_square() {
    let plan = |w, h| clip().plan(w, h, Policy::Pad, None).unwrap();
    assert_eq!(plan(157, 83).canvas, Window { x: 0, y: -37, width: 157, height: 157 });
    assert_eq!(plan(64, 301).canvas, Window { x: -118, y: 0, width: 301, height: 301 });
    assert_eq!(plan(5, 5).canvas, Window { x: 0, y: 0, width: 5, height: 5 });
    assert_eq!((plan(5, 9).background, plan(5, 9).resized), (0xff68_747a, (224, 224)), "122, 116, 104");
    // A long picture in a large square: only its own 20 rows are read.
    let long = plan(30_000, 20).resampling().unwrap();
    assert_eq!((long.reads_y, long.reads_x), ((0, 20), (0, 30_000)));
    let llava = steps(json!({"image_processor_type": "LlavaImageProcessor", "do_pad": true})).unwrap();
    assert_eq!(llava.policy, Policy::Pad);
    assert_eq!(llava.plan(64, 301, Policy::Auto, None), Ok(plan(64, 301)));
}

#[test]
fn other_policies_and_sizes_are_errors() {
    let error = |policy: &str| clip().plan(10, 10, policy.parse().unwrap(), None).unwrap_err().to_string();
    assert!(error("anyres:max=9").contains("`anyres:max=9`"), "{}", error("anyres:max=9"));
    assert!(error("uhd").contains("one input a picture"), "{}", error("uhd"));
    assert!(clip().plan(0, 10, Policy::None, None).is_err());
    assert!(clip().plan(u32::MAX, 1, Policy::None, None).is_err());
    let mut whole = clip();
    whole.crop = None;
    assert!(whole.plan(1_000_000, 2, Policy::None, None).is_err(), "112 million columns of 224 rows");
    let fixed = clip().plan(40, 150, Policy::Auto, Some((144, 96))).unwrap();
    assert_eq!((fixed.resized, fixed.output()), ((96, 144), (96, 144)));
}

/// Padding, resizing and cropping in one go equal doing them one after another, for shapes that take either order
/// of passes, are padded on either side, or are cropped beyond their edges.
#[test]
fn plans_equal_the_steps_one_by_one() {
    for (w, h, edge, crop, policy) in [
        (31, 17, 12, Some((12, 12)), Policy::Pad),
        (9, 60, 12, Some((15, 19)), Policy::Pad),
        (60, 9, 12, Some((15, 9)), Policy::Pad),
        (13, 70, 11, Some((14, 7)), Policy::None),
        (70, 13, 11, Some((8, 30)), Policy::None),
        (1, 1, 5, Some((7, 7)), Policy::None),
        (5, 40, 30, None, Policy::None),
    ] {
        for filter in 0..6 {
            let pixels: Vec<u32> = (0..w * h).map(|i: u32| i.wrapping_mul(2_654_435_761) | 0xff00_0000).collect();
            let picture = Picture { width: w, height: h, pixels };
            let mut steps = clip();
            (steps.size, steps.crop, steps.resample) =
                (Some(Size::ShortestEdge(edge)), crop, Resample::from_pil(filter).unwrap());
            let plan = steps.plan(w, h, policy, None).unwrap();
            let cut = |from: &[u32], size: (u32, u32), window: Window, fill: u32| -> Vec<u32> {
                let at = |x: i32, y: i32| {
                    let inside = x >= 0 && y >= 0 && (x as u32) < size.0 && (y as u32) < size.1;
                    if inside { from[(y as u32 * size.0 + x as u32) as usize] } else { fill }
                };
                let rows = window.y..window.y + window.height as i32;
                rows.flat_map(|y| (window.x..window.x + window.width as i32).map(move |x| (x, y)))
                    .map(|(x, y)| at(x, y))
                    .collect()
            };
            let canvas = cut(&picture.pixels, plan.source, plan.canvas, plan.background);
            let size = (plan.canvas.width, plan.canvas.height);
            let resized = pillow_resize(&canvas, size, plan.resized, plan.resample);
            let want = cut(&resized, plan.resized, plan.crop, 0xff00_0000);
            let got: Vec<u32> = goldens::resize(&plan, &picture).data.iter().map(|p| *p as u32).collect();
            assert!(got == want, "{w}x{h} edge {edge} crop {crop:?} {policy} filter {filter}");
        }
    }
}
