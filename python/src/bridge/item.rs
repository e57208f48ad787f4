//! Items that are converted in one thread and processed in another, several with one call.

use std::sync::{Mutex, PoisonError};

use ipc_protocol::Value;
use ipc_protocol::from_worker::Traffic;
use pyo3::prelude::*;
use pyo3::types::PyList;

use super::crossing::take;
use super::host::PyHost;
use super::session::Session;
use crate::convert::{to_own_value, to_value};

/// A converted item. It is processed once.
#[pyclass(frozen, module = "remotemedia._native")]
#[derive(Debug)]
pub(crate) struct Item(Mutex<Option<(Value, Traffic)>>);

impl Item {
    fn take(&self) -> Option<(Value, Traffic)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Session {
    /// Converts an input of a call that ends when the input is no longer read.
    pub(super) fn lend(&self, item: &Bound<'_, PyAny>) -> PyResult<Value> {
        take(item, to_value, self.converter(), self.recording())
    }

    /// Converts an input, unless that was done before; its memory may be filled again at once.
    pub(super) fn take(&self, item: &Bound<'_, PyAny>) -> PyResult<(Value, Traffic)> {
        if let Ok(item) = item.cast::<Item>()
            && let Some(converted) = item.get().take()
        {
            return Ok(converted);
        }
        let value = take(item, to_own_value, self.converter(), self.recording())?;
        Ok((value, self.converter().take_traffic()))
    }

    /// Converts an item for this session, or for another of the same pipeline. Other threads may use the
    /// session meanwhile.
    pub(super) fn converted(&self, item: &Bound<'_, PyAny>) -> PyResult<Item> {
        Ok(Item(Mutex::new(Some(self.take(item)?))))
    }

    /// Processes items one after the other. Returns for each its outputs, or the exception that it ended
    /// with. Stops when the session was cancelled, with that error.
    pub(super) fn each_processed<'py>(
        &self,
        py: Python<'py>,
        items: &[Bound<'py, Item>],
    ) -> PyResult<Bound<'py, PyList>> {
        let inputs: Vec<_> = items.iter().filter_map(|item| item.get().take()).collect();
        let mut host = PyHost::new(py)?;
        let results = py.detach(|| self.lock().process_each(inputs, &mut host));
        if let Some(raised) = host.raised {
            return Err(raised);
        }
        let list = PyList::empty(py);
        for result in results {
            let is_over = result.as_ref().is_err_and(|failed| failed.error.ends_session());
            match self.finish(py, result, None) {
                Ok(outputs) => list.append((outputs, py.None()))?,
                Err(raised) if is_over => return Err(raised),
                Err(raised) => list.append((py.None(), raised.into_value(py)))?,
            }
        }
        Ok(list)
    }
}
