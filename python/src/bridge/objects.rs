//! The caller's node objects: pickles them for an interpreter and takes digests of their code, both
//! through `remotemedia.core.shipping`.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use orchestrator::error::ShipError;
use orchestrator::options::NodeObjects;
use orchestrator::worker::Interpreter;
use pyo3::intern;
use pyo3::prelude::*;

/// A `remotemedia.core.shipping.Shipper`.
#[derive(Debug, Clone)]
pub(super) struct PyObjects {
    shipper: Arc<Py<PyAny>>,
    raised: Arc<Mutex<Option<PyErr>>>,
}

impl PyObjects {
    pub(super) fn new(shipper: Py<PyAny>) -> Self {
        Self { shipper: Arc::new(shipper), raised: Arc::default() }
    }

    /// What the last failure of shipping was.
    pub(super) fn take_raised(&self) -> Option<PyErr> {
        self.raised.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn failed(&self, py: Python<'_>, raised: PyErr) -> ShipError {
        let value = raised.value(py);
        let node_id = value.getattr(intern!(py, "node_id")).and_then(|id| id.extract());
        let message = value.getattr(intern!(py, "message")).and_then(|text| text.extract());
        let named =
            value.getattr(intern!(py, "names_runtime_hint")).and_then(|named| named.extract());
        let error = ShipError {
            node_id: node_id.unwrap_or_default(),
            message: message.unwrap_or_else(|_| raised.to_string()),
            names_runtime_hint: named.unwrap_or(false),
            advice: None,
        };
        *self.raised.lock().unwrap_or_else(PoisonError::into_inner) = Some(raised);
        error
    }
}

impl NodeObjects for PyObjects {
    fn ship(&self, interpreter: &Interpreter, instances: &[u32]) -> Result<Bytes, ShipError> {
        Python::attach(|py| {
            let arguments = (
                interpreter.implementation.as_str(),
                interpreter.minor_version(),
                instances.to_vec(),
            );
            let shipped = self.shipper.bind(py).call_method1(intern!(py, "ship"), arguments);
            let bytes = shipped.and_then(|bytes| bytes.extract::<Vec<u8>>());
            bytes.map(Bytes::from).map_err(|raised| self.failed(py, raised))
        })
    }

    fn code_digest(&self, instance: u32) -> Option<String> {
        Python::attach(|py| {
            let digest =
                self.shipper.bind(py).call_method1(intern!(py, "code_digest"), (instance,));
            // Without a digest RustPython is tried again in every session; nothing else is lost.
            digest.and_then(|digest| digest.extract()).ok()
        })
    }
}
