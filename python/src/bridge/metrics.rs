//! The metrics of a session after its end. Few programs read them, so they become JSON on request.

use std::sync::{Arc, Mutex, PoisonError};

use orchestrator::metrics::RunMetrics;
use pyo3::prelude::*;

/// The metrics of a session. `str` gives them as JSON.
#[pyclass(frozen, module = "remotemedia._native")]
#[derive(Debug)]
pub(crate) struct Metrics(pub(super) Arc<Mutex<RunMetrics>>);

impl Metrics {
    pub(super) fn to_json(&self, py: Python<'_>) -> String {
        let metrics = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        py.detach(|| metrics().to_json().to_string())
    }
}

#[pymethods]
impl Metrics {
    fn __str__(&self, py: Python<'_>) -> String {
        self.to_json(py)
    }
}
