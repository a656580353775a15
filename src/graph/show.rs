//! A plan as text: one line a step. That text is a golden in the tests.

use super::{Place, Plan, Role, ValueId};
use std::fmt;

impl Plan {
    fn operand(&self, id: ValueId) -> String {
        let value = &self.graph.values[id.0];
        match (&self.places[id.0], &value.role) {
            (Place::Slot(slot), _) => format!("s{slot}:{}", value.ty),
            (Place::Const, _) => format!("#{}:{}", value.name, value.ty),
            (Place::Store, Role::Weight) => format!("{}:{}", value.name, value.ty),
            (Place::Store, _) => format!("@{}:{}", value.name, value.ty),
        }
    }
    /// The line of a step.
    pub fn line(&self, step: usize) -> String {
        let step = &self.steps[step];
        let node = &self.graph.nodes[step.node];
        let list = |ids: &[ValueId]| ids.iter().map(|v| self.operand(*v)).collect::<Vec<_>>().join(" ");
        let show = node.kernel.show();
        let show = if show.is_empty() { show } else { format!(" {{{show}}}") };
        let [x, y, z] = step.launch.grid;
        let (name, inputs, outputs) = (node.kernel.name(), list(&node.inputs), list(&node.outputs));
        let parts = step.launch.files[1..].iter().map(|f| f.trim_start_matches("parts/")).collect::<Vec<_>>().join("+");
        format!("{}: {name}{show} {inputs} -> {outputs} [{parts}] {x}x{y}x{z}", node.label)
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in 0..self.steps.len() {
            writeln!(f, "{}", self.line(step))?;
        }
        Ok(())
    }
}
