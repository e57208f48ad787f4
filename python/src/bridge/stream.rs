//! The steps of a stream: outputs, errors, and when items are wanted.

use orchestrator::session::{Next, Source, Streaming};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyList;

use super::host::PyHost;
use super::session::Session;
use crate::error::to_pyerr;

/// What happened, and the output if there is one, with its sink.
type Step<'py> = (&'static str, Option<Bound<'py, PyList>>);

#[pymethods]
impl Session {
    /// The greatest number of replicas of a node.
    fn replicas(&self) -> u64 {
        Streaming::of(&mut self.lock()).replicas()
    }

    /// Starts a stream; `next_of_stream` returns its outputs.
    fn begin_stream(&self, py: Python<'_>) -> PyResult<()> {
        self.begun(py, |session| Streaming::of(session).begin())
    }

    /// Feeds the stream an item.
    fn feed_stream(&self, py: Python<'_>, item: &Bound<'_, PyAny>) -> PyResult<()> {
        let (value, traffic) = self.take(item)?;
        self.begun(py, |session| {
            session.count_taken(traffic);
            Streaming::of(session).feed(Some(value))
        })
    }

    /// No item follows in the stream: its nodes flush.
    fn end_items(&self, py: Python<'_>) -> PyResult<()> {
        self.begun(py, |session| Streaming::of(session).feed(None))
    }

    /// Waits for an output, or until an item is wanted. `source`: "empty", "slow" or "quick", as it is now.
    fn next_of_stream<'py>(&self, py: Python<'py>, source: &str) -> PyResult<Step<'py>> {
        let source = match source {
            "empty" => Source::Empty,
            "slow" => Source::Slow,
            "quick" => Source::Quick,
            other => return Err(PyValueError::new_err(format!("no source is {other:?}"))),
        };
        let mut host = PyHost::new(py)?;
        let next = py.detach(|| Streaming::of(&mut self.lock()).next(source, &mut host));
        match (next, host.raised) {
            (_, Some(raised)) => Err(raised),
            (Err(error), None) => Err(to_pyerr(py, error)),
            (Ok(Next::Output(output)), None) => {
                Ok(("output", Some(self.to_list(py, vec![output])?)))
            }
            (Ok(other), None) => Ok((name(&other), None)),
        }
    }

    /// Ends the stream. What is under way in it is dropped.
    fn end_stream(&self, py: Python<'_>) {
        py.detach(|| Streaming::of(&mut self.lock()).end());
    }

    /// Has a stream that waits look at its source again, from any thread.
    fn look_again(&self) {
        self.cancel.look_again();
    }
}

/// The name of a step in Python.
fn name(step: &Next) -> &'static str {
    match step {
        Next::Output(_) => "output",
        Next::Input => "input",
        Next::Idle => "idle",
        Next::Dropped => "dropped",
        Next::End => "end",
    }
}
