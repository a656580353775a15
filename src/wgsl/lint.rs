//! Lints: what validation lets through and we do not want in a shader. Each works on the IR of a linked shader whose
//! `override` constants have their values.

mod flow;
mod halves;
mod values;

use super::Linked;
use super::reflect::prepare;
use crate::{Caps, Result};
use std::fmt;

/// What a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lint {
    /// A barrier that lanes of a workgroup may reach apart, or not at all.
    BarrierInFlow,
    /// An index into a buffer that comes from a buffer and is neither clamped nor compared with anything.
    UnguardedIndex,
    /// A sum that is kept in f16 from one turn of a loop to the next.
    HalfSum,
    /// A buffer that is declared and that the entry point does not use.
    UnusedBinding,
    /// More workgroup memory than the WebGPU floor has.
    WorkgroupBytes,
}

impl Lint {
    /// Name as reports print it.
    pub fn name(self) -> &'static str {
        match self {
            Self::BarrierInFlow => "barrier-in-flow",
            Self::UnguardedIndex => "unguarded-index",
            Self::HalfSum => "f16-sum",
            Self::UnusedBinding => "unused-binding",
            Self::WorkgroupBytes => "workgroup-bytes",
        }
    }
}

/// One thing that a lint found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Which lint.
    pub lint: Lint,
    /// `file:line`.
    pub place: String,
    /// What is there.
    pub text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.place, self.lint.name(), self.text)
    }
}

/// Every finding of a linked shader with its override values, in order.
///
/// Errors: the shader does not parse or validate.
pub fn lint(linked: &Linked, overrides: &[(&str, f64)]) -> Result<Vec<Finding>> {
    let prepared = prepare(linked, overrides)?;
    let place = |span: naga::Span| match span.is_defined() {
        true => linked.place(span.location(&linked.text).line_number as usize),
        false => linked.place(0),
    };
    let mut found = flow::run(&prepared.module);
    found.extend(halves::run(&prepared.module));
    let declared = prepared.declared.clone();
    let reflection = prepared.reflection(linked)?;
    for (name, span) in declared {
        if !reflection.bindings.iter().any(|b| b.name == name) {
            found.push((Lint::UnusedBinding, span, format!("{name} is bound and not used")));
        }
    }
    let mut findings: Vec<Finding> =
        found.into_iter().map(|(lint, span, text)| Finding { lint, place: place(span), text }).collect();
    let floor = Caps::floor().max_workgroup_bytes;
    if reflection.workgroup_bytes > floor {
        let text = format!("{} bytes of workgroup memory, the floor is {floor}", reflection.workgroup_bytes);
        findings.push(Finding { lint: Lint::WorkgroupBytes, place: linked.place(1), text });
    }
    findings.sort();
    findings.dedup();
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::super::link::join;
    use super::*;

    const HEAD: &str = "struct Params { rows: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> list: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
override LANES: u32 = 64;
var<workgroup> cells: array<f32, LANES>;
fn spread(lane: u32) { cells[lane] = x[lane]; workgroupBarrier(); }
@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
";

    fn lints(body: &str) -> Vec<Lint> {
        let text = format!("{HEAD}{body}\n}}\n");
        lint(&join(&[("k", &text)]), &[]).unwrap().into_iter().map(|f| f.lint).collect()
    }

    /// The body with what keeps every other lint quiet.
    fn flow(body: &str) -> Vec<Lint> {
        lints(&format!("{body}\ny[lane] = cells[0] + x[min(list[lane], params.rows - 1u)];"))
    }

    #[test]
    fn barriers_that_lanes_reach_apart_are_found() {
        let found = [Lint::BarrierInFlow];
        assert_eq!(flow("spread(lane);"), []);
        assert_eq!(flow("if lane < 3u { spread(lane); }"), found);
        assert_eq!(flow("if lane > params.rows { return; } spread(lane);"), found);
        assert_eq!(flow("for (var i = lane; i < 9u; i += 2u) { spread(lane); }"), found);
        assert_eq!(flow("for (var i = 0u; i < 9u; i++) { spread(lane); if lane == i { break; } }"), found);
        assert_eq!(flow("spread(lane); if cells[3] > 1.0 { workgroupBarrier(); }"), found);
        assert_eq!(flow("var n = 0u; if lane == 1u { n = 1u; } if n == 0u { spread(lane); }"), found);
        assert_eq!(flow("switch lane { case 1u: { spread(lane); } default: { } }"), found);
        assert_eq!(flow("if y[0] > 1.0 { spread(lane); }"), found);
    }

    #[test]
    fn barriers_in_uniform_flow_are_not() {
        assert_eq!(flow("if group.x >= params.rows { return; } spread(lane);"), []);
        assert_eq!(flow("for (var i = 0u; i < list[group.x]; i++) { spread(lane); }"), []);
        assert_eq!(flow("for (var i = lane; i < 9u; i++) { cells[lane] += 1.0; } spread(lane);"), []);
        assert_eq!(flow("if list[group.y] == 1u { spread(lane); } else { workgroupBarrier(); }"), []);
        assert_eq!(flow("var n = group.x; loop { if n == 0u { break; } n /= 2u; spread(lane); }"), []);
    }

    #[test]
    fn indices_from_buffers_have_to_be_clamped_or_compared() {
        let index = |body: &str| lints(&format!("if group.x > params.rows {{ return; }} spread(lane); {body}"));
        let found = [Lint::UnguardedIndex];
        assert_eq!(index("y[lane] = x[list[lane]];"), found);
        assert_eq!(index("y[list[lane] + lane] = cells[0];"), found);
        assert_eq!(index("let i = 4u * list[lane]; y[lane] = x[i + 1u];"), found);
        assert_eq!(index("var i = list[lane]; i += 1u; y[lane] = x[i];"), found);
        assert_eq!(index("y[lane] = x[min(list[lane], params.rows - 1u)];"), []);
        assert_eq!(index("let i = list[lane]; if i < params.rows { y[lane] = x[i]; }"), []);
        assert_eq!(index("y[lane] = x[list[lane] % params.rows];"), []);
        assert_eq!(index("y[lane] = x[clamp(list[lane], 1u, 7u)];"), []);
        assert_eq!(index("var i = list[lane]; i = min(i, params.rows - 1u); y[lane] = x[i];"), []);
        assert_eq!(index("y[lane] = x[extractBits(list[lane], 8u, 4u)];"), []);
        assert_eq!(index("y[lane] = x[min(list[lane], list[0])];"), found, "a bound that comes from a buffer is none");
    }

    #[test]
    fn sums_in_f16_are_found() {
        let text = "enable f16;
@group(0) @binding(1) var<storage, read> x: array<f16>;
@group(0) @binding(2) var<storage, read_write> y: array<f16>;
@compute @workgroup_size(8)
fn main(@builtin(local_invocation_index) lane: u32) {
    var sum = SUM;
    for (var i = 0u; i < 9u; i++) { sum = fma(x[i], x[i], sum); }
    y[lane] = f16(sum);
}
";
        let kinds = |text: &str| lint(&join(&[("k", text)]), &[]).unwrap();
        let found = kinds(&text.replace("SUM", "f16(0)"));
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].lint, found[0].place.as_str()), (Lint::HalfSum, "k.wgsl:7"));
        let wide = text.replace("SUM", "0.0").replace("fma(x[i], x[i], sum)", "fma(f32(x[i]), f32(x[i]), sum)");
        assert_eq!(kinds(&wide), []);
    }

    #[test]
    fn unused_buffers_and_much_memory_are_found() {
        let body = "spread(lane); y[lane] = cells[0];";
        assert_eq!(lints(body), [Lint::UnusedBinding, Lint::UnusedBinding], "params and list");
        let text = format!("{HEAD}{body}\ny[lane] += x[min(list[0], params.rows)];\n}}\n");
        let linked = join(&[("k", &text)]);
        assert_eq!(lint(&linked, &[("LANES", 4096.0)]).unwrap(), []);
        let found = lint(&linked, &[("LANES", 4097.0)]).unwrap();
        assert_eq!(found.iter().map(|f| f.lint).collect::<Vec<_>>(), [Lint::WorkgroupBytes]);
        assert!(found[0].to_string().contains("16388 bytes"), "{}", found[0]);
    }
}
