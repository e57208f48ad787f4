//! Objects that `remotemedia._guest` calls: the meter, and the log of text that nodes print.

use std::sync::atomic::{AtomicBool, Ordering};

use ipc_protocol::FromWorker;
use ipc_protocol::from_worker::{LogRecord, SourceLine};
use pyo3::prelude::*;
use worker_shim::blackbox::Operation;
use worker_shim::{LinkWriter, SharedMeter};

use crate::numpy_memory;

/// The meter as a Python object; see `Meter` in `remotemedia._guest.calling`.
///
/// From a node's first call on, numpy allocates large arrays in the outbound memory, until code
/// runs that makes no outputs. Arrays made between two calls may lie there too: to switch the
/// memory around each call would cost a microsecond for every small item.
#[pyclass(frozen)]
#[derive(Debug)]
pub(super) struct Probe {
    meter: SharedMeter,
    serves_numpy: AtomicBool,
}

impl Probe {
    pub(super) fn new(meter: SharedMeter) -> Self {
        Self { meter, serves_numpy: false.into() }
    }

    /// Makes numpy allocate large arrays in the outbound memory.
    fn begin_outputs(&self, py: Python<'_>) {
        if !self.serves_numpy.load(Ordering::Relaxed) {
            self.serves_numpy.store(numpy_memory::activate(py), Ordering::Relaxed);
        }
    }

    /// Makes numpy use its own memory again.
    pub(super) fn rest(&self, py: Python<'_>) {
        if self.serves_numpy.swap(false, Ordering::Relaxed) {
            numpy_memory::deactivate(py);
        }
    }
}

#[pymethods]
impl Probe {
    fn enter(&self, py: Python<'_>, node: usize, operation: u32) {
        let operation = Operation::from_number(operation);
        if operation.makes_outputs() {
            self.begin_outputs(py);
        } else {
            self.rest(py);
        }
        self.meter.lock().enter(node, operation);
    }

    fn call_next(&self, py: Python<'_>, node: usize) {
        self.begin_outputs(py);
        self.meter.lock().call_next(node);
    }

    fn leave(&self) {
        self.meter.lock().leave();
    }

    fn count_call(&self, node: usize) {
        self.meter.lock().count_call(node);
    }

    fn count_error(&self, node: usize) {
        self.meter.lock().count_error(node);
    }
}

/// Sends what nodes print and log; see `Send` in `remotemedia._guest.output`.
#[pyclass(frozen)]
#[derive(Debug)]
pub(super) struct Log(LinkWriter);

impl Log {
    pub(super) fn new(writer: LinkWriter) -> Self {
        Self(writer)
    }
}

#[pymethods]
impl Log {
    #[expect(clippy::too_many_arguments, reason = "the fields of a record, called from Python")]
    fn __call__(
        &self,
        py: Python<'_>,
        node_id: String,
        logger: String,
        is_stream: bool,
        level: u32,
        message: String,
        place: Option<(String, u32, String)>,
    ) {
        let place = place.map(|(path, line, function)| SourceLine { path, line, function });
        let record = LogRecord { node_id, logger, is_stream, level, message, place };
        // This fails only when the orchestrator is gone, and then this process ends soon too.
        let _unheard = py.detach(|| self.0.send(FromWorker::Log(record)));
    }
}
