//! A case: a kernel with its attributes, the types of its inputs, and how they are filled.

use crate::packed;
use omma::DType;
use omma::kernels::{CacheFormat, Kernel, Layout, Packing, TensorType};
use omma::reference::{Array, unpack};

/// How an input is filled. All draws come from the case's seed.
#[derive(Debug, Clone, PartialEq)]
pub enum Fill {
    /// Uniform in `[low, high)`.
    Uniform(f64, f64),
    /// Uniform with a spread of 1 around an offset of 1000: cancellation in means and variances.
    Offset,
    /// Uniform in `[-1, 1)`, with every 97th column times 30000: beyond f16 after a product.
    Outlier,
    /// All zero.
    Zeros,
    /// Uniform in `[-1e4, 1e4)`: logits that overflow a careless exponential.
    Huge,
    /// The smallest normal numbers and denormals.
    Tiny,
    /// One value.
    Const(f64),
    /// Integers, uniform in `0 .. below`.
    Index(u32),
    /// These values, in row-major order.
    Values(Vec<f64>),
}

/// One input of a case.
#[derive(Debug, Clone, PartialEq)]
pub struct Input {
    /// Type on the device.
    pub ty: TensorType,
    /// Contents.
    pub fill: Fill,
}

impl Input {
    /// An input of type `ty`, filled so.
    pub fn new(ty: TensorType, fill: Fill) -> Self {
        Self { ty, fill }
    }
    /// f32 rows, uniform in `[-1, 1)`.
    pub fn f32(shape: &[usize]) -> Self {
        Self::new(TensorType::f32(shape), Fill::Uniform(-1.0, 1.0))
    }
    /// Rows of `dtype`, uniform in `[-1, 1)`.
    pub fn float(dtype: DType, shape: &[usize]) -> Self {
        Self::new(TensorType::new(dtype, shape), Fill::Uniform(-1.0, 1.0))
    }
    /// A weight in panels, uniform in `[-1, 1)`.
    pub fn panels(dtype: DType, n: usize, k: usize) -> Self {
        Self::new(TensorType::panels(dtype, n, k), Fill::Uniform(-1.0, 1.0))
    }
    /// A quantized weight: random codes and scales, whatever the fill.
    pub fn packed(packing: Packing, n: usize, k: usize) -> Self {
        Self::new(TensorType::packed(packing, n, k), Fill::Zeros)
    }
    /// Rows of keys or values in a cache beside activations of type `compute`: what `float` fills, or random codes.
    pub fn cache(format: CacheFormat, compute: DType, rows: usize, cols: usize) -> Self {
        Self::new(TensorType::cache(format, compute, rows, cols), Fill::Uniform(-1.0, 1.0))
    }
    /// u32 values as listed.
    pub fn u32(shape: &[usize], values: &[u32]) -> Self {
        let values = values.iter().map(|v| f64::from(*v)).collect();
        Self::new(TensorType::u32(shape), Fill::Values(values))
    }
    /// The same input, filled otherwise.
    #[must_use]
    pub fn fill(mut self, fill: Fill) -> Self {
        self.fill = fill;
        self
    }
    /// The bytes of a quantized weight; values do not make them.
    pub fn packed_bytes(&self, seed: u64) -> Option<Vec<u8>> {
        match self.ty.layout {
            Layout::Packed(packing) => Some(packed::draw(packing, self.ty.rows(), self.ty.cols(), seed)),
            _ => None,
        }
    }
    /// The values, rounded to what the device can hold.
    pub fn draw(&self, seed: u64) -> Array {
        if let (Layout::Packed(packing), Some(bytes)) = (self.ty.layout, self.packed_bytes(seed)) {
            return unpack(packing, self.ty.rows(), self.ty.cols(), &bytes);
        }
        let mut random = Random::new(seed);
        let cols = self.ty.cols();
        let value = |i: usize, random: &mut Random| match &self.fill {
            Fill::Uniform(low, high) => low + (high - low) * random.unit(),
            Fill::Offset => 1000.0 + random.unit() - 0.5,
            Fill::Outlier => (2.0 * random.unit() - 1.0) * if i % cols % 97 == 3 { 3e4 } else { 1.0 },
            Fill::Zeros => 0.0,
            Fill::Huge => (2.0 * random.unit() - 1.0) * 1e4,
            Fill::Tiny => (2.0 * random.unit() - 1.0) * 4.0 * f64::from(f32::MIN_POSITIVE),
            Fill::Const(v) => *v,
            Fill::Index(below) => (random.unit() * f64::from(*below)).floor(),
            Fill::Values(values) => values[i],
        };
        let data = (0..self.ty.elements()).map(|i| round(value(i, &mut random), self.ty.dtype)).collect();
        Array::new(self.ty.dtype, &self.ty.shape, data)
    }
}

/// One row of a kernel's case list.
#[derive(Debug)]
pub struct Case {
    /// Unique within the kernel; shows the shape, e.g. `"577x1024"`.
    pub name: String,
    /// Kernel and attributes.
    pub kernel: std::sync::Arc<dyn Kernel>,
    /// Inputs in port order.
    pub inputs: Vec<Input>,
    /// Also a row of the benchmarks: a shape of a real model.
    pub bench: bool,
    /// Run in benchmarks only: too large for a test run on a software adapter.
    pub bench_only: bool,
}

impl Case {
    /// A case of the tests.
    pub fn new(name: impl Into<String>, kernel: impl Kernel + 'static, inputs: Vec<Input>) -> Self {
        Self { name: name.into(), kernel: std::sync::Arc::new(kernel), inputs, bench: false, bench_only: false }
    }
    /// Also a row of the benchmarks.
    #[must_use]
    pub fn bench(mut self) -> Self {
        self.bench = true;
        self
    }
    /// A row of the benchmarks only.
    #[must_use]
    pub fn bench_only(mut self) -> Self {
        (self.bench, self.bench_only) = (true, true);
        self
    }
    /// Seed of an input: from the case's name, so that adding a case leaves the others as they were.
    pub fn seed(&self, input: usize) -> u64 {
        let text = format!("{}/{}/{input}", self.kernel.name(), self.name);
        text.bytes().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3))
    }
    /// All inputs as the oracle sees them.
    pub fn arrays(&self) -> Vec<Array> {
        self.inputs.iter().enumerate().map(|(i, input)| input.draw(self.seed(i))).collect()
    }
}

/// SplitMix64.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }
    pub(crate) fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        (z >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// `value` as the device holds it.
fn round(value: f64, dtype: DType) -> f64 {
    match dtype {
        DType::F32 => f64::from(value as f32),
        DType::F16 => half::f16::from_f64(value).to_f64(),
        DType::BF16 => half::bf16::from_f64(value).to_f64(),
        _ => value.trunc(),
    }
}
