//! Numpy's types, if numpy is loaded; looking them up never imports it.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyType};

/// Numpy's class of arrays, its base class of scalars, and its class of memory-mapped arrays.
pub(crate) struct Types {
    pub(crate) ndarray: Py<PyType>,
    pub(crate) generic: Py<PyType>,
    pub(crate) memmap: Py<PyType>,
}

impl Types {
    /// The types; `None` if numpy is not loaded, so that no object can be an array.
    pub(crate) fn if_loaded(py: Python<'_>) -> PyResult<Option<&'static Self>> {
        static TYPES: PyOnceLock<Types> = PyOnceLock::new();
        if let Some(types) = TYPES.get(py) {
            return Ok(Some(types));
        }
        let modules = py.import("sys")?.getattr(intern!(py, "modules"))?.cast_into::<PyDict>()?;
        let Some(numpy) = modules.get_item("numpy")? else { return Ok(None) };
        // While numpy is being imported (in another thread) its names may not be there yet.
        let mut found = Vec::new();
        for name in ["ndarray", "generic", "memmap"] {
            let Ok(found_type) = numpy.getattr(name) else { return Ok(None) };
            found.push(found_type.cast_into::<PyType>()?.unbind());
        }
        let Ok([ndarray, generic, memmap]) = <[Py<PyType>; 3]>::try_from(found) else {
            return Ok(None);
        };
        Ok(Some(TYPES.get_or_init(py, || Types { ndarray, generic, memmap })))
    }

    /// Whether this process has imported numpy.
    pub(crate) fn are_loaded(py: Python<'_>) -> bool {
        matches!(Self::if_loaded(py), Ok(Some(_)))
    }
}
