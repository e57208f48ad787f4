//! Whether a step runs once all before it have ended, and how often. Pure.

use ipc_protocol::Value;

use super::run::Run;
use crate::condition::{Condition, Facts};
use crate::failure::{Failure, FailureKind};
use crate::record::Outcome;
use crate::workflow::ParameterSource;

/// The parts in which a step runs: one without an index, or one for each element of a mapped list.
/// `None` when it is skipped.
pub(super) fn parts_of(run: &Run, step: usize) -> Result<Option<Vec<Option<usize>>>, Failure> {
    if !is_to_run(run, step)? {
        return Ok(None);
    }
    Ok(Some(match &run.graph.workflow.tasks[step].map {
        None => vec![None],
        Some(parameter) => (0..elements(run, step, parameter)?).map(Some).collect(),
    }))
}

fn is_to_run(run: &Run, step: usize) -> Result<bool, Failure> {
    let when = run.graph.workflow.tasks[step].when.as_ref();
    let parents = &run.graph.layout.parents[step];
    let have_completed =
        || parents.iter().all(|p| run.steps[*p].outcome == Some(Outcome::Completed));
    if !when.is_some_and(Condition::decides_outcomes) && !have_completed() {
        return Ok(false);
    }
    let Some(when) = when else { return Ok(true) };
    when.holds(run).map_err(|untestable| type_error(untestable.to_string()))
}

/// Number of elements of the list over which a task is mapped.
fn elements(run: &Run, step: usize, parameter: &str) -> Result<usize, Failure> {
    let task = &run.graph.workflow.tasks[step];
    let taken = task.takes.iter().find(|taken| taken.name == parameter);
    let value = match taken.map(|taken| taken.source) {
        Some(ParameterSource::Task) => run.output(parameter),
        _ => run.input().and_then(|input| input.get(parameter).cloned()),
    };
    match value {
        Some(Value::List(items) | Value::Tuple(items)) => Ok(items.len()),
        other => {
            let found = other.as_ref().map_or("missing", Value::type_name);
            Err(type_error(format!("it maps over '{parameter}', which is {found} and not a list")))
        }
    }
}

fn type_error(message: String) -> Failure {
    let failure = Failure::new(FailureKind::Raised, message);
    Failure { type_name: "TypeError".to_owned(), ..failure }
}

impl Facts for Run {
    fn outcome(&self, task: &str) -> Option<Outcome> {
        self.steps[self.graph.workflow.index(task)?].outcome
    }

    fn output(&self, task: &str) -> Option<Value> {
        let step = self.graph.workflow.index(task)?;
        if self.steps[step].outcome != Some(Outcome::Completed) {
            return None;
        }
        let outputs = self.outputs(step);
        if self.is_mapped(step) {
            return Some(Value::List(outputs.iter().filter_map(|o| o.outline().ok()).collect()));
        }
        outputs.first()?.outline().ok()
    }

    fn input(&self) -> Option<Value> {
        self.row.input.outline().ok()
    }
}
