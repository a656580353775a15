//! Host values to device bytes and back, by type and layout. For tests, dumps and bisecting.

use crate::kernels::{Layout, TensorType, chunks};
use crate::reference::{self, Array};
use crate::{Caps, DType, Error, Result};

/// Host values of a tensor from the bytes of its chunks.
pub fn decode(ty: &TensorType, pieces: &[Vec<u8>], caps: &Caps) -> Result<Array> {
    if let Layout::Packed(packing) = ty.layout {
        let bytes: Vec<u8> = pieces.concat();
        return Ok(reference::unpack(packing, ty.rows(), ty.cols(), &bytes));
    }
    let mut data = Vec::with_capacity(ty.elements());
    let cuts = chunks(ty, caps);
    for (chunk, bytes) in cuts.iter().zip(pieces) {
        let values = elements(ty.dtype, bytes)?;
        let (rows, cols) = (chunk.rows, ty.cols());
        match ty.layout {
            Layout::Rows | Layout::Packed(_) => data.extend_from_slice(&values[..rows * cols]),
            Layout::Panels => {
                let at = |n: usize, k: usize| values[((k / 4) * rows + n) * 4 + k % 4];
                data.extend((0..rows).flat_map(|n| (0..cols).map(move |k| (n, k))).map(|(n, k)| at(n, k)));
            }
        }
    }
    Ok(Array::new(ty.dtype, &ty.shape, data))
}

fn elements(dtype: DType, bytes: &[u8]) -> Result<Vec<f64>> {
    let words = || bytes.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
    let halves = || bytes.chunks_exact(2).map(|b| u16::from_le_bytes([b[0], b[1]]));
    Ok(match dtype {
        DType::F32 => words().map(|w| f64::from(f32::from_bits(w))).collect(),
        DType::U32 => words().map(f64::from).collect(),
        DType::I32 => words().map(|w| f64::from(w as i32)).collect(),
        DType::F16 => halves().map(|h| half::f16::from_bits(h).to_f64()).collect(),
        DType::BF16 => halves().map(|h| half::bf16::from_bits(h).to_f64()).collect(),
        other => return Err(Error::graph("read back", format!("{other} is not a device type"))),
    })
}

/// Bytes of a tensor as the device holds it, chunk by chunk, from host values.
pub fn encode(ty: &TensorType, array: &Array, caps: &Caps) -> Result<Vec<Vec<u8>>> {
    let mut all = Vec::new();
    for chunk in chunks(ty, caps) {
        let (rows, cols) = (chunk.rows, ty.cols());
        let values = &array.data[chunk.first * cols..][..rows * cols];
        let mut bytes = match ty.layout {
            Layout::Packed(_) => {
                let reason = "a packed weight cannot be made from values; its bytes come from a file";
                return Err(Error::graph(ty.to_string(), reason));
            }
            Layout::Rows => values.iter().flat_map(|v| element(ty.dtype, *v)).collect::<Vec<u8>>(),
            Layout::Panels => {
                let at = |n: usize, k: usize| if k < cols { values[n * cols + k] } else { 0.0 };
                let quads = (0..cols.div_ceil(4)).flat_map(|q| (0..rows).map(move |n| (q, n)));
                quads.flat_map(|(q, n)| (0..4).flat_map(move |i| element(ty.dtype, at(n, 4 * q + i)))).collect()
            }
        };
        bytes.resize(bytes.len().next_multiple_of(4).max(4), 0);
        all.push(bytes);
    }
    Ok(all)
}

fn element(dtype: DType, value: f64) -> Vec<u8> {
    match dtype {
        // By way of f32, which is what values come as: `half` drops the low bits of an f64 before it rounds.
        DType::F16 => half::f16::from_f32(value as f32).to_le_bytes().to_vec(),
        DType::BF16 => half::bf16::from_f32(value as f32).to_le_bytes().to_vec(),
        DType::F32 => (value as f32).to_le_bytes().to_vec(),
        DType::I32 => (value as i32).to_le_bytes().to_vec(),
        _ => (value as u32).to_le_bytes().to_vec(),
    }
}
