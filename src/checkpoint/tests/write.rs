//! What is written is read back, by us and by the reference implementation.

use super::*;
use crate::{DType, Error};

#[test]
fn the_reference_reads_what_we_write_and_we_what_it_writes() {
    let data: Vec<u8> = (0..48).collect();
    let tensor = |name, dtype, shape, bytes| TensorBytes { name, dtype, shape, bytes };
    let tensors = [
        tensor("z\"\\é", DType::U8, &[3][..], &data[..3]),
        tensor("f", DType::F32, &[2, 1, 3][..], &data[3..27]),
        tensor("scalar", DType::I64, &[][..], &data[..8]),
        tensor("none", DType::F64, &[0, 5][..], &[]),
        tensor("half", DType::BF16, &[2][..], &data[4..8]),
    ];
    let metadata = [("format".to_owned(), "1".to_owned())].into();
    let bytes = encode_safetensors(&tensors, &metadata).unwrap();
    let (header, theirs) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    assert_eq!(header % 8, 0);
    assert_eq!(theirs.metadata().as_ref().unwrap()["format"], "1");
    let theirs = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let ours = open_bytes(&bytes).unwrap();
    assert_eq!(ours.metadata()["format"], "1");
    for tensor in &tensors {
        assert_eq!(theirs.tensor(tensor.name).unwrap().data(), tensor.bytes);
        assert_eq!(theirs.tensor(tensor.name).unwrap().shape(), tensor.shape);
        let entry = ours.shaped(tensor.name, tensor.shape).unwrap();
        assert_eq!((entry.dtype, ours.bytes_of(entry).unwrap()), (tensor.dtype, tensor.bytes));
    }
    let again = safetensors::serialize(theirs.tensors(), None).unwrap();
    let again = open_bytes(&again).unwrap();
    assert!(again.names().eq(ours.names()));
    for entry in again.entries() {
        assert_eq!(again.bytes_of(entry), ours.bytes_of(ours.entry(&entry.name).unwrap()));
    }
}

#[test]
fn what_cannot_be_read_back_is_not_written() {
    let refused = |tensors: &[TensorBytes<'_>]| {
        assert!(matches!(encode_safetensors(tensors, &Default::default()), Err(Error::InvalidArgument { .. })));
    };
    let good = TensorBytes { name: "a", dtype: DType::F32, shape: &[2], bytes: &[0; 8] };
    refused(&[good, good]);
    refused(&[TensorBytes { name: "__metadata__", ..good }]);
    refused(&[TensorBytes { shape: &[3], ..good }]);
    refused(&[TensorBytes { shape: &[usize::MAX, usize::MAX], ..good }]);
    let empty = encode_safetensors(&[], &Default::default()).unwrap();
    assert_eq!(open_bytes(&empty).unwrap().entries().len(), 0);
}
