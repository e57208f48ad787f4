//! Why an object of this interpreter could not become a value; what is said of it is in
//! `worker_shim::unsendable`.

use pyo3::exceptions::{PyException, PyTypeError};
use pyo3::prelude::*;
use worker_shim::unsendable;

/// A part of an item has no wire form.
pub(crate) type MarshalError = unsendable::Unsendable<PyErr>;
pub(super) type Reason = unsendable::Reason<PyErr>;
pub(super) type Stop = unsendable::Stop<PyErr>;

/// A `TypeError` with path and type, but for exceptions that are not about the object.
pub(crate) fn into_pyerr(error: MarshalError) -> PyErr {
    error.into_exception(PyTypeError::new_err)
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
    let said = unsendable::Said {
        message: raised.to_string(),
        path: text("path"),
        type_name: text("type_name"),
        reason: text("reason"),
    };
    Stop::unpicklable(said, || type_name(object))
}

/// Qualified name of the object's type; bare for builtins.
pub(super) fn type_name(object: &Bound<'_, PyAny>) -> String {
    let kind = object.get_type();
    let name = kind.qualname().map_or_else(|_| "?".to_owned(), |name| name.to_string());
    match kind.module() {
        Ok(module) if module != "builtins" => format!("{module}.{name}"),
        _ => name,
    }
}
