//! Whether a step runs once all before it have ended, and how often. Pure.

use ipc_protocol::Value;

use super::run::Run;
use crate::condition::{Condition, Facts};
use crate::failure::{Failure, FailureKind};
use crate::record::Outcome;
use crate::value::Kept;
use crate::workflow::ParameterSource;

/// In which parts a step runs.
#[derive(Debug)]
pub(super) enum Parts {
    /// In none: it is skipped.
    Skipped,
    /// In one.
    One,
    /// In one for each of these elements.
    Each(Vec<Kept>),
}

/// The parts in which a step runs.
pub(super) fn parts_of(run: &Run, step: usize) -> Result<Parts, Failure> {
    if !is_to_run(run, step)? {
        return Ok(Parts::Skipped);
    }
    match &run.graph.workflow.tasks[step].map {
        None => Ok(Parts::One),
        Some(parameter) => elements(run, step, parameter).map(Parts::Each),
    }
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

/// The elements of the list over which a task is mapped.
fn elements(run: &Run, step: usize, parameter: &str) -> Result<Vec<Kept>, Failure> {
    let workflow = &run.graph.workflow;
    let taken = workflow.tasks[step].takes.iter().find(|taken| taken.name == parameter);
    let value = match taken.map(|taken| taken.source) {
        Some(ParameterSource::Task) => match workflow.index(parameter) {
            Some(parent) if run.is_mapped(parent) => return Ok(run.outputs(parent)),
            _ => run.output(parameter),
        },
        _ => run.input().and_then(|input| input.get(parameter).cloned()),
    };
    match value {
        Some(Value::List(items) | Value::Tuple(items)) => {
            let kept = items.into_iter().map(Kept::of_outline).collect::<Result<_, _>>();
            kept.map_err(|error| type_error(error.to_string()))
        }
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
