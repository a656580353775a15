//! The linked WGSL of a kernel's variants, as its cases use them.

use crate::cases::CASES;
use omma::kernels::{Io, TensorType};
use omma::{Caps, Error, Result, wgsl};

/// Linked text of every distinct list of files that the cases of `kernel` launch, on a device that has everything
/// and on the floor; `variant` picks those with a file of that name.
pub fn dump(kernel: &str, variant: &str) -> Result<String> {
    let known: Vec<&str> = CASES.iter().map(|(name, _)| *name).collect();
    let found = CASES.iter().find(|(name, _)| *name == kernel);
    let (_, cases) = found.ok_or_else(|| Error::argument("kernel", format!("known: {}", known.join(", "))))?;
    let mut seen: Vec<Vec<&'static str>> = Vec::new();
    let mut text = String::new();
    for case in cases() {
        let inputs: Vec<TensorType> = case.inputs.iter().map(|i| i.ty.clone()).collect();
        let outputs = case.kernel.infer(&inputs)?;
        for caps in [Caps::floor(), Caps { software: true, f16: true, ..Caps::floor() }] {
            let Ok(launches) = case.kernel.launch(&Io { inputs: &inputs, outputs: &outputs }, &caps) else { continue };
            for launch in launches {
                if seen.contains(&launch.files) || !launch.files.iter().any(|f| f.contains(variant)) {
                    continue;
                }
                let list = launch.files.join(" + ");
                text += &format!("// ==== {list} {:?}\n{}\n", launch.overrides, wgsl::link(&launch.files)?.text);
                seen.push(launch.files);
            }
        }
    }
    Ok(text)
}
