//! Faults planted in shaders on purpose: each has to be caught, by a run against the oracle or by a lint. This is the
//! test of the tests.

use crate::case::Case;
use crate::cases::CASES;
use crate::run::{Outcome, check};
use omma::gpu::{Device, HostOptions};
use omma::kernels::{Io, Launch, TensorType};
use omma::wgsl::{self, Lint, Replaced};
use omma::{Caps, Error, Result};

/// What has to notice a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caught {
    /// A case of the kernel fails.
    ByRun,
    /// The lint finds it, in a variant that is linked with the named part.
    ByLint(Lint, &'static str),
}

/// A fault: texts of one shader file that are replaced by others.
#[derive(Debug)]
pub struct Fault {
    /// What is wrong.
    pub name: &'static str,
    /// The kernel whose cases run.
    pub kernel: &'static str,
    /// Only cases whose name contains this: those that can tell come late in a long list.
    pub cases: &'static str,
    /// The shader file, without `.wgsl`.
    pub file: &'static str,
    /// Texts, each of which is in the file, and what is put there.
    pub edits: &'static [(&'static str, &'static str)],
    /// Who notices.
    pub caught: Caught,
}

/// The faults.
pub static FAULTS: &[Fault] = &[
    Fault {
        name: "a missing barrier",
        kernel: "rms_norm",
        cases: "",
        file: "parts/reduce_shared",
        edits: &[("reduce_quads[lane] = value;\n    workgroupBarrier();", "reduce_quads[lane] = value;")],
        caught: Caught::ByRun,
    },
    Fault {
        name: "a tile that is short by one",
        kernel: "matmul",
        cases: "",
        file: "parts/tile_shared",
        edits: &[("q < TILE_QUADS; q++", "q < TILE_QUADS - 1u; q++")],
        caught: Caught::ByRun,
    },
    Fault {
        name: "a wrong epsilon",
        kernel: "rms_norm",
        cases: "",
        file: "rms_norm",
        edits: &[("mean + params.eps", "mean + 2.0 * params.eps")],
        caught: Caught::ByRun,
    },
    Fault {
        name: "gate and up swapped",
        kernel: "glu",
        cases: "",
        file: "parts/glu_split",
        edits: &[("fn gate_quad", "fn other_quad"), ("fn up_quad", "fn gate_quad"), ("fn other_quad", "fn up_quad")],
        caught: Caught::ByRun,
    },
    Fault {
        name: "a sum kept in f16",
        kernel: "rms_norm",
        cases: "",
        file: "rms_norm",
        edits: &[
            ("var squares = vec4<f32>(0.0);", "var squares = vec4<f16>(0.0h);"),
            (
                "squares += block_squares(block_load(row, i), block_weight(row, i));",
                "squares += vec4<f16>(block_squares(block_load(row, i), block_weight(row, i)));",
            ),
            ("group_sum4(squares, lane)", "group_sum4(vec4<f32>(squares), lane)"),
        ],
        caught: Caught::ByLint(Lint::HalfSum, "parts/elem_f16"),
    },
    Fault {
        name: "a dropped tail column",
        kernel: "unary",
        cases: "",
        file: "parts/xy_cells",
        edits: &[("if left > 2u {", "if left > 3u {")],
        caught: Caught::ByRun,
    },
    Fault {
        name: "a stale binding: x read instead of b",
        kernel: "binary",
        cases: "",
        file: "parts/b_quads",
        edits: &[("vec4<f32>(b[", "vec4<f32>(x[")],
        caught: Caught::ByLint(Lint::UnusedBinding, "parts/b_quads"),
    },
    Fault {
        name: "a causal mask that hides the query's own key",
        kernel: "attention",
        cases: "causal",
        file: "parts/sight",
        edits: &[("tile.place + i + 1 + params.ahead", "tile.place + i + params.ahead")],
        caught: Caught::ByRun,
    },
    Fault {
        name: "a race between lanes that add",
        kernel: "sample",
        cases: "",
        file: "parts/wide_shared",
        edits: &[(
            "let before = atomicAdd(&wide_low[bin], amount.x);",
            "let before = atomicLoad(&wide_low[bin]);\n    atomicStore(&wide_low[bin], before + amount.x);",
        )],
        caught: Caught::ByRun,
    },
    Fault {
        name: "an unwritten row",
        kernel: "layer_norm",
        cases: "",
        file: "layer_norm",
        edits: &[("if row >= params.rows {", "if row + 1u >= params.rows {")],
        caught: Caught::ByRun,
    },
];

impl Fault {
    /// The file with the fault in it.
    ///
    /// Errors: a text to replace is not in the file any more.
    pub fn planted(&self) -> Result<Replaced> {
        let mut text = wgsl::source(self.file)?.to_owned();
        for (from, to) in self.edits {
            if !text.contains(from) {
                let reason = format!("{:?} is not in it any more: mend the planted fault {:?}", from, self.name);
                return Err(Error::Shader { name: self.file.into(), reason });
            }
            text = text.replacen(from, to, 1);
        }
        Ok(Replaced::from([(self.file.to_owned(), text)]))
    }

    /// How the fault was noticed, or `None`.
    ///
    /// Errors: the fault cannot be planted; no case uses the file.
    pub async fn hunt(&self, device: &Device) -> Result<Option<String>> {
        match self.caught {
            Caught::ByRun => self.run(device).await,
            Caught::ByLint(lint, part) => self.lint(&self.planted()?, lint, part),
        }
    }

    /// The same device with the fault in its shaders, which are bounds-checked: a fault may point anywhere.
    ///
    /// Errors: the fault cannot be planted.
    pub fn device(&self, sound: &Device) -> Result<Device> {
        let options = HostOptions { checked_shaders: true, shaders: self.planted()?, ..HostOptions::default() };
        Ok(Device::from_host(sound.wgpu().clone(), sound.queue().clone(), &options))
    }

    /// Runs the cases whose launches are linked with the file until one fails.
    async fn run(&self, device: &Device) -> Result<Option<String>> {
        let broken = self.device(device)?;
        let mut used = false;
        for case in cases_of(self.kernel).into_iter().filter(|case| case.name.contains(self.cases)) {
            if !launches(&case, device.caps()).iter().any(|l| l.files.contains(&self.file)) {
                continue;
            }
            used = true;
            if let Outcome::Fail(reason) = check(&broken, &case).await? {
                return Ok(Some(format!("{}/{}: {reason}", self.kernel, case.name)));
            }
        }
        if used { Ok(None) } else { Err(self.unused()) }
    }

    fn lint(&self, replaced: &Replaced, lint: Lint, part: &str) -> Result<Option<String>> {
        let all = crate::lint::launches(self.kernel);
        let uses = |l: &&Launch| l.files.contains(&self.file) && l.files.contains(&part) && l.files[0] == self.kernel;
        let launch = all.iter().find(uses).ok_or_else(|| self.unused())?;
        let found = wgsl::lint(&wgsl::link_over(&launch.files, replaced)?, &launch.overrides)?;
        Ok(found.into_iter().find(|f| f.lint == lint).map(|f| f.to_string()))
    }

    fn unused(&self) -> Error {
        let reason = format!("no case of {} is linked with it: mend the planted fault {:?}", self.kernel, self.name);
        Error::Shader { name: self.file.into(), reason }
    }
}

fn cases_of(kernel: &str) -> Vec<Case> {
    let all = CASES.iter().filter(|(name, _)| *name == kernel).flat_map(|(_, cases)| cases());
    all.filter(|case| !case.bench_only).collect()
}

fn launches(case: &Case, caps: &Caps) -> Vec<Launch> {
    let inputs: Vec<TensorType> = case.inputs.iter().map(|i| i.ty.clone()).collect();
    let Ok(outputs) = case.kernel.infer(&inputs) else { return Vec::new() };
    case.kernel.launch(&Io { inputs: &inputs, outputs: &outputs }, caps).unwrap_or_default()
}
