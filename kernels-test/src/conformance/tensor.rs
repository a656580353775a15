//! Tensors of a pack on the host: bits of every element, unpacked, and the generators.

use super::dtype::Logical;
use super::{PackError, PackResult};

/// Most elements of one tensor: a pack asks for its sizes, so they are checked before memory is taken.
const MOST: usize = 1 << 28;

/// A tensor of a case, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Logical element type.
    pub dtype: Logical,
    /// Extents, slowest axis first.
    pub shape: Vec<usize>,
    /// Bits of each element in the low bits of a word.
    pub bits: Vec<u64>,
}

impl Tensor {
    /// Number of elements.
    pub fn len(&self) -> usize {
        self.bits.len()
    }
    /// Whether an extent is 0.
    pub fn is_empty(&self) -> bool {
        self.bits.is_empty()
    }
    /// Values as f64; integers beyond 2^53 are rounded.
    pub fn values(&self) -> Vec<f64> {
        self.bits.iter().map(|b| self.dtype.value(*b)).collect()
    }
    /// Values as integers; of floats, truncated.
    pub fn ints(&self) -> Vec<i64> {
        let value = |bits: &u64| match self.dtype.is_float() {
            true => self.dtype.value(*bits) as i64,
            false => self.dtype.integer(*bits).clamp(i64::MIN.into(), i64::MAX.into()) as i64,
        };
        self.bits.iter().map(value).collect()
    }
    /// The bytes as a file would hold them: little-endian, elements of less than a byte from the low bits up.
    pub fn bytes(&self) -> Vec<u8> {
        let width = self.dtype.bits();
        if width >= 8 {
            let size = width as usize / 8;
            return self.bits.iter().flat_map(|b| b.to_le_bytes().into_iter().take(size)).collect();
        }
        let per = (8 / width) as usize;
        let byte = |some: &[u64]| some.iter().enumerate().fold(0, |b, (i, v)| b | (*v as u8) << (i as u32 * width));
        self.bits.chunks(per).map(byte).collect()
    }
}

/// Elements of a shape, or an error when they are too many.
pub fn elements(shape: &[usize]) -> PackResult<usize> {
    let count = shape.iter().try_fold(1usize, |n, extent| n.checked_mul((*extent).max(1)));
    match count {
        Some(count) if count <= MOST => Ok(if shape.contains(&0) { 0 } else { count }),
        _ => Err(PackError::new("shape", format!("{shape:?} has more than {MOST} elements"))),
    }
}

/// How stored bytes hold elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// Whole elements of the stored type, little-endian.
    Plain,
    /// Two or four elements a byte, the first in the low bits.
    LowFirst,
    /// The bits of one 8-bit float a byte.
    ByteBits,
}

impl Packing {
    /// Packing by its name in an index; absent = plain.
    pub fn parse(name: Option<&str>) -> PackResult<Self> {
        match name {
            None => Ok(Self::Plain),
            Some("nibble_lo_first" | "crumb_lo_first") => Ok(Self::LowFirst),
            Some("byte_bits") => Ok(Self::ByteBits),
            Some(other) => Err(PackError::new("packing", format!("`{other}` is not a packing of the format"))),
        }
    }
}

/// Elements from stored bytes. `stored` is the type in which a plain tensor lies in the file; it may differ from the
/// logical one for expected values (f16 outputs kept in F32), so the tensor that comes back has the stored type then.
pub fn unpack(dtype: Logical, stored: Logical, packing: Packing, shape: &[usize], bytes: &[u8]) -> PackResult<Tensor> {
    let count = elements(shape)?;
    let wrong = |want: usize| {
        let reason = format!("{} of {shape:?} takes {want} bytes, the file has {}", dtype.name(), bytes.len());
        Err(PackError::new("tensor", reason))
    };
    let (dtype, bits) = match packing {
        Packing::Plain => {
            let size = stored.bits() as usize / 8;
            if size == 0 || bytes.len() != count * size {
                return wrong(count * size);
            }
            let word = |b: &[u8]| b.iter().rev().fold(0u64, |w, byte| w << 8 | u64::from(*byte));
            (stored, bytes.chunks_exact(size).map(word).collect())
        }
        Packing::ByteBits => {
            if bytes.len() != count {
                return wrong(count);
            }
            (dtype, bytes.iter().map(|b| u64::from(*b)).collect())
        }
        Packing::LowFirst => {
            let width = dtype.bits() as usize;
            if width >= 8 {
                return Err(PackError::new("packing", format!("{} has whole bytes", dtype.name())));
            }
            let per = 8 / width;
            if bytes.len() != count.div_ceil(per) {
                return wrong(count.div_ceil(per));
            }
            let mask = (1u64 << width) - 1;
            (dtype, (0..count).map(|i| u64::from(bytes[i / per]) >> (i % per * width) & mask).collect())
        }
    };
    Ok(Tensor { dtype, shape: shape.to_vec(), bits })
}

/// A generator of a pack.
#[derive(Debug, Clone, PartialEq)]
pub struct Gen {
    /// ih4, uni, u8 or i8.
    pub algo: String,
    /// Seed.
    pub seed: u64,
    /// Factor of the float generators.
    pub scale: f64,
    /// Addend of the float generators.
    pub offset: f64,
}

/// splitmix64 of the counter `i + 1`.
fn split_mix(seed: u64, i: u64) -> u64 {
    let mut z = seed.wrapping_add((i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The tensor that a generator makes.
pub fn generate(dtype: Logical, shape: &[usize], made: &Gen) -> PackResult<Tensor> {
    let count = elements(shape)?;
    let float = |value: f64| {
        let value = (value * made.scale + made.offset) as f32;
        match dtype {
            Logical::F64 => f64::from(value).to_bits(),
            Logical::F16 => u64::from(half::f16::from_f32(value).to_bits()),
            Logical::BF16 => u64::from(half::bf16::from_f32(value).to_bits()),
            _ => u64::from(value.to_bits()),
        }
    };
    let draw: &dyn Fn(u64) -> u64 = match (made.algo.as_str(), dtype.is_float()) {
        ("ih4", true) => &|z| {
            let sum = (0..4).map(|k| z >> (16 * k) & 0xffff).sum::<u64>();
            float((sum as f64 - 131_070.0) / 65_536.0)
        },
        ("uni", true) => &|z| float(((z >> 40) as f64 - 8_388_608.0) / 8_388_608.0),
        ("u8" | "i8", false) => &|z| z >> 56,
        (other, _) => {
            let reason = format!("`{other}` does not make {}", dtype.name());
            return Err(PackError::new("generator", reason));
        }
    };
    let bits = (0..count as u64).map(|i| draw(split_mix(made.seed, i))).collect();
    Ok(Tensor { dtype, shape: shape.to_vec(), bits })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generators_by_hand() {
        // The first output of splitmix64 with seed 0 is a published constant.
        assert_eq!(split_mix(0, 0), 0xe220_a839_7b1d_cdaf);
        let byte = |algo: &str, ty| {
            let made = Gen { algo: algo.into(), seed: 0, scale: 1.0, offset: 0.0 };
            generate(ty, &[1], &made).unwrap().values()[0]
        };
        assert_eq!(byte("u8", Logical::U8), f64::from(0xe2));
        assert_eq!(byte("i8", Logical::I8), f64::from(0xe2 - 256));
        let sum = f64::from(0xe220 + 0xa839 + 0x7b1d + 0xcdaf);
        assert_eq!(byte("ih4", Logical::F32), (sum - 131_070.0) / 65_536.0);
        assert_eq!(byte("uni", Logical::F32), f64::from(0xe2_20a8 - 0x80_0000) / 8_388_608.0);
        let made = Gen { algo: "u8".into(), seed: 0, scale: 1.0, offset: 0.0 };
        assert!(generate(Logical::F32, &[1], &made).is_err());
    }

    #[test]
    fn halves_are_rounded_after_f32() {
        let made = Gen { algo: "ih4".into(), seed: 7, scale: 3.0, offset: 0.1 };
        let wide = generate(Logical::F32, &[100], &made).unwrap().values();
        let half = generate(Logical::F16, &[100], &made).unwrap().values();
        for (w, h) in wide.iter().zip(half) {
            assert_eq!(half::f16::from_f32(*w as f32).to_f64(), h);
        }
    }

    #[test]
    fn packed_elements_come_out_low_bits_first() {
        let nibbles = unpack(Logical::I4, Logical::U8, Packing::LowFirst, &[3], &[0xf1, 0x08]).unwrap();
        assert_eq!(nibbles.ints(), [1, -1, -8]);
        assert_eq!(nibbles.bytes(), [0xf1, 0x08]);
        let crumbs = unpack(Logical::U2, Logical::U8, Packing::LowFirst, &[5], &[0b11_10_01_00, 2]).unwrap();
        assert_eq!(crumbs.ints(), [0, 1, 2, 3, 2]);
        assert!(unpack(Logical::U2, Logical::U8, Packing::LowFirst, &[5], &[0]).is_err());
        let wide = unpack(Logical::I64, Logical::I64, Packing::Plain, &[1], &[0xfe, 255, 255, 255, 255, 255, 255, 255]);
        assert_eq!(wide.unwrap().ints(), [-2]);
        assert!(unpack(Logical::F32, Logical::F32, Packing::Plain, &[2], &[0; 7]).is_err());
    }

    #[test]
    fn absurd_shapes_are_errors() {
        assert!(elements(&[usize::MAX, 2]).is_err());
        assert!(elements(&[0, usize::MAX, 2]).is_err(), "an empty axis may not hide an absurd one");
        assert_eq!(elements(&[]).unwrap(), 1);
        assert_eq!(elements(&[0, 5]).unwrap(), 0);
    }
}
