//! What a mapping builds with: operands of the case as values of a graph, attributes, kernels.
//!
//! Types on the device: f64, f32, f16 and bf16 are f32; signed integers of up to 32 bits are i32, unsigned ones and bool
//! u32, one word each; i64 and u64 have one axis more, of two words, the low one first; floats of 8 bits and fewer are
//! their bits in u32. A mapping never sees an expected value, and computes nothing: operands that it reads on the host
//! are those which the operator's specification treats as configuration (axes, shapes, pads, counts).

use super::dtype::Logical;
use super::pack::{OpCase, number};
use super::tensor::Tensor;
use omma::graph::{Graph, Role, Value, ValueId};
use omma::kernels::{Kernel, Layout, Packing, TensorType};
use omma::{DType, Error};

/// Why a mapping gives up.
#[derive(Debug, Clone, PartialEq)]
pub enum Stop {
    /// The case is valid, and we do not do it: the reason, for a user.
    Unsupported(String),
    /// Something is wrong.
    Failed(Error),
}

impl Stop {
    /// [`Stop::Unsupported`] as the error of a mapping.
    pub fn unsupported<T>(reason: impl Into<String>) -> Result<T, Self> {
        Err(Self::Unsupported(reason.into()))
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        match error {
            Error::MissingCapability { .. } => Self::Unsupported(error.to_string()),
            other => Self::Failed(other),
        }
    }
}

/// One entry an output of the case, `None` where the operator has no such output.
pub type Mapped = Result<Vec<Option<ValueId>>, Stop>;
/// Builds the graph of a case.
pub type Mapping = fn(&mut Builder<'_>) -> Mapped;

/// Bytes that are in the store under a name when the graph runs.
#[derive(Debug, Clone)]
pub struct Upload {
    /// Name of the entry.
    pub name: String,
    /// Its contents.
    pub bytes: Vec<u8>,
}

/// A graph under construction for one case.
#[derive(Debug)]
pub struct Builder<'a> {
    case: &'a OpCase,
    graph: Graph,
    uploads: Vec<Upload>,
}

/// One section of a quantized weight.
#[derive(Debug, Clone, Copy)]
pub enum Section<'s> {
    /// The bytes of an operand.
    Input(usize),
    /// f32 values that the format fixes: the table of NF4.
    Constant(&'s [f32]),
}

/// How an operand is brought to the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Elements,
    Packed,
    Panels { transposed: bool },
}

impl<'a> Builder<'a> {
    /// An empty graph for `case`.
    pub fn new(case: &'a OpCase) -> Self {
        Self { case, graph: Graph::new(), uploads: Vec::new() }
    }
    /// The graph and what has to be uploaded for it.
    pub fn finish(self) -> (Graph, Vec<Upload>) {
        (self.graph, self.uploads)
    }
    /// The case, without its expected values.
    pub fn case(&self) -> &'a OpCase {
        self.case
    }
    /// Whether ONNX Runtime made the expected values. Where it departs from the definition of an operator, its packs
    /// hold what it computes, and those of ONNX what the definition says.
    pub fn of_runtime(&self) -> bool {
        self.case.family == "ort"
    }
    /// Whether the optional operand `i` is given.
    pub fn has(&self, i: usize) -> bool {
        self.case.inputs.get(i).is_some_and(Option::is_some)
    }
    /// Whether output `i` is compared.
    pub fn wanted(&self, i: usize) -> bool {
        self.case.wanted.get(i).copied().unwrap_or(false)
    }
    /// An operand that the specification treats as configuration, on the host. Never data.
    pub fn host(&self, i: usize) -> Result<&'a Tensor, Stop> {
        let found = self.case.inputs.get(i).and_then(Option::as_ref);
        found.ok_or_else(|| Error::argument(format!("input {i}"), "is not given").into())
    }
    /// Operand `i` on the device, element by element.
    pub fn input(&mut self, i: usize) -> Result<ValueId, Stop> {
        self.operand(i, Form::Elements)
    }
    /// Operand `i` as the words of its bytes, u32 `[ceil(bytes / 4)]`: packed weights in their published layout.
    pub fn packed(&mut self, i: usize) -> Result<ValueId, Stop> {
        self.operand(i, Form::Packed)
    }
    /// Operand `i`, a matrix `[n, k]` of floats, in panels; `transposed`: it is given as `[k, n]`. Axes after the
    /// second of one that is not transposed belong to `k`: the weight of a convolution.
    pub fn panels(&mut self, i: usize, transposed: bool) -> Result<ValueId, Stop> {
        self.operand(i, Form::Panels { transposed })
    }

    /// A quantized weight `[n, k]` from its sections: operands in their published bytes, or constants of the format.
    pub fn weight(
        &mut self,
        packing: Packing,
        (n, k): (usize, usize),
        sections: &[Section<'_>],
    ) -> Result<ValueId, Stop> {
        const MOST: usize = 1 << 31;
        if n.max(k) > MOST || n * k > MOST {
            return Err(Error::argument(format!("weight [{n}, {k}]"), "has more than 2^31 values").into());
        }
        let want: Vec<usize> = packing.sections(n, k).into_iter().filter(|b| *b > 0).collect();
        let mut all = Vec::new();
        for (i, section) in sections.iter().enumerate() {
            let mut bytes = match section {
                Section::Input(i) => self.host(*i)?.bytes(),
                Section::Constant(values) => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            };
            if want.get(i) != Some(&bytes.len()) {
                let reason = format!("section {i} of {want:?} bytes has {}", bytes.len());
                return Err(Error::argument(format!("weight [{n}, {k}] as {}", packing.name()), reason).into());
            }
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            all.extend(bytes);
        }
        if sections.len() != want.len() {
            let reason = format!("{} sections for {want:?} bytes", sections.len());
            return Err(Error::argument(format!("weight [{n}, {k}]"), reason).into());
        }
        let name = format!("weight{}", self.graph.values.len());
        Ok(self.upload(name, TensorType::packed(packing, n, k), all))
    }

    fn operand(&mut self, i: usize, form: Form) -> Result<ValueId, Stop> {
        let name = match form {
            Form::Elements => format!("in{i}"),
            Form::Packed => format!("in{i}.packed"),
            Form::Panels { transposed: false } => format!("in{i}.panels"),
            Form::Panels { transposed: true } => format!("in{i}.panels_t"),
        };
        if let Some(found) = self.graph.values.iter().position(|v| v.name == name) {
            return Ok(ValueId(found));
        }
        let tensor = self.host(i)?;
        let (ty, bytes) = match form {
            Form::Elements => elements(tensor),
            Form::Packed => {
                let mut bytes = tensor.bytes();
                bytes.resize(bytes.len().next_multiple_of(4), 0);
                (TensorType::u32(&[bytes.len() / 4]), bytes)
            }
            Form::Panels { transposed } => panels(tensor, transposed)?,
        };
        Ok(self.upload(name, ty, bytes))
    }

    fn upload(&mut self, name: String, ty: TensorType, mut bytes: Vec<u8>) -> ValueId {
        bytes.resize(bytes.len().next_multiple_of(4).max(4), 0);
        self.uploads.push(Upload { name: name.clone(), bytes });
        self.graph.state(&name, ty)
    }

    /// The graph, for constants.
    pub fn graph(&mut self) -> &mut Graph {
        &mut self.graph
    }
    /// Shape of a value on the device.
    pub fn shape(&self, value: ValueId) -> Vec<usize> {
        self.graph.ty(value).shape.clone()
    }
    /// Adds a kernel with one output.
    pub fn add(&mut self, kernel: impl Kernel + 'static, inputs: &[ValueId]) -> Result<ValueId, Stop> {
        Ok(self.graph.apply(kernel, inputs)?)
    }
    /// Adds a kernel.
    pub fn add_all(&mut self, kernel: impl Kernel + 'static, inputs: &[ValueId]) -> Result<Vec<ValueId>, Stop> {
        Ok(self.graph.add(kernel, inputs)?)
    }
    /// The same bytes with another shape of as many elements.
    pub fn reshape(&mut self, value: ValueId, shape: &[usize]) -> Result<ValueId, Stop> {
        let ty = TensorType { shape: shape.to_vec(), ..self.graph.ty(value).clone() };
        self.view(value, ty)
    }
    /// The same bytes as another type of as many bytes: i32 seen as u32, rows seen with other extents.
    pub fn view(&mut self, value: ValueId, ty: TensorType) -> Result<ValueId, Stop> {
        let source = self.graph.values.get(value.0).cloned();
        let source = source.ok_or_else(|| Error::graph("view", format!("there is no value {}", value.0)))?;
        let plain = source.ty.layout == Layout::Rows && ty.layout == Layout::Rows;
        if !plain || ty.elements() * ty.dtype.size() != source.ty.elements() * source.ty.dtype.size() {
            return Err(Error::graph(&source.name, format!("{} cannot be seen as {ty}", source.ty)).into());
        }
        if ty == source.ty {
            return Ok(value);
        }
        let alias = match source.role {
            Role::Temp => Some(self.graph.root(value)),
            _ => None,
        };
        let role = source.role.clone();
        let name = match role {
            Role::State | Role::Weight => {
                let name = format!("{}~{}", source.name, self.graph.values.len());
                let upload = self.uploads.iter().find(|u| u.name == source.name).cloned();
                let upload = upload.ok_or_else(|| Error::graph(&source.name, "is no operand of the case"))?;
                self.uploads.push(Upload { name: name.clone(), ..upload });
                name
            }
            _ => source.name,
        };
        self.graph.values.push(Value { name, ty, role, keep: false, alias });
        Ok(ValueId(self.graph.values.len() - 1))
    }

    fn attr(&self, name: &str) -> Option<&'a serde_json::Value> {
        self.case.attrs.get(name).filter(|v| !v.is_null())
    }
    fn wrong(&self, name: &str, kind: &str) -> Stop {
        let found = self.case.attrs.get(name).map_or("not there".into(), ToString::to_string);
        Error::argument(format!("attribute {name}"), format!("is {found}, should be {kind}")).into()
    }
    fn get<T>(
        &self,
        name: &str,
        kind: &str,
        read: impl Fn(&serde_json::Value) -> Option<T>,
    ) -> Result<Option<T>, Stop> {
        match self.attr(name) {
            None => Ok(None),
            Some(value) => read(value).map(Some).ok_or_else(|| self.wrong(name, kind)),
        }
    }
    /// An integer attribute (booleans are 0 and 1), `None` when it is null or not there.
    pub fn opt_int(&self, name: &str) -> Result<Option<i64>, Stop> {
        self.get(name, "an integer", integer)
    }
    /// A float attribute, in f32 as the operators hold it.
    pub fn opt_float(&self, name: &str) -> Result<Option<f32>, Stop> {
        self.get(name, "a number", |v| number(v).map(|v| v as f32))
    }
    /// A string attribute.
    pub fn opt_text(&self, name: &str) -> Result<Option<&'a str>, Stop> {
        match self.attr(name) {
            None => Ok(None),
            Some(value) => value.as_str().map(Some).ok_or_else(|| self.wrong(name, "a string")),
        }
    }
    /// A list of integers.
    pub fn opt_ints(&self, name: &str) -> Result<Option<Vec<i64>>, Stop> {
        self.get(name, "a list of integers", |v| v.as_array()?.iter().map(integer).collect())
    }
    /// A list of floats.
    pub fn opt_floats(&self, name: &str) -> Result<Option<Vec<f32>>, Stop> {
        self.get(name, "a list of numbers", |v| v.as_array()?.iter().map(|v| number(v).map(|v| v as f32)).collect())
    }
    /// [`Builder::opt_int`] of an attribute that must be there.
    pub fn int(&self, name: &str) -> Result<i64, Stop> {
        self.opt_int(name)?.ok_or_else(|| self.wrong(name, "an integer"))
    }
    /// [`Builder::opt_float`] of an attribute that must be there.
    pub fn float(&self, name: &str) -> Result<f32, Stop> {
        self.opt_float(name)?.ok_or_else(|| self.wrong(name, "a number"))
    }
    /// [`Builder::opt_text`] of an attribute that must be there.
    pub fn text(&self, name: &str) -> Result<&'a str, Stop> {
        self.opt_text(name)?.ok_or_else(|| self.wrong(name, "a string"))
    }
    /// [`Builder::opt_ints`] of an attribute that must be there.
    pub fn ints(&self, name: &str) -> Result<Vec<i64>, Stop> {
        self.opt_ints(name)?.ok_or_else(|| self.wrong(name, "a list of integers"))
    }
    /// [`Builder::opt_floats`] of an attribute that must be there.
    pub fn floats(&self, name: &str) -> Result<Vec<f32>, Stop> {
        self.opt_floats(name)?.ok_or_else(|| self.wrong(name, "a list of numbers"))
    }
    /// An axis attribute or operand, counted from the front.
    pub fn axis(&self, axis: i64, rank: usize) -> Result<usize, Stop> {
        let counted = if axis < 0 { axis + rank as i64 } else { axis };
        let inside = (0..rank.max(1) as i64).contains(&counted);
        let wrong = || Error::argument("axis", format!("{axis} is not an axis of a tensor of rank {rank}"));
        if inside { Ok(counted as usize) } else { Err(wrong().into()) }
    }
}

fn integer(value: &serde_json::Value) -> Option<i64> {
    value.as_bool().map(i64::from).or_else(|| value.as_i64())
}

/// Type and bytes of an operand, element by element.
fn elements(tensor: &Tensor) -> (TensorType, Vec<u8>) {
    let mut shape = tensor.shape.clone();
    let dtype = tensor.dtype;
    if dtype.is_wide() {
        shape.push(2);
        let bytes = tensor.bits.iter().flat_map(|b| b.to_le_bytes()).collect();
        return (TensorType::u32(&shape), bytes);
    }
    let (device, word): (DType, fn(Logical, u64) -> u32) = match dtype {
        _ if dtype.is_float() => (DType::F32, |ty, bits| match ty {
            // Not through f64: the payload of a NaN stays.
            Logical::F32 => bits as u32,
            _ => (ty.value(bits) as f32).to_bits(),
        }),
        _ if dtype.is_signed() => (DType::I32, |ty, bits| ty.integer(bits) as i32 as u32),
        _ => (DType::U32, |_, bits| bits as u32),
    };
    let bytes = tensor.bits.iter().flat_map(|b| word(dtype, *b).to_le_bytes()).collect();
    (TensorType::new(device, &shape), bytes)
}

/// A matrix of floats in panels of f32.
fn panels(tensor: &Tensor, transposed: bool) -> Result<(TensorType, Vec<u8>), Stop> {
    let (first, second) = match tensor.shape[..] {
        [first, ref rest @ ..] if rest.len() == 1 || rest.len() > 1 && !transposed => (first, rest.iter().product()),
        _ => return Err(Error::argument("weight", format!("{:?} is not a matrix", tensor.shape)).into()),
    };
    if !tensor.dtype.is_float() {
        return Err(Error::argument("weight", format!("{} is not a float type", tensor.dtype.name())).into());
    }
    let (n, k) = if transposed { (second, first) } else { (first, second) };
    let ty = TensorType::panels(DType::F32, n, k);
    let mut words = vec![0f32; n * k.div_ceil(4) * 4];
    for row in 0..n {
        for col in 0..k {
            let from = if transposed { col * n + row } else { row * k + col };
            words[(col / 4 * n + row) * 4 + col % 4] = tensor.dtype.value(tensor.bits[from]) as f32;
        }
    }
    Ok((ty, words.iter().flat_map(|w| w.to_le_bytes()).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(dtype: Logical, shape: &[usize], bits: &[u64]) -> OpCase {
        let tensor = Tensor { dtype, shape: shape.to_vec(), bits: bits.to_vec() };
        OpCase { inputs: vec![Some(tensor), None], ..OpCase::default() }
    }

    fn words(case: &OpCase) -> (TensorType, Vec<u32>) {
        let mut b = Builder::new(case);
        let id = b.input(0).unwrap();
        assert_eq!(b.input(0).unwrap(), id, "the same operand is one value");
        let (graph, uploads) = b.finish();
        let word = |b: &[u8]| u32::from_le_bytes([b[0], b[1], b[2], b[3]]);
        (graph.ty(id).clone(), uploads[0].bytes.chunks_exact(4).map(word).collect())
    }

    #[test]
    fn operands_have_the_stated_device_types() {
        let (ty, bits) = words(&case(Logical::F16, &[1], &[0x3c00]));
        assert_eq!((ty, bits), (TensorType::f32(&[1]), vec![1f32.to_bits()]));
        let (ty, bits) = words(&case(Logical::I8, &[2], &[0x80, 1]));
        assert_eq!((ty, bits), (TensorType::new(DType::I32, &[2]), vec![0xffff_ff80, 1]));
        let (ty, bits) = words(&case(Logical::I64, &[1], &[u64::MAX - 1]));
        assert_eq!((ty, bits), (TensorType::u32(&[1, 2]), vec![0xffff_fffe, 0xffff_ffff]));
        let (ty, bits) = words(&case(Logical::F8E4M3FN, &[], &[0x38]));
        assert_eq!((ty, bits), (TensorType::u32(&[]), vec![0x38]));
    }

    #[test]
    fn packed_words_and_panels() {
        let bytes = case(Logical::U8, &[5], &[1, 2, 3, 4, 5]);
        let mut b = Builder::new(&bytes);
        let id = b.packed(0).unwrap();
        assert_eq!(b.shape(id), [2]);
        assert_eq!(b.finish().1[0].bytes, [1, 2, 3, 4, 5, 0, 0, 0]);
        let bits: Vec<u64> = (0..6).map(|i| u64::from((i as f32).to_bits())).collect();
        let matrix = case(Logical::F32, &[3, 2], &bits);
        let (ty, bytes) = panels(matrix.inputs[0].as_ref().unwrap(), true).unwrap();
        assert_eq!(ty, TensorType::panels(DType::F32, 2, 3));
        let values: Vec<f32> = bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        assert_eq!(values, [0.0, 2.0, 4.0, 0.0, 1.0, 3.0, 5.0, 0.0]);
    }

    #[test]
    fn attributes_are_read_by_type() {
        let attrs = serde_json::json!({"k": 3, "flag": true, "far": "inf", "none": null, "list": [1, -2], "mode": "x"});
        let case = OpCase { attrs: attrs.as_object().unwrap().clone(), ..OpCase::default() };
        let b = Builder::new(&case);
        assert_eq!((b.int("k").unwrap(), b.int("flag").unwrap()), (3, 1));
        assert_eq!(b.float("far").unwrap(), f32::INFINITY);
        assert_eq!((b.opt_int("none").unwrap(), b.opt_int("absent").unwrap()), (None, None));
        assert_eq!(b.ints("list").unwrap(), [1, -2]);
        assert!(b.int("mode").is_err() && b.text("k").is_err() && b.int("none").is_err());
        assert!(!b.has(0) && b.host(0).is_err());
        assert_eq!(b.axis(-1, 3).unwrap(), 2);
        assert!(b.axis(3, 3).is_err() && b.axis(-4, 3).is_err());
    }
}
