//! The packs in the repository: operators with options that the packs beside it do not have, as ONNX Runtime 1.32 computes
//! them on the CPU, or the reference of ONNX 1.23. They are cases of random options that once failed; `corners` are those
//! where the runtime departs from the definition of the operator. `goldens/make_ops.py` makes fresh ones.

use kernels_test::conformance::{Options, run, summary};
use omma::gpu::{Device, OpenOptions};
use std::path::Path;

#[test]
fn packs_of_the_repository_pass() {
    let device = pollster::block_on(Device::open(&OpenOptions::default())).unwrap();
    let packs = Path::new(env!("CARGO_MANIFEST_DIR")).join("goldens/ops");
    let rows = pollster::block_on(run(&device, &packs, &Options::default())).unwrap();
    assert!(rows.len() >= 22, "{} cases", rows.len());
    assert!(summary(&rows), "a case of {} did not pass", packs.display());
}
