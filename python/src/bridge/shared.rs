//! Arrays in shared memory for user code; see `remotemedia.shared_memory`.

use numpy::{PyArrayDescr, PyUntypedArray};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::convert;

/// A new array of a dtype and a shape in shared memory.
#[pyfunction]
pub(super) fn empty_shared<'py>(
    dtype: &Bound<'py, PyArrayDescr>,
    shape: Vec<isize>,
) -> PyResult<Bound<'py, PyAny>> {
    convert::empty(dtype, &shape)
}

/// Returns the array itself if it is in shared memory, else a copy that is.
#[pyfunction]
pub(super) fn asarray_shared<'py>(
    array: &Bound<'py, PyUntypedArray>,
) -> PyResult<Bound<'py, PyAny>> {
    convert::asarray_shared(array)
}

/// Bytes of shared memory that the arrays of [`empty_shared`] and [`asarray_shared`] take in this
/// process.
#[pyfunction]
pub(super) fn own_memory(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let stats = crate::numpy_memory::own_arena_stats();
    let entry = PyDict::new(py);
    entry.set_item("made_bytes", stats.mapped_bytes)?;
    entry.set_item("used_bytes", stats.used_bytes)?;
    entry.set_item("idle_bytes", stats.idle_bytes)?;
    Ok(entry)
}
