//! Contents of quantized weights for cases: random codes, and scales that are numbers of a plausible size.

use crate::case::Random;
use omma::kernels::{Block, CacheFormat, Packing, ScaleType, Zero};

/// Bytes of a packed weight `[n, k]`, drawn from a seed.
pub fn draw(packing: Packing, n: usize, k: usize, seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed);
    let mut all = Vec::new();
    for (i, bytes) in packing.sections(n, k).into_iter().enumerate() {
        let mut section = match content(packing, i) {
            Content::Codes => (0..bytes).map(|_| (random.unit() * 256.0) as u8).collect(),
            Content::Numbers(ty) => (0..bytes / ty.size()).flat_map(|_| number(ty, scale(&mut random))).collect(),
            // One group beyond the last: it has to be clamped.
            Content::Groups(block) => {
                let groups = k.div_ceil(block) + 1;
                let group = |random: &mut Random| (random.unit() * groups as f64) as u32;
                (0..bytes / 4).flat_map(|_| group(&mut random).to_le_bytes()).collect()
            }
            // Without the codes of NaN.
            Content::Floats => {
                (0..bytes).map(|_| (random.unit() * 127.0) as u8 + 128 * (random.unit() * 2.0) as u8).collect()
            }
            Content::Blocks(block) => blocks(block, bytes / block.bytes(), &mut random),
            Content::Units(format) => units(format, bytes / (4 * format.words()), &mut random),
        };
        section.resize(section.len().next_multiple_of(4), 0);
        all.extend(section);
    }
    all
}

enum Content {
    Codes,
    Floats,
    Numbers(ScaleType),
    Groups(usize),
    Blocks(Block),
    Units(CacheFormat),
}

fn content(packing: Packing, section: usize) -> Content {
    match (packing, section) {
        (Packing::Codes(c), 1) => Content::Numbers(c.scale),
        (Packing::Codes(c), 2) if c.zero == Zero::Number => Content::Numbers(c.scale),
        (Packing::Codes(c), 3) => Content::Groups(c.block),
        (Packing::Gptq { .. } | Packing::Awq { .. }, 2) => Content::Numbers(ScaleType::F16),
        (Packing::Gptq { block, .. }, 3) => Content::Groups(block),
        (Packing::Table4 { nested: 0, .. } | Packing::Bytes { .. }, 1) => Content::Numbers(ScaleType::F32),
        (Packing::Table4 { .. }, 2..) => Content::Numbers(ScaleType::F32),
        (Packing::Bytes { e4m3: true, .. }, 0) => Content::Floats,
        (Packing::Block(block), _) => Content::Blocks(block),
        (Packing::Cache(format), _) => Content::Units(format),
        _ => Content::Codes,
    }
}

/// Of either sign, not too small to be a normal f16.
fn scale(random: &mut Random) -> f32 {
    let size = 0.01 + 0.09 * random.unit();
    (if random.unit() < 0.5 { -size } else { size }) as f32
}

fn number(ty: ScaleType, value: f32) -> Vec<u8> {
    match ty {
        ScaleType::F32 => value.to_le_bytes().to_vec(),
        ScaleType::F16 => half::f16::from_f32(value).to_le_bytes().to_vec(),
        ScaleType::BF16 => half::bf16::from_f32(value).to_le_bytes().to_vec(),
    }
}

/// Random bytes with numbers where the format has f16 fields, and a plausible exponent for MXFP4.
fn blocks(block: Block, count: usize, random: &mut Random) -> Vec<u8> {
    let fields: &[usize] = match block {
        Block::Q4_0 | Block::Q5_0 | Block::Q8_0 | Block::Iq4Nl | Block::Iq4Xs | Block::Q1_0 => &[0],
        Block::Q4_1 | Block::Q5_1 | Block::Q4K | Block::Q5K => &[0, 2],
        Block::Q2K => &[80, 82],
        Block::Q3K => &[108],
        Block::Q6K => &[208],
        Block::Tq1_0 => &[52],
        Block::Tq2_0 => &[64],
        Block::Mxfp4 | Block::Nvfp4 => &[],
    };
    let mut all = Vec::new();
    for _ in 0..count {
        let mut bytes: Vec<u8> = (0..block.bytes()).map(|_| (random.unit() * 256.0) as u8).collect();
        for at in fields {
            bytes[*at..at + 2].copy_from_slice(&number(ScaleType::F16, scale(random)));
        }
        if block == Block::Mxfp4 {
            bytes[0] = 118 + bytes[0] % 12;
        }
        all.extend(bytes);
    }
    all
}

/// Units of cached values: floats in [-1, 1), or random codes with two scales that make numbers of that size.
fn units(format: CacheFormat, count: usize, random: &mut Random) -> Vec<u8> {
    let mut all = Vec::new();
    for _ in 0..count {
        let value = |random: &mut Random| (2.0 * random.unit() - 1.0) as f32;
        match format {
            CacheFormat::F32 => (0..64).for_each(|_| all.extend(number(ScaleType::F32, value(random)))),
            CacheFormat::F16 => (0..64).for_each(|_| all.extend(number(ScaleType::F16, value(random)))),
            CacheFormat::Q8_0 | CacheFormat::Q4_0 => {
                let codes = 4 * (format.words() - 1);
                all.extend((0..codes).map(|_| (random.unit() * 256.0) as u8));
                let most = if format == CacheFormat::Q8_0 { 127.0 } else { 8.0 };
                (0..2).for_each(|_| all.extend(number(ScaleType::F16, (0.5 + 0.5 * random.unit()) as f32 / most)));
            }
        }
    }
    all
}

/// Every layout with the values of a row that it asks for: `(packing, k step)`.
pub fn layouts() -> Vec<(Packing, usize)> {
    use omma::kernels::Codes;
    let codes = Codes {
        bits: 4,
        signed: false,
        block: 32,
        align: 128,
        scale: ScaleType::F32,
        zero: Zero::Fixed(8),
        ordered: false,
    };
    let mut all: Vec<(Packing, usize)> = vec![(Packing::Codes(codes), 1)];
    let mut add = |codes: Codes| all.push((Packing::Codes(codes), 1));
    add(Codes { bits: 2, block: 16, align: 32, zero: Zero::Packed { align: 8 }, ..codes });
    add(Codes { bits: 8, block: 64, align: 512, scale: ScaleType::F16, zero: Zero::Number, ..codes });
    add(Codes { block: 16, align: 4, zero: Zero::Packed { align: 4 }, ..codes });
    add(Codes { bits: 8, align: 32, scale: ScaleType::BF16, zero: Zero::Down, ..codes });
    add(Codes { align: 32, scale: ScaleType::F16, zero: Zero::Down, ..codes });
    add(Codes { bits: 1, zero: Zero::Fixed(0), ..codes });
    add(Codes { ordered: true, zero: Zero::Packed { align: 8 }, ..codes });
    add(Codes { block: 3, align: 8, ..codes });
    add(Codes { signed: true, block: 16, align: 4, zero: Zero::Packed { align: 4 }, ..codes });
    for bits in [2, 4, 8] {
        all.push((Packing::Gptq { bits, block: 32, plus: 1, ordered: false }, 1));
        all.push((Packing::Gptq { bits, block: 16, plus: 0, ordered: true }, 1));
    }
    all.push((Packing::Awq { block: 32 }, 1));
    for nested in [0, 5] {
        all.push((Packing::Table4 { block: 64, nested }, 1));
        all.push((Packing::Table4 { block: 16, nested }, 1));
    }
    all.push((Packing::Bytes { e4m3: false, tile: [1, 1 << 20] }, 1));
    all.push((Packing::Bytes { e4m3: false, tile: [3, 16] }, 1));
    all.push((Packing::Bytes { e4m3: true, tile: [16, 32] }, 1));
    all.push((Packing::Bytes { e4m3: true, tile: [128, 128] }, 1));
    all.push((Packing::Awq { block: 128 }, 1));
    all.extend(Block::ALL.map(|block| (Packing::Block(block), block.values())));
    all
}

/// Rows that a layout has a multiple of: AWQ packs eight into a word.
pub fn step_of_rows(packing: Packing) -> usize {
    if matches!(packing, Packing::Awq { .. }) { 8 } else { 1 }
}
