//! Damaged input where it comes in, target by target: picture files, sizes and settings of tilings and configurations
//! (`pictures`), GGUF checkpoints with their picture parts (`gguf`), checkpoints of quantizing programs (`quantized`). Each
//! must answer with a result or an error, soon, and within its limits.
//!
//! Plain mutation from small files that are made here; input `n` of a seed is always the same, so that a finding is
//! repeated by its number alone.

mod checkpoints;

use image::{DynamicImage, ImageFormat};
use omma::image::tiles::{CheckpointFiles, Levels, Segment, TilePlan, Tiling};
use omma::image::{Limits, Picture, Policy, Resample};
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Longest time for one input.
const SOON: Duration = Duration::from_secs(10);
/// Most pixels of a decoded picture.
const PIXELS: u64 = 1 << 21;

/// Something that must not happen.
#[derive(Debug)]
pub struct Finding {
    /// Number of the input.
    pub input: u64,
    /// What happened.
    pub what: String,
}

/// What inputs go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Decoding and tiling.
    Pictures,
    /// GGUF files.
    Gguf,
    /// safetensors in quantized layouts.
    Quantized,
}

impl Target {
    /// Every target by its name.
    pub const ALL: [(&'static str, Self); 3] =
        [("pictures", Self::Pictures), ("gguf", Self::Gguf), ("quantized", Self::Quantized)];

    /// The target of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, target)| *target)
    }
}

/// Most address space that an input may take beyond what the process had: a size that a file lies about costs more.
const SPACE: u64 = 1 << 30;

/// The most address space that the process has had, where the system tells.
fn space() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmPeak:")).unwrap_or_default();
    line.trim_matches(|c: char| !c.is_ascii_digit()).parse::<u64>().unwrap_or(0) << 10
}

/// Runs inputs from `first` on until the time is over or one is a finding; how many ran, and the finding.
pub fn run(target: Target, seed: u64, first: u64, time: Duration) -> (u64, Option<Finding>) {
    let corpus = Corpus::new(target);
    let before = space();
    let (start, mut input) = (Instant::now(), first);
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let mut found = None;
    while found.is_none() && start.elapsed() < time {
        let (mut what, mut took) = timed(&corpus, seed, input);
        if what.is_none() && took >= SOON {
            // Another process may have held this one up.
            (what, took) = timed(&corpus, seed, input);
        }
        if what.is_none() && took >= SOON {
            what = Some(format!("it took {took:?}, twice"));
        }
        if what.is_none() && space() > before + SPACE {
            what = Some(format!("it took more than {SPACE} bytes of address space"));
        }
        found = what.map(|what| Finding { input, what });
        input += 1;
    }
    std::panic::set_hook(hook);
    (input - first, found)
}

/// Time that this thread has had on a processor, so that other work on the machine is no finding; wall time where the
/// system does not tell.
fn work_done() -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let on_cpu = told.and_then(|text| text.split(' ').next()?.parse().ok()).map(Duration::from_nanos);
    static START: OnceLock<Instant> = OnceLock::new();
    on_cpu.unwrap_or_else(|| START.get_or_init(Instant::now).elapsed())
}

/// What is wrong with one input, if anything, and how long it took.
fn timed(corpus: &Corpus, seed: u64, input: u64) -> (Option<String>, Duration) {
    let began = work_done();
    let mut random = Random::new(seed, input);
    let what = match catch_unwind(AssertUnwindSafe(|| one(corpus, &mut random))) {
        Ok(result) => result.err(),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
            Some(format!("panic: {}", text.unwrap_or_default()))
        }
    };
    (what, work_done().saturating_sub(began))
}

/// One input; `Err` says what must not be.
fn one(corpus: &Corpus, random: &mut Random) -> Result<(), String> {
    match corpus.target {
        Target::Gguf => checkpoints::gguf(&corpus.gguf, random),
        Target::Quantized => checkpoints::quantized(&corpus.quantized, random),
        Target::Pictures => match random.below(4) {
            0 => geometry(random),
            1 => configuration(corpus, random),
            _ => picture(corpus, random),
        },
    }
}

/// A size that breaks things, or any.
fn side(random: &mut Random) -> u32 {
    match random.below(5) {
        0 => random.below(40) as u32,
        1 => (random.below(60) * 336 + random.below(3)).saturating_sub(1) as u32,
        2 => random.below(70_000) as u32,
        3 => u32::MAX >> random.below(32),
        _ => random.next() as u32,
    }
}

fn geometry(random: &mut Random) -> Result<(), String> {
    let names = Policy::names();
    let mut name = names[random.below(names.len() as u64) as usize].to_string();
    if name.starts_with("uhd") && random.below(2) == 0 {
        let (max, size, patch) = (random.below(5000), random.below(4000), random.below(100));
        name = format!("{name}:max={max},size={size},patch={patch}");
    }
    let tiling = name.parse().and_then(Tiling::named);
    let Ok(tiling) = tiling else { return Ok(()) };
    check_tiling(&tiling, (side(random), side(random)), random)
}

fn check_tiling(tiling: &Tiling, size: (u32, u32), random: &mut Random) -> Result<(), String> {
    let most = 1 + random.below(20_000);
    let plans = [tiling.plan(size.0, size.1), tiling.plan_within(size.0, size.1, most)];
    if plans[1].as_ref().is_ok_and(|plan| plan.tokens.total > most) {
        return Err(format!("{tiling:?} at {size:?}: more than the cap of {most}"));
    }
    plans.iter().flatten().try_for_each(|plan| check_plan(plan).map_err(|e| format!("{tiling:?} at {size:?}: {e}")))
}

fn check_plan(plan: &TilePlan) -> Result<(), String> {
    let total: u64 = plan.order.iter().map(Segment::tokens).sum();
    if total != plan.tokens.total {
        return Err(format!("{total} tokens in order, {} said", plan.tokens.total));
    }
    let canvas = u64::from(plan.canvas.width) * u64::from(plan.canvas.height);
    let tiled: u64 = plan.tiles.iter().map(|t| u64::from(t.area.width) * u64::from(t.area.height)).sum();
    if !plan.tiles.is_empty() && tiled != canvas {
        return Err(format!("{tiled} pixels of tiles, {canvas} of the canvas"));
    }
    let levels = Levels { resample: Resample::Bicubic, rescale: 1.0, mean: [0.0; 3], std: [1.0; 3], over: None };
    // Weights of large plans are many; those of one tile are enough.
    let inputs = plan.inputs(&levels).unwrap_or_default();
    for step in inputs.first().iter().flat_map(|input| &input.steps) {
        if u64::from(step.crop.width) + u64::from(step.crop.height) < 8192 && step.source.0.max(step.source.1) < 65_536
        {
            let _ = step.resampling();
        }
    }
    Ok(())
}

fn configuration(corpus: &Corpus, random: &mut Random) -> Result<(), String> {
    let (config, image) = random.pick(&corpus.configurations);
    let mut texts = [config.clone().into_bytes(), image.clone().into_bytes()];
    for text in &mut texts {
        random.damage(text, b"0123456789.-e[]{}\",:ntf");
    }
    let [config, image] = texts.map(|t| String::from_utf8_lossy(&t).into_owned());
    let files = CheckpointFiles { config: Some(&config), preprocessor: Some(&image), processor: None };
    let _ = Levels::of_checkpoint(&files);
    match Tiling::of_checkpoint(&files) {
        Ok(tiling) => check_tiling(&tiling, (side(random), side(random)), random),
        Err(_) => Ok(()),
    }
}

fn picture(corpus: &Corpus, random: &mut Random) -> Result<(), String> {
    let mut bytes = random.pick(&corpus.pictures).clone();
    random.damage(&mut bytes, &[0, 1, 0x7f, 0x80, 0xff]);
    let limits = Limits { max_pixels: PIXELS, ..Limits::default() };
    let decoded = match random.below(3) {
        0 => Picture::decode_oriented("picture", &bytes, &limits),
        1 => Picture::decode_over("picture", &bytes, &limits, [255; 3]),
        _ => Picture::decode("picture", &bytes, &limits),
    };
    match decoded {
        Ok(p) if u64::from(p.width) * u64::from(p.height) != p.pixels.len() as u64 => {
            Err(format!("{} pixels of {}x{}", p.pixels.len(), p.width, p.height))
        }
        Ok(p) if p.pixels.is_empty() || p.pixels.len() as u64 > PIXELS => {
            Err(format!("{}x{} is beyond the limits", p.width, p.height))
        }
        Ok(_) => Ok(()),
        Err(error) if error.to_string().contains('\n') => Err(format!("an error of several lines: {error}")),
        Err(_) => Ok(()),
    }
}

/// What inputs are made from.
struct Corpus {
    target: Target,
    gguf: Vec<[checkpoints::Sound; 2]>,
    quantized: Vec<(String, Vec<u8>)>,
    pictures: Vec<Vec<u8>>,
    configurations: Vec<(String, String)>,
}

impl Corpus {
    fn new(target: Target) -> Self {
        let rgb = image::RgbImage::from_fn(23, 17, |x, y| image::Rgb([x as u8 * 11, y as u8 * 15, (x * y) as u8]));
        let whole = DynamicImage::ImageRgb8(rgb);
        let kinds = [
            whole.clone(),
            DynamicImage::ImageLuma8(whole.to_luma8()),
            DynamicImage::ImageLumaA8(whole.to_luma_alpha8()),
            DynamicImage::ImageRgba8(whole.to_rgba8()),
            DynamicImage::ImageLuma16(whole.to_luma16()),
            DynamicImage::ImageRgb16(whole.to_rgb16()),
        ];
        use ImageFormat::{Bmp, Gif, Jpeg, Png, Pnm, Tiff, WebP};
        let mut pictures = Vec::new();
        for (kind, format) in kinds.iter().flat_map(|k| [Bmp, Gif, Jpeg, Png, Pnm, Tiff, WebP].map(|f| (k, f))) {
            let mut bytes = Cursor::new(Vec::new());
            // Not every format holds every kind.
            if kind.write_to(&mut bytes, format).is_ok() {
                pictures.push(bytes.into_inner());
            }
        }
        let (gguf, quantized) = (checkpoints::gguf_corpus(), checkpoints::quantized_corpus());
        Self { target, gguf, quantized, pictures, configurations: configurations() }
    }
}

/// A configuration and an image processor of each type that tiles.
fn configurations() -> Vec<(String, String)> {
    let towers = r#"{"model_type":"internvl","vision_config":{"patch_size":14,"window_size":112},"scale_factor":2,
        "downsample_ratio":0.5,"vision_aspect_ratio":"anyres_max_9","perceiver_config":{"resampler_n_latents":64}}"#;
    let own = r#"{"mm_vision_tower":"a","image_aspect_ratio":"anyres_max_4","mm_patch_merge_type":"spatial_unpad",
        "image_grid_pinpoints":[[336,672],[672,336],[672,672]]}"#;
    let types = [
        (
            "LlavaNext",
            r#""size":{"shortest_edge":336},"crop_size":{"height":336,"width":336},"image_grid_pinpoints":[[336,672],[672,336]]"#,
        ),
        ("LlavaOnevision", r#""size":{"height":384,"width":384},"image_grid_pinpoints":[[384,768],[768,384]]"#),
        ("Qwen2VL", r#""min_pixels":3136,"max_pixels":12845056,"patch_size":14,"merge_size":2"#),
        ("GotOcr2", r#""size":{"height":448,"width":448},"crop_to_patches":true,"min_patches":1,"max_patches":12"#),
        ("Fuyu", r#""size":{"height":1080,"width":1920},"patch_size":{"height":30,"width":30}"#),
        ("Idefics2", r#""size":{"shortest_edge":378,"longest_edge":980},"do_image_splitting":true"#),
        ("Idefics3", r#""size":{"longest_edge":1456},"max_image_size":{"longest_edge":364}"#),
        ("Pixtral", r#""size":{"longest_edge":1024},"patch_size":16"#),
        ("Mllama", r#""size":{"height":560,"width":560},"max_image_tiles":4"#),
        ("MiniCPMV4_6", r#""max_slice_nums":9,"scale_resolution":448,"patch_size":14"#),
        ("CLIP", r#""size":336,"crop_size":336,"image_mean":[0.5,0.5,0.5],"image_std":0.5"#),
    ];
    let image = |(name, fields)| format!("{{\"image_processor_type\":\"{name}ImageProcessor\",{fields}}}");
    types.into_iter().flat_map(|t| [towers, own].map(|config| (config.to_string(), image(t)))).collect()
}

/// A stream of numbers of its own for each input (SplitMix64).
struct Random(u64);

impl Random {
    fn new(seed: u64, input: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ input.wrapping_mul(0xd134_2543_de82_ef95))
    }
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }
    fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len() as u64) as usize]
    }
    /// Damage before `front`, behind which the bytes stay as they are and as many as before, or a few more. Returns the new
    /// length of the front.
    fn damage_front(&mut self, bytes: &mut Vec<u8>, front: usize, likely: &[u8]) -> usize {
        let mut tail = bytes.split_off(front.min(bytes.len()));
        self.damage(bytes, likely);
        let front = bytes.len();
        if self.below(2) == 0 {
            tail.resize(tail.len() + 256, 0);
        }
        bytes.append(&mut tail);
        front
    }
    /// Up to eight changes: bits, bytes, numbers of two and four bytes, pieces cut, doubled or cut off.
    fn damage(&mut self, bytes: &mut Vec<u8>, likely: &[u8]) {
        for _ in 0..self.below(9) {
            let at = self.below(bytes.len() as u64) as usize;
            let piece = (self.below(16) as usize).min(bytes.len() - at);
            match self.below(8) {
                _ if bytes.is_empty() => return,
                0 => bytes[at] ^= 1 << self.below(8),
                1 => bytes[at] = self.next() as u8,
                2 | 3 => bytes[at] = *self.pick(likely),
                4 => bytes[at..at + piece].fill(*self.pick(likely)),
                5 => drop(bytes.drain(at..at + piece)),
                6 => {
                    let copy = bytes[at..at + piece].to_vec();
                    bytes.splice(at..at, copy);
                }
                _ if self.below(4) == 0 => bytes.truncate(at),
                _ => bytes.insert(at, *self.pick(likely)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_of_it() {
        for (name, target) in Target::ALL {
            let (ran, found) = run(target, 7, 0, Duration::from_secs(1));
            assert!(found.is_none(), "{name}: {found:?}");
            assert!(ran > 50, "{name}: {ran} inputs");
        }
    }

    /// The checks see what they are for.
    #[test]
    fn unsound_plans_are_found() {
        let mut plan = Tiling::named("anyres".parse().unwrap()).unwrap().plan(640, 480).unwrap();
        assert_eq!(check_plan(&plan), Ok(()));
        plan.tokens.total += 1;
        assert!(check_plan(&plan).is_err());
        plan.tokens.total -= 1;
        plan.tiles.pop();
        assert!(check_plan(&plan).is_err());
    }
}
