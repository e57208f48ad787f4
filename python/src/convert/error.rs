//! Errors of objects that could not become a value, and of values that could not become an object.
//! `worker_shim::{unsendable, unopenable}` make their texts.

use ipc_protocol::Part;
use pyo3::exceptions::{PyException, PyMemoryError, PyTypeError};
use pyo3::prelude::*;
use worker_shim::unopenable::Unopenable;
use worker_shim::unsendable as reasons;

/// A part of an item cannot be sent.
pub(crate) type MarshalError = reasons::Unsendable<PyErr>;
pub(super) type Reason = reasons::Reason<PyErr>;
pub(super) type Stop = reasons::Stop<PyErr>;

/// A part of an item could not become an object.
pub(crate) type OpenError = Unopenable<PyErr>;

/// A `TypeError` with path and type, or a `MemoryError`. Exceptions that are not about the object, such as an
/// interrupt, stay as they are.
pub(crate) fn into_pyerr(error: MarshalError) -> PyErr {
    let is_memory = matches!(error.reason, Reason::NoMemory(_));
    error.into_exception(|message| {
        if is_memory { PyMemoryError::new_err(message) } else { PyTypeError::new_err(message) }
    })
}

/// As [`into_pyerr`], with path and type also in an attribute that `remotemedia._guest.faults`
/// reads.
pub(crate) fn unsendable(py: Python<'_>, error: MarshalError) -> PyErr {
    let part = Part { path: error.path.clone(), type_name: error.type_name.clone() };
    marked(py, into_pyerr(error), "unsendable", part)
}

/// The exception from making a part of an item, with path and type in an attribute as in
/// [`unsendable`].
pub(crate) fn unopenable(py: Python<'_>, error: OpenError, root: &str) -> PyErr {
    let (part, raised) = error.at_root(root);
    marked(py, raised, "unopenable", part)
}

fn marked(py: Python<'_>, raised: PyErr, kind: &str, part: Part) -> PyErr {
    let mark = (kind, part.path, part.type_name);
    // Some exceptions take no attributes; the report then lacks path and type.
    let _marked = raised.value(py).setattr("remotemedia_part", mark);
    raised
}

/// The failure of an object itself, not of a part of it.
pub(super) fn here(object: &Bound<'_, PyAny>, reason: Reason) -> Stop {
    Stop::here(type_name(object), reason)
}

/// Turns an exception that was raised while `object` was read into a [`Stop`].
pub(super) fn raised(object: &Bound<'_, PyAny>, raised: PyErr) -> Stop {
    let py = object.py();
    if !raised.is_instance_of::<PyException>(py) {
        return here(object, Reason::Python(raised));
    }
    let value = raised.value(py);
    let text = |name: &str| value.getattr(name).ok()?.extract::<String>().ok();
    let said = reasons::Said {
        message: raised.to_string(),
        path: text("path"),
        type_name: text("type_name"),
        reason: text("reason"),
    };
    Stop::unpicklable(said, || type_name(object))
}

/// Qualified name of the object's type; without the module for builtins.
pub(crate) fn type_name(object: &Bound<'_, PyAny>) -> String {
    let kind = object.get_type();
    let name = kind.qualname().map_or_else(|_| "?".to_owned(), |name| name.to_string());
    match kind.module() {
        Ok(module) if module != "builtins" => format!("{module}.{name}"),
        _ => name,
    }
}
