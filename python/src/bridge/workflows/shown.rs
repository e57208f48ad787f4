//! Rows of runs, steps and attempts as dicts.

use durable::failure::Failure;
use durable::record::{AttemptRow, FoundRun, RunRow, RunStatus, StepRow};
use durable::store::Filter;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

/// A run with its steps, and its attempts.
pub(super) type Found = (FoundRun, Vec<AttemptRow>);

pub(super) fn filter(
    workflow: Option<String>,
    status: Option<&str>,
    limit: Option<u32>,
) -> PyResult<Filter> {
    let unknown = |word: &str| {
        let known = "running, completed, failed or cancelled";
        PyValueError::new_err(format!("the status of a run is {known}, not '{word}'"))
    };
    let status = status.map(|word| RunStatus::from_word(word).ok_or_else(|| unknown(word)));
    Ok(Filter { workflow, status: status.transpose()?, limit })
}

pub(super) fn run_dicts<'py>(
    py: Python<'py>,
    rows: &[RunRow],
) -> PyResult<Vec<Bound<'py, PyDict>>> {
    rows.iter().map(|row| row_dict(py, row)).collect()
}

pub(super) fn runs_list<'py>(
    py: Python<'py>,
    one: Option<&Found>,
    rows: &[RunRow],
) -> PyResult<Vec<Bound<'py, PyDict>>> {
    match one {
        Some((found, attempts)) => Ok(vec![run_dict(py, found, attempts)?]),
        None => run_dicts(py, rows),
    }
}

fn row_dict<'py>(py: Python<'py>, row: &RunRow) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("id", &*row.id)?;
    dict.set_item("workflow", &row.workflow)?;
    dict.set_item("version", &row.version)?;
    dict.set_item("hash", &row.hash)?;
    dict.set_item("status", row.status.word())?;
    dict.set_item("failure", failure_dict(py, row.failure.as_ref())?)?;
    dict.set_item("parent", row.parent.as_deref())?;
    dict.set_item("created_ms", row.created_ms)?;
    dict.set_item("ended_ms", row.ended_ms)?;
    Ok(dict)
}

pub(super) fn run_dict<'py>(
    py: Python<'py>,
    found: &FoundRun,
    attempts: &[AttemptRow],
) -> PyResult<Bound<'py, PyDict>> {
    let dict = row_dict(py, &found.run)?;
    let steps = PyList::empty(py);
    for step in &found.steps {
        steps.append(step_dict(py, step)?)?;
    }
    dict.set_item("steps", steps)?;
    let list = PyList::empty(py);
    for attempt in attempts {
        list.append(attempt_dict(py, attempt)?)?;
    }
    dict.set_item("attempts", list)?;
    let events: Vec<&str> = found.events.iter().map(|(name, _)| name.as_str()).collect();
    dict.set_item("events", events)?;
    dict.set_item("graph", &found.graph)?;
    Ok(dict)
}

fn step_dict<'py>(py: Python<'py>, row: &StepRow) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("name", &row.name)?;
    dict.set_item("status", row.status.word())?;
    dict.set_item("attempts", row.attempts)?;
    dict.set_item("raised", row.raised)?;
    dict.set_item("crashes", row.crashes)?;
    dict.set_item("failure", failure_dict(py, row.failure.as_ref())?)?;
    dict.set_item("due_ms", row.due_ms)?;
    dict.set_item("event", row.event.as_deref())?;
    dict.set_item("started_ms", row.started_ms)?;
    dict.set_item("ended_ms", row.ended_ms)?;
    Ok(dict)
}

fn attempt_dict<'py>(py: Python<'py>, row: &AttemptRow) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("step", &row.step)?;
    dict.set_item("number", row.number)?;
    dict.set_item("pid", row.pid)?;
    dict.set_item("signal", row.signal.as_deref())?;
    dict.set_item("result", &row.result)?;
    dict.set_item("error", row.error.as_deref())?;
    dict.set_item("tail", row.tail.as_deref())?;
    dict.set_item("started_ms", row.started_ms)?;
    dict.set_item("ended_ms", row.ended_ms)?;
    Ok(dict)
}

fn failure_dict<'py>(
    py: Python<'py>,
    failure: Option<&Failure>,
) -> PyResult<Option<Bound<'py, PyDict>>> {
    let Some(failure) = failure else { return Ok(None) };
    let dict = PyDict::new(py);
    dict.set_item("kind", failure.kind.word())?;
    dict.set_item("task", &failure.task)?;
    dict.set_item("type_name", &failure.type_name)?;
    dict.set_item("message", &failure.message)?;
    dict.set_item("traceback", &failure.traceback)?;
    dict.set_item("text", failure.to_string())?;
    Ok(Some(dict))
}
