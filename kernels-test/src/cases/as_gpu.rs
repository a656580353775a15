//! Cases of the variants that a kernel picks on a GPU, run on whatever adapter there is: on a machine without a GPU
//! they would have no test. Results are promised on every device; only speed differs.

use crate::case::{Case, Input};
use omma::kernels::{Cost, Io, Kernel, Launch, TensorType};
use omma::reference::{Array, Cell};
use omma::{Caps, Result};
use std::sync::Arc;

/// The kernel, told that the adapter is no software.
#[derive(Debug)]
struct AsGpu {
    kernel: Arc<dyn Kernel>,
    subgroup: bool,
}

impl Kernel for AsGpu {
    fn name(&self) -> &'static str {
        self.kernel.name()
    }
    fn inputs(&self) -> Vec<&'static str> {
        self.kernel.inputs()
    }
    fn outputs(&self) -> Vec<&'static str> {
        self.kernel.outputs()
    }
    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        self.kernel.infer(inputs)
    }
    fn updates(&self) -> Vec<(usize, usize)> {
        self.kernel.updates()
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        let subgroup = caps.subgroup.filter(|_| self.subgroup);
        self.kernel.launch(io, &Caps { software: false, subgroup, ..caps.clone() })
    }
    fn cost(&self, io: &Io<'_>) -> Cost {
        self.kernel.cost(io)
    }
    fn oracle(&self, inputs: &[Array], output: usize, row: usize) -> Vec<Cell> {
        self.kernel.oracle(inputs, output, row)
    }
    fn show(&self) -> String {
        self.kernel.show()
    }
}

/// The case with and without subgroups, as a GPU would run it.
pub fn as_gpu<K: Kernel + Clone + 'static>(name: &str, kernel: &K, inputs: &[Input]) -> Vec<Case> {
    let case = |subgroup: bool| {
        let name = format!("{name} as on a GPU{}", if subgroup { " with subgroups" } else { "" });
        Case::new(name, AsGpu { kernel: Arc::new(kernel.clone()), subgroup }, inputs.to_vec())
    };
    vec![case(false), case(true)]
}

/// Of cases of at most `most` input cells that are no bench rows, the same as a GPU without subgroups runs them.
pub fn small_as_gpu(cases: &[Case], most: usize) -> Vec<Case> {
    let cells = |case: &Case| case.inputs.iter().map(|input| input.ty.elements()).sum::<usize>();
    let small = cases.iter().filter(|case| !case.bench && cells(case) <= most);
    small
        .map(|case| {
            let kernel = AsGpu { kernel: case.kernel.clone(), subgroup: false };
            Case::new(format!("{} as on a GPU", case.name), kernel, case.inputs.clone())
        })
        .collect()
}

impl Case {
    /// The case as a GPU would run it, with or without subgroups.
    #[must_use]
    pub fn as_gpu(mut self, subgroup: bool) -> Self {
        self.name += if subgroup { " as on a GPU with subgroups" } else { " as on a GPU" };
        self.kernel = Arc::new(AsGpu { kernel: self.kernel, subgroup });
        self
    }
}
