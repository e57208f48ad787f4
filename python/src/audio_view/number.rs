//! Numbers between Python and views, errors as exceptions, and where new views get their memory.

use pyo3::exceptions::{PyIndexError, PyMemoryError, PyOverflowError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyComplex, PyFloat};
use worker_shim::audio::{Number, Supply, ViewError};

use crate::convert::INLINE_MAX_BYTES;
use crate::numpy_memory::{outbound, own_arena};

/// The exception that an error is in Python.
pub(crate) fn raise(error: ViewError) -> PyErr {
    match error {
        ViewError::Index(message) => PyIndexError::new_err(message),
        ViewError::Type(message) => PyTypeError::new_err(message),
        ViewError::Value(message) => PyValueError::new_err(message),
        ViewError::Overflow(message) => PyOverflowError::new_err(message),
        ViewError::Memory(message) => PyMemoryError::new_err(message),
    }
}

/// Where new views get their memory.
pub(crate) fn supply() -> Supply {
    match outbound() {
        Some(outbound) => outbound.supply(),
        None => Supply::new(own_arena(), INLINE_MAX_BYTES, usize::MAX),
    }
}

/// A number as Python object.
pub(crate) fn number_object(py: Python<'_>, number: Number) -> PyResult<Py<PyAny>> {
    Ok(match number {
        Number::Bool(truth) => truth.into_pyobject(py)?.to_owned().into_any().unbind(),
        Number::Int(number) => number.into_pyobject(py)?.into_any().unbind(),
        Number::Float(number) => number.into_pyobject(py)?.into_any().unbind(),
        Number::Complex(real, imaginary) => {
            PyComplex::from_doubles(py, real, imaginary).into_any().unbind()
        }
    })
}

/// A Python object as number.
pub(super) fn number_of(object: &Bound<'_, PyAny>) -> PyResult<Number> {
    if let Ok(truth) = object.cast_exact::<PyBool>() {
        return Ok(Number::Bool(truth.is_true()));
    }
    if let Ok(number) = object.cast::<PyFloat>() {
        return Ok(Number::Float(number.value()));
    }
    if let Ok(number) = object.cast::<PyComplex>() {
        return Ok(Number::Complex(number.real(), number.imag()));
    }
    object.extract::<i128>().map(Number::Int).or_else(|_| object.extract().map(Number::Float))
}
