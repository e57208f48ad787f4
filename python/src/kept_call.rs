//! The failed call of a native node, for captures.

use ipc_protocol::Value;
use orchestrator::failure::{FailedCall, operation_name};
use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::convert::{Converter, Lending, Pickling};

/// A failed call, which an exception carries.
#[pyclass(frozen, module = "remotemedia._native")]
#[derive(Debug)]
pub(crate) struct KeptCall(FailedCall);

/// Operation, the items before, whether these are all, and the item in a list, which is empty for a flush.
type Parts<'py> = (&'static str, Bound<'py, PyList>, bool, Bound<'py, PyList>);

impl KeptCall {
    pub(crate) fn new(call: FailedCall) -> Self {
        Self(call)
    }
}

#[pymethods]
impl KeptCall {
    fn parts<'py>(&self, py: Python<'py>) -> PyResult<Parts<'py>> {
        let Self(FailedCall { operation, before, is_whole, item }) = self;
        let before = objects(py, before)?;
        Ok((operation_name(*operation), before, *is_whole, objects(py, item.as_slice())?))
    }
}

fn objects<'py>(py: Python<'py>, values: &[Value]) -> PyResult<Bound<'py, PyList>> {
    let converter = Converter::new("input", Lending::Borrow, Pickling::Default);
    let list = PyList::empty(py);
    for value in values {
        list.append(converter.to_object(py, value.clone()).map_err(|error| error.raised)?)?;
    }
    Ok(list)
}
