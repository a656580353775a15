//! Elements as checkpoints store them (little endian, unaligned), widened to what the engine computes with.
//! Narrowing and quantising do not live here.

use half::{bf16, f16};

use crate::DType;

/// Converts the elements in `bytes` to f32: exact for f32, f16, bf16, bool and integers below 2^24, otherwise rounded to
/// nearest. Converts as many elements as both sides have.
pub fn to_f32(dtype: DType, bytes: &[u8], out: &mut [f32]) {
    match dtype {
        DType::F64 => each(bytes, out, |b| f64::from_le_bytes(b) as f32),
        DType::F32 => each(bytes, out, f32::from_le_bytes),
        DType::F16 => each(bytes, out, |b| f16::from_le_bytes(b).to_f32()),
        DType::BF16 => each(bytes, out, |b| bf16::from_le_bytes(b).to_f32()),
        DType::I64 => each(bytes, out, |b| i64::from_le_bytes(b) as f32),
        DType::I32 => each(bytes, out, |b| i32::from_le_bytes(b) as f32),
        DType::I16 => each(bytes, out, |b| f32::from(i16::from_le_bytes(b))),
        DType::I8 => each(bytes, out, |b| f32::from(i8::from_le_bytes(b))),
        DType::U64 => each(bytes, out, |b| u64::from_le_bytes(b) as f32),
        DType::U32 => each(bytes, out, |b| u32::from_le_bytes(b) as f32),
        DType::U16 => each(bytes, out, |b| f32::from(u16::from_le_bytes(b))),
        DType::U8 => each(bytes, out, |[b]| f32::from(b)),
        DType::Bool => each(bytes, out, |[b]| f32::from(u8::from(b != 0))),
    }
}

/// Converts the integers (or bools, as 0 and 1) in `bytes`. Converts as many elements as both sides have.
///
/// # Errors
/// A text that says why: a float type, or a u64 beyond i64.
pub fn to_i64(dtype: DType, bytes: &[u8], out: &mut [i64]) -> Result<(), String> {
    match dtype {
        DType::I64 => each(bytes, out, i64::from_le_bytes),
        DType::I32 => each(bytes, out, |b| i64::from(i32::from_le_bytes(b))),
        DType::I16 => each(bytes, out, |b| i64::from(i16::from_le_bytes(b))),
        DType::I8 => each(bytes, out, |b| i64::from(i8::from_le_bytes(b))),
        DType::U32 => each(bytes, out, |b| i64::from(u32::from_le_bytes(b))),
        DType::U16 => each(bytes, out, |b| i64::from(u16::from_le_bytes(b))),
        DType::U8 => each(bytes, out, |[b]| i64::from(b)),
        DType::Bool => each(bytes, out, |[b]| i64::from(b != 0)),
        DType::U64 => {
            each(bytes, out, |b| u64::from_le_bytes(b) as i64);
            if out.iter().any(|n| *n < 0) {
                return Err("it has a u64 beyond the range of i64".into());
            }
        }
        DType::F64 | DType::F32 | DType::F16 | DType::BF16 => return Err(format!("it is {dtype}")),
    }
    Ok(())
}

fn each<const N: usize, T>(bytes: &[u8], out: &mut [T], convert: impl Fn([u8; N]) -> T) {
    for (to, from) in out.iter_mut().zip(bytes.as_chunks::<N>().0) {
        *to = convert(*from);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_by_hand() {
        let f32_of = |dtype, bytes: &[u8]| {
            let mut out = vec![f32::NAN; bytes.len() / dtype_size(dtype)];
            to_f32(dtype, bytes, &mut out);
            out
        };
        assert_eq!(f32_of(DType::F64, &[0.1f64.to_le_bytes(), (-3.5f64).to_le_bytes()].concat()), [0.1, -3.5]);
        assert_eq!(f32_of(DType::F32, &1.25e-40f32.to_le_bytes()), [1.25e-40]);
        // 1.0, -2.0, smallest subnormal 2^-24, largest 65504.
        let halves = [0x3c00u16, 0xc000, 0x0001, 0x7bff].map(u16::to_le_bytes).concat();
        assert_eq!(f32_of(DType::F16, &halves), [1.0, -2.0, 2f32.powi(-24), 65504.0]);
        let brains = [0x3f80u16, 0xc000, 0x0001].map(u16::to_le_bytes).concat();
        assert_eq!(f32_of(DType::BF16, &brains), [1.0, -2.0, f32::from_bits(0x0001_0000)]);
        assert_eq!(f32_of(DType::I64, &(-5i64).to_le_bytes()), [-5.0]);
        assert_eq!(f32_of(DType::I32, &(-6i32).to_le_bytes()), [-6.0]);
        assert_eq!(f32_of(DType::I16, &(-7i16).to_le_bytes()), [-7.0]);
        assert_eq!(f32_of(DType::I8, &[0x80]), [-128.0]);
        assert_eq!(f32_of(DType::U64, &u64::MAX.to_le_bytes()), [2f32.powi(64)]);
        assert_eq!(f32_of(DType::U32, &u32::MAX.to_le_bytes()), [2f32.powi(32)]);
        assert_eq!(f32_of(DType::U16, &[0xff, 0xff]), [65535.0]);
        assert_eq!(f32_of(DType::U8, &[0, 255]), [0.0, 255.0]);
        assert_eq!(f32_of(DType::Bool, &[0, 1, 255]), [0.0, 1.0, 1.0]);
    }

    #[test]
    fn integers_stay_exact_and_floats_are_refused() {
        let mut out = [0i64; 2];
        let big = i64::MAX - 1;
        to_i64(DType::I64, &[big.to_le_bytes(), (-1i64).to_le_bytes()].concat(), &mut out).unwrap();
        assert_eq!(out, [big, -1]);
        to_i64(DType::U16, &[1, 2, 3, 4], &mut out).unwrap();
        assert_eq!(out, [0x0201, 0x0403]);
        assert!(to_i64(DType::U64, &[0xff; 16], &mut out).is_err());
        assert!(to_i64(DType::F16, &[0; 4], &mut out).is_err());
    }

    fn dtype_size(dtype: DType) -> usize {
        dtype.size()
    }
}
