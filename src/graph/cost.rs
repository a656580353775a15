//! Work by stage, before anything runs.

use super::Plan;
use crate::kernels::Cost;

/// Work of the nodes whose label starts with the same word.
#[derive(Debug, Clone, PartialEq)]
pub struct StageCost {
    /// First word of the labels.
    pub stage: String,
    /// Dispatches.
    pub steps: usize,
    /// Work.
    pub cost: Cost,
}

/// Work of a plan by stage, in order of first appearance.
pub fn stage_costs(plan: &Plan) -> Vec<StageCost> {
    let mut stages: Vec<StageCost> = Vec::new();
    for step in &plan.steps {
        let label = &plan.graph.nodes[step.node].label;
        let name = label.split('.').next().unwrap_or_default();
        if !stages.iter().any(|s| s.stage == name) {
            stages.push(StageCost { stage: name.to_owned(), steps: 0, cost: Cost::default() });
        }
        for stage in stages.iter_mut().filter(|s| s.stage == name) {
            stage.steps += 1;
            stage.cost.flops += step.cost.flops;
            stage.cost.bytes += step.cost.bytes;
        }
    }
    stages
}
