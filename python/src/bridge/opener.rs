//! Opens pickled objects for native nodes that refuse them: `remotemedia.core.plain_arrays` makes arrays of them.

use ipc_protocol::Value;
use orchestrator::options::Opener;
use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;

use crate::convert::{Converter, Lending, Pickling, to_own_value};

/// Opens objects in the caller's process.
#[derive(Debug)]
pub(super) struct PyOpener;

impl Opener for PyOpener {
    fn plain(&self, item: Value) -> Result<Option<Value>, String> {
        Python::attach(|py| opened(py, item).or_else(|error| told(py, &error)))
    }
}

/// The item with plain arrays. `None` if it has no others, or cannot be opened.
fn opened(py: Python<'_>, item: Value) -> PyResult<Option<Value>> {
    let converter = Converter::new("input", Lending::Copy, Pickling::Default);
    let Ok(object) = converter.to_object(py, item) else { return Ok(None) };
    let Some(made) = plain(&object)? else { return Ok(None) };
    Ok(to_own_value(&made, &converter).ok())
}

/// A Python item with plain arrays; `None` if it has no others.
pub(super) fn plain<'py>(item: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let module = item.py().import(intern!(item.py(), "remotemedia.core.plain_arrays"))?;
    let made = module.call_method1(intern!(item.py(), "plain"), (item,))?;
    Ok((!made.is_none()).then_some(made))
}

fn told(py: Python<'_>, error: &PyErr) -> Result<Option<Value>, String> {
    if error.is_instance_of::<PyTypeError>(py) {
        Err(error.value(py).to_string())
    } else {
        Ok(None)
    }
}
