//! What a run has given: the outputs of its tasks and the context that they make together.

use std::collections::HashMap;

use ipc_protocol::Value;

use super::call::merged;
use crate::record::{FoundRun, Outcome, RunRow, StepStatus};
use crate::value::{Blobs, KeepError, Kept};
use crate::workflow::Workflow;

/// A run with its values.
#[derive(Debug, Clone, PartialEq)]
pub struct RunResult {
    /// The run.
    pub run: RunRow,
    /// Its input.
    pub input: Value,
    /// What each task that has completed has returned, in the order of the graph.
    pub outputs: Vec<(String, Value)>,
    /// The input and the dicts that tasks have returned, later ones replacing earlier ones.
    pub context: Value,
}

/// The values of a run.
///
/// # Errors
/// When a value is damaged or missing.
pub fn result_of(found: &FoundRun, blobs: &dyn Blobs) -> Result<RunResult, KeepError> {
    let rows: HashMap<&str, _> = found.steps.iter().map(|row| (row.name.as_str(), row)).collect();
    let is_done = |name: &str| {
        rows.get(name).is_some_and(|row| row.status == StepStatus::Ended(Outcome::Completed))
    };
    let mut outputs = Vec::new();
    let mut kept: Vec<Kept> = vec![found.run.input.clone()];
    // A graph that cannot be read has no order; the run then shows no outputs.
    if let Ok((workflow, layout)) = Workflow::parse(&found.graph) {
        let tasks = layout.order.iter().map(|at| &workflow.tasks[*at]);
        for task in tasks.filter(|task| is_done(&task.name)) {
            if task.map.is_none() {
                let output = rows.get(task.name.as_str()).and_then(|row| row.output.clone());
                let output = output.unwrap_or_else(Kept::none);
                outputs.push((task.name.clone(), output.open(blobs)?));
                kept.push(output);
                continue;
            }
            let mut items = Vec::new();
            while let Some(row) = rows.get(format!("{}[{}]", task.name, items.len()).as_str()) {
                items.push(row.output.clone().unwrap_or_else(Kept::none).open(blobs)?);
            }
            outputs.push((task.name.clone(), Value::List(items)));
        }
    }
    Ok(RunResult {
        run: found.run.clone(),
        input: found.run.input.open(blobs)?,
        outputs,
        context: merged(&kept, blobs)?,
    })
}
