//! Quantized checkpoints of other programs: which tensors become one, and what is refused. What the layouts mean is checked
//! by cases of those programs (`kernels-test conformance`).

use super::*;
use crate::quant::{Packing, ScaleType, Zero};
use crate::{DType, Error};

type Tensor = (&'static str, DType, &'static [usize]);

/// A checkpoint of tensors whose bytes count up.
fn made(tensors: &[Tensor], config: &str) -> Result<Checkpoint> {
    let bytes: Vec<Vec<u8>> = tensors
        .iter()
        .map(|(_, dtype, shape)| (0..shape.iter().product::<usize>() * dtype.size()).map(|i| i as u8).collect())
        .collect();
    let list: Vec<TensorBytes<'_>> = tensors
        .iter()
        .zip(&bytes)
        .map(|((name, dtype, shape), bytes)| TensorBytes { name, dtype: *dtype, shape, bytes })
        .collect();
    let file = encode_safetensors(&list, &Default::default()).unwrap();
    let config = Config::parse("config.json", format!(r#"{{"quantization_config": {config}}}"#).as_bytes())?;
    wait(open_bytes(&file)?.quantized_by(&config))
}

fn packing(checkpoint: &Checkpoint, name: &str) -> Packing {
    let entry = checkpoint.entry(name).unwrap();
    let packed = entry.packed.as_ref().expect(name);
    let lengths: Vec<usize> = packed.sections.iter().map(|s| s.bytes() as usize).collect();
    assert_eq!(lengths, packed.packing.sections(entry.shape[0], entry.shape[1]), "{name}");
    packed.packing
}

const GPTQ: &[Tensor] = &[
    ("a.qweight", DType::I32, &[32, 24]),
    ("a.qzeros", DType::I32, &[2, 3]),
    ("a.scales", DType::F16, &[2, 24]),
    ("a.g_idx", DType::I32, &[256]),
    ("a.bias", DType::F16, &[24]),
    ("b.weight", DType::F16, &[4, 4]),
];

#[test]
fn gptq_and_awq() {
    let v1 = made(GPTQ, r#"{"quant_method": "gptq", "bits": 4, "group_size": 128, "desc_act": true}"#).unwrap();
    assert_eq!(packing(&v1, "a.weight"), Packing::Gptq { bits: 4, block: 128, plus: 1, ordered: true });
    assert_eq!(v1.names().collect::<Vec<_>>(), ["a.bias", "a.weight", "b.weight"]);
    assert_eq!(v1.entry("a.weight").unwrap().shape, [24, 256]);
    let v2 = r#"{"quant_method": "gptq", "bits": 4, "group_size": 128, "checkpoint_format": "gptq_v2"}"#;
    let v2 = made(GPTQ, v2).unwrap();
    assert_eq!(packing(&v2, "a.weight"), Packing::Gptq { bits: 4, block: 128, plus: 0, ordered: false });
    let awq: &[Tensor] =
        &[("a.qweight", DType::I32, &[64, 2]), ("a.qzeros", DType::I32, &[2, 2]), ("a.scales", DType::F16, &[2, 16])];
    let awq = made(awq, r#"{"quant_method": "awq", "bits": 4, "group_size": 32, "version": "gemm"}"#).unwrap();
    assert_eq!(packing(&awq, "a.weight"), Packing::Awq { block: 32 });
}

#[test]
fn int8_and_compressed_tensors() {
    let int8: &[Tensor] = &[("a.weight", DType::I8, &[6, 10]), ("a.SCB", DType::F32, &[6])];
    let int8 = made(int8, r#"{"quant_method": "bitsandbytes", "load_in_8bit": true}"#).unwrap();
    assert_eq!(packing(&int8, "a.weight"), Packing::Bytes { e4m3: false, tile: [1, 1 << 30] });
    let group = |format: &str, bits: u32, symmetric: bool| {
        format!(
            r#"{{"quant_method": "compressed-tensors", "format": "{format}", "config_groups": {{"group_0":
                {{"weights": {{"num_bits": {bits}, "symmetric": {symmetric}, "strategy": "group"}}}}}}}}"#
        )
    };
    let packed: &[Tensor] = &[
        ("a.weight_packed", DType::I32, &[8, 8]),
        ("a.weight_scale", DType::BF16, &[8, 2]),
        ("a.weight_zero_point", DType::I32, &[1, 2]),
    ];
    let packed = made(packed, &group("pack-quantized", 4, false)).unwrap();
    let Packing::Codes(codes) = packing(&packed, "a.weight") else { panic!("codes") };
    assert_eq!((codes.bits, codes.block, codes.scale, codes.zero), (4, 32, ScaleType::BF16, Zero::Down));
    let eight: &[Tensor] = &[("a.weight", DType::I8, &[4, 12]), ("a.weight_scale", DType::F32, &[4, 1])];
    let eight = made(eight, &group("int-quantized", 8, true)).unwrap();
    let Packing::Codes(codes) = packing(&eight, "a.weight") else { panic!("codes") };
    assert!(codes.signed && codes.zero == Zero::Fixed(0) && codes.block == 12);
}

#[test]
fn what_does_not_fit_is_refused() {
    let gptq = |more: &str| made(GPTQ, &format!(r#"{{"quant_method": "gptq", "bits": 4, "group_size": 128{more}}}"#));
    assert!(matches!(gptq(r#", "checkpoint_format": "marlin""#), Err(Error::Unsupported { .. })));
    let three = made(GPTQ, r#"{"quant_method": "gptq", "bits": 3, "group_size": 128}"#);
    assert!(matches!(three, Err(Error::Unsupported { .. })));
    let sizes = made(GPTQ, r#"{"quant_method": "gptq", "bits": 4, "group_size": 64}"#).unwrap_err();
    assert!(matches!(&sizes, Error::Malformed { .. }) && sizes.to_string().contains("`a`"), "{sizes}");
    assert!(matches!(
        made(&GPTQ[..2], r#"{"quant_method": "gptq", "group_size": 128}"#),
        Err(Error::MissingTensor { .. })
    ));
    let other = made(GPTQ, r#"{"quant_method": "hqq"}"#).unwrap_err();
    assert!(other.to_string().contains("hqq"), "{other}");
}
