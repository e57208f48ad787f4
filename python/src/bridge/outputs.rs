//! What a session has made, as Python objects: outputs, and the states of nodes at its end.

use orchestrator::session::GraphOutput;
use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use super::crossing::give;
use super::host::PyHost;
use super::session::Session;
use crate::error::{from_unopenable, to_pyerr};

/// Converts outputs to objects. Returns the converted ones, and the error of the first that
/// cannot be converted.
pub(super) fn open_all<'py>(
    session: &Session,
    py: Python<'py>,
    outputs: Vec<GraphOutput>,
) -> PyResult<(Bound<'py, PyList>, Option<PyErr>)> {
    let list = PyList::empty(py);
    let mut unopened = None;
    for output in outputs {
        let value = match give(py, output.value, session.converter(), session.recording()) {
            Ok(value) => value,
            Err(error) if error.raised.is_instance_of::<PyKeyboardInterrupt>(py) => {
                return Err(error.raised);
            }
            Err(error) => {
                let error = from_unopenable(py, output.node_id, error);
                unopened.get_or_insert(error);
                continue;
            }
        };
        let traffic = session.converter().take_traffic();
        if traffic.copies > 0 {
            session.lock().count_delivered(&output.node_id, traffic);
        }
        list.append((output.node_id, value))?;
    }
    Ok((list, unopened))
}

/// Attaches the outputs that came before an error to it, unless the exception takes no attributes.
pub(super) fn carrying(py: Python<'_>, raised: PyErr, partial: Bound<'_, PyList>) -> PyErr {
    let _carried = raised.value(py).setattr("partial_results", partial);
    raised
}

/// Closes the session. Returns the changed attributes of nodes, and the error of `cleanup`, if
/// any.
pub(super) fn close<'py>(
    session: &Session,
    py: Python<'py>,
) -> PyResult<(Bound<'py, PyList>, Option<PyErr>)> {
    let mut host = PyHost::new(py)?;
    let closed = py.detach(|| session.lock().close(&mut host));
    let mut failures = closed.failures.into_iter();
    let mut failure = host.raised;
    if failure.is_none()
        && let Some(first) = failures.next()
    {
        let raised = to_pyerr(py, first);
        for further in failures {
            let note = format!("another node failed to clean up: {further}");
            raised.value(py).call_method1("add_note", (note,))?;
        }
        failure = Some(raised);
    }
    let states = PyList::empty(py);
    for state in closed.states {
        states.append((state.node_id, PyBytes::new(py, &state.attributes)))?;
    }
    Ok((states, failure))
}
