//! A native node without a pipeline. The SDK's classes of native nodes call it when they run in a
//! worker.

use std::ffi::CString;
use std::sync::{Mutex, PoisonError};

use ipc_protocol::Value;
use nodes::node::{Node, NodeType};
use nodes::{NodeErrorKind, Params, panics};
use orchestrator::Error;
use pyo3::exceptions::{
    PyOverflowError, PyRuntimeError, PyTypeError, PyValueError, PyZeroDivisionError,
};
use pyo3::prelude::*;
use pyo3::types::PyList;

use super::opener;
use crate::convert::{Converter, Lending, Pickling, to_value};
use crate::error::{from_marshal, to_pyerr};

/// An instance of a native node.
#[pyclass(frozen, module = "remotemedia._native")]
pub(crate) struct NativeNode {
    node_type: &'static NodeType,
    params: Params,
    node: Mutex<Box<dyn Node>>,
    converter: Converter,
}

impl std::fmt::Debug for NativeNode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("NativeNode").field(&self.node_type.name).finish()
    }
}

impl NativeNode {
    fn call<'py>(
        &self,
        py: Python<'py>,
        call: impl FnOnce(&mut dyn Node, &mut dyn FnMut(Value)) -> Result<(), nodes::NodeError> + Send,
    ) -> PyResult<Bound<'py, PyList>> {
        let mut outputs = Vec::new();
        let (result, notice) = py.detach(|| {
            let mut node = self.node.lock().unwrap_or_else(PoisonError::into_inner);
            let result = panics::catch(|| call(node.as_mut(), &mut |value| outputs.push(value)))
                .unwrap_or_else(|panic| {
                    // One that was made before can be made again.
                    if let Ok(fresh) = (self.node_type.build)(&self.params) {
                        *node = fresh;
                    }
                    Err(NodeErrorKind::Panicked(panic).into())
                });
            (result, node.take_notice())
        });
        result.map_err(|error| raise(&error))?;
        if let Some(text) = notice {
            let category = py.get_type::<pyo3::exceptions::PyUserWarning>();
            PyErr::warn(py, &category, &CString::new(text).unwrap_or_default(), 1)?;
        }
        let list = PyList::empty(py);
        for output in outputs {
            list.append(self.converter.to_object(py, output).map_err(|error| error.raised)?)?;
        }
        Ok(list)
    }
}

#[pymethods]
impl NativeNode {
    #[new]
    fn new(py: Python<'_>, node_type: &str, params_json: &str) -> PyResult<Self> {
        let unusable = |problems: Vec<String>| {
            to_pyerr(py, Error::Params { node_id: node_type.to_owned(), problems })
        };
        let Some(node_type) = nodes::registry::builtin().get(node_type) else {
            let advice = nodes::registry::how_to_get(node_type);
            return Err(unusable(advice.map(str::to_owned).into_iter().collect()));
        };
        let params: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(params_json).map_err(|error| unusable(vec![error.to_string()]))?;
        let checked = node_type.check_params(&params).and_then(|params| {
            let node = (node_type.build)(&params).map_err(|problem| vec![problem])?;
            Ok((params, node))
        });
        let (params, node) = checked
            .map_err(|problems| unusable(problems.iter().map(ToString::to_string).collect()))?;
        Ok(Self {
            node_type,
            params,
            node: Mutex::new(node),
            converter: Converter::new("input", Lending::Borrow, Pickling::Default),
        })
    }

    fn process<'py>(
        &self,
        py: Python<'py>,
        item: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyList>> {
        let value = to_value(item, &self.converter).map_err(|error| from_marshal(py, error))?;
        let may_be_opened = value.has_opaque_part();
        let done = self.call(py, |node, emit| node.process(value, emit));
        if !may_be_opened || done.is_ok() {
            return done;
        }
        // As in a pipeline: what it refuses is given again with plain arrays.
        let Some(plain) = opener::plain(item)? else { return done };
        let value = to_value(&plain, &self.converter).map_err(|error| from_marshal(py, error))?;
        self.call(py, |node, emit| node.process(value, emit))
    }

    fn flush<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        self.call(py, |node, emit| node.flush(emit))
    }
}

/// The Python exception that [`nodes::NodeError::type_name`] names.
fn raise(error: &nodes::NodeError) -> PyErr {
    let message = error.to_string();
    match error.type_name() {
        "TypeError" => PyTypeError::new_err(message),
        "ZeroDivisionError" => PyZeroDivisionError::new_err(message),
        "OverflowError" => PyOverflowError::new_err(message),
        "RuntimeError" => PyRuntimeError::new_err(message),
        _ => PyValueError::new_err(message),
    }
}
