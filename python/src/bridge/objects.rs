//! The caller's node objects: pickles them for an interpreter and takes digests of their code, both
//! through `remotemedia.core.shipping`.

use std::sync::{Arc, Mutex, PoisonError};

use numpy::PyUntypedArray;
use orchestrator::error::ShipError;
use orchestrator::options::{NodeObjects, Shipment};
use orchestrator::worker::Interpreter;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::convert::{KeptBuffers, borrow_bytes};

/// What was shipped, for further sessions with the same node objects: they get the same memory.
#[pyclass(frozen, module = "remotemedia._native")]
#[derive(Debug, Default)]
pub(crate) struct Shipments(Mutex<Vec<(Destination, Shipment)>>);

/// Name and version of an interpreter, the numbers of the objects that run there, and whether it takes
/// buffers.
type Destination = (String, String, Vec<u32>, bool);

#[pymethods]
impl Shipments {
    #[new]
    fn new() -> Self {
        Self::default()
    }
}

impl Shipments {
    fn find(&self, wanted: &Destination) -> Option<Shipment> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().find(|(known, _)| known == wanted).map(|(_, shipment)| shipment.clone())
    }

    fn keep(&self, destination: Destination, shipment: Shipment) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.push((destination, shipment));
    }
}

/// Wraps a `remotemedia.core.shipping.Shipper`.
#[derive(Debug, Clone)]
pub(super) struct PyObjects {
    shipper: Arc<Py<PyAny>>,
    kept: Arc<Py<KeptBuffers>>,
    shipments: Option<Arc<Py<Shipments>>>,
    raised: Arc<Mutex<Option<PyErr>>>,
}

impl PyObjects {
    pub(super) fn new(shipper: &Bound<'_, PyAny>) -> PyResult<Self> {
        let kept = shipper.getattr(intern!(shipper.py(), "kept"))?.extract()?;
        let shipments: Option<Py<Shipments>> =
            shipper.getattr(intern!(shipper.py(), "shipments"))?.extract()?;
        let (shipper, raised) = (Arc::new(shipper.clone().unbind()), Arc::default());
        Ok(Self { shipper, kept: Arc::new(kept), shipments: shipments.map(Arc::new), raised })
    }

    /// Takes the exception that ended the last attempt to ship objects.
    pub(super) fn take_raised(&self) -> Option<PyErr> {
        self.raised.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The pickle of node objects, with the arrays that are not in it.
    fn shipment(&self, shipped: &Bound<'_, PyAny>) -> PyResult<Shipment> {
        let (pickle, arrays): (Bound<'_, PyBytes>, Vec<Bound<'_, PyUntypedArray>>) =
            shipped.extract()?;
        let buffers = self.kept.get().payloads(&arrays)?;
        Ok(Shipment { pickle: borrow_bytes(&pickle), buffers })
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
    fn ship(
        &self,
        interpreter: &Interpreter,
        instances: &[u32],
        takes_buffers: bool,
    ) -> Result<Shipment, ShipError> {
        let destination: Destination = (
            interpreter.implementation.clone(),
            interpreter.minor_version().to_owned(),
            instances.to_vec(),
            takes_buffers,
        );
        let shared = self.shipments.as_ref().map(|shipments| shipments.get());
        if let Some(known) = shared.and_then(|shipments| shipments.find(&destination)) {
            return Ok(known);
        }
        Python::attach(|py| {
            let ship = intern!(py, "ship");
            let shipped = self.shipper.bind(py).call_method1(ship, destination.clone());
            let shipment = shipped
                .and_then(|shipped| self.shipment(&shipped))
                .map_err(|raised| self.failed(py, raised))?;
            if let Some(shipments) = shared {
                shipments.keep(destination, shipment.clone());
            }
            Ok(shipment)
        })
    }

    fn code_digest(&self, instance: u32) -> Option<String> {
        Python::attach(|py| {
            let digest =
                self.shipper.bind(py).call_method1(intern!(py, "code_digest"), (instance,));
            // The only effect of a missing digest is that RustPython is tried again in every
            // session.
            digest.and_then(|digest| digest.extract()).ok()
        })
    }
}
