//! Why an object of this interpreter could not become a value, or a value an object; what is said of
//! it is in `worker_shim::{unsendable, unopenable}`.

use ipc_protocol::Part;
use pyo3::exceptions::{PyException, PyTypeError};
use pyo3::prelude::*;
use worker_shim::unopenable::Unopenable;
use worker_shim::unsendable as reasons;

/// A part of an item has no wire form.
pub(crate) type MarshalError = reasons::Unsendable<PyErr>;
pub(super) type Reason = reasons::Reason<PyErr>;
pub(super) type Stop = reasons::Stop<PyErr>;

/// A part of an item could not become an object.
pub(crate) type OpenError = Unopenable<PyErr>;

/// A `TypeError` with path and type, but for exceptions that are not about the object.
pub(crate) fn into_pyerr(error: MarshalError) -> PyErr {
    error.into_exception(PyTypeError::new_err)
}

/// The same for `remotemedia._guest.faults`, which finds path and type on the exception.
pub(crate) fn unsendable(py: Python<'_>, error: MarshalError) -> PyErr {
    let part = Part { path: error.path.clone(), type_name: error.type_name.clone() };
    marked(py, into_pyerr(error), "unsendable", part)
}

/// What opening a part of an item raised, with path and type on it as in [`unsendable`].
pub(crate) fn unopenable(py: Python<'_>, error: OpenError, root: &str) -> PyErr {
    let (part, raised) = error.at_root(root);
    marked(py, raised, "unopenable", part)
}

fn marked(py: Python<'_>, raised: PyErr, kind: &str, part: Part) -> PyErr {
    let mark = (kind, part.path, part.type_name);
    // An exception that takes no attributes is complete without it.
    let _marked = raised.value(py).setattr("remotemedia_part", mark);
    raised
}

/// A failure at the object itself.
pub(super) fn here(object: &Bound<'_, PyAny>, reason: Reason) -> Stop {
    Stop::here(type_name(object), reason)
}

/// Turns an exception of Python, raised while `object` was looked at, into a stop.
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

/// Qualified name of the object's type; bare for builtins.
pub(crate) fn type_name(object: &Bound<'_, PyAny>) -> String {
    let kind = object.get_type();
    let name = kind.qualname().map_or_else(|_| "?".to_owned(), |name| name.to_string());
    match kind.module() {
        Ok(module) if module != "builtins" => format!("{module}.{name}"),
        _ => name,
    }
}
