//! What the methods of views take.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple, PyType};
use worker_shim::audio::{Along, Kind};

use super::raise;

/// A dtype by its name, or a type or an object with such a name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dtype(pub(super) Kind);

impl<'a, 'py> FromPyObject<'a, 'py> for Dtype {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        let name: String = if object.cast::<PyType>().is_ok() {
            object.getattr("__name__")?.extract()?
        } else if object.cast::<PyString>().is_ok() {
            object.extract()?
        } else {
            let refused = |_| PyTypeError::new_err("a dtype is a name or a type");
            object.getattr("name").map_err(refused)?.extract()?
        };
        Kind::named(&name).map(Self).map_err(raise)
    }
}

/// An axis or several.
#[derive(Debug)]
pub(super) struct Axes(pub(super) Vec<isize>);

impl<'a, 'py> FromPyObject<'a, 'py> for Axes {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        match object.cast::<PyTuple>() {
            Ok(axes) => axes.extract().map(Self),
            Err(_) => object.extract().map(|axis| Self(vec![axis])),
        }
    }
}

/// The axes of a reduction.
pub(super) fn along(axis: Option<Axes>, keepdims: bool) -> Along {
    Along { axes: axis.map(|Axes(axes)| axes), is_kept: keepdims }
}

/// Integers that are given as arguments or as one sequence.
pub(super) fn lengths(given: &Bound<'_, PyTuple>) -> PyResult<Vec<isize>> {
    given.extract().or_else(|_| given.get_item(0)?.extract())
}
