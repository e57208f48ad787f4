//! The extension module `remotemedia._native`: the bridge from the SDK to the orchestrator, and
//! the CPython guest of its workers.

mod bridge;
mod convert;
mod error;
mod guest;
mod kept_call;
mod numpy_memory;
mod numpy_types;

use pyo3::prelude::*;
use worker_shim::allocator::Allocator;

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

/// Adds functions and classes to the module.
#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_function(wrap_pyfunction!(guest::worker_main, module)?)?;
    numpy_memory::watch_forks(module)?;
    bridge::register(module)
}
