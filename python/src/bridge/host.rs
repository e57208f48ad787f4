//! What a session needs from the Python thread that drives it: signals, a log, inputs.

use std::os::fd::BorrowedFd;

use ipc_protocol::Value;
use ipc_protocol::from_worker::LogRecord;
use orchestrator::Error;
use orchestrator::session::{Host, Inputs};
use orchestrator::trace::{Due, Trace};
use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyIterator, PyList, PyTuple};

use super::crossing::{Convert, take};
use super::logged::show;
use super::signals::SignalWatch;
use crate::convert::{Converter, to_own_value, to_value};

/// A Python thread that drives a session. It does not hold the GIL while it waits.
#[derive(Debug)]
pub(super) struct PyHost {
    /// Whether signals are watched. That costs system calls, so it starts with the first wait that
    /// blocks.
    is_watching: bool,
    signals: Option<SignalWatch>,
    /// Exception that a signal handler raised, usually KeyboardInterrupt.
    pub(super) raised: Option<PyErr>,
    /// Called with the number of inputs that have passed through the whole graph.
    pub(super) progress: Option<Py<PyAny>>,
}

impl PyHost {
    /// A host for the calling thread.
    ///
    /// # Errors
    /// The exception that the handler of a pending signal raises.
    pub(super) fn new(py: Python<'_>) -> PyResult<Self> {
        py.check_signals()?;
        Ok(Self { is_watching: false, signals: None, raised: None, progress: None })
    }

    /// A broken stdout of the caller must not fail the run; an interrupt must.
    fn keep_interrupt(&mut self, shown: PyResult<()>) {
        let Err(error) = shown else { return };
        let is_interrupt = Python::attach(|py| error.is_instance_of::<PyKeyboardInterrupt>(py));
        if is_interrupt {
            self.raised.get_or_insert(error);
        }
    }

    fn or_interrupted(&mut self, handled: PyResult<()>) -> Result<(), Error> {
        handled.map_err(|raised| {
            self.raised = Some(raised);
            Error::Interrupted
        })
    }
}

impl Host for PyHost {
    fn before_blocking(&mut self) -> Result<(), Error> {
        if self.is_watching || !SignalWatch::is_of_use() {
            return Ok(());
        }
        self.is_watching = true;
        let handled = Python::attach(|py| {
            self.signals = SignalWatch::start(py);
            py.check_signals()
        });
        self.or_interrupted(handled)
    }

    fn check_interrupt(&mut self) -> Result<(), Error> {
        if self.raised.is_some() {
            // While output of nodes was forwarded.
            return Err(Error::Interrupted);
        }
        let handled = Python::attach(|py| {
            if let Some(signals) = &self.signals {
                signals.drain(py);
            }
            py.check_signals()
        });
        self.or_interrupted(handled)
    }

    fn interrupt_source(&self) -> Option<BorrowedFd<'_>> {
        self.signals.as_ref().map(SignalWatch::descriptor)
    }

    fn rounds_done(&mut self, count: u64) {
        let Some(progress) = &self.progress else { return };
        if let Err(error) = Python::attach(|py| progress.call1(py, (count,))) {
            self.raised.get_or_insert(error);
        }
    }

    fn log(&mut self, record: &LogRecord) {
        let forwarded = Python::attach(|py| -> PyResult<()> {
            let forward = py.import(intern!(py, "remotemedia._forward"))?;
            let place =
                record.place.as_ref().map(|place| (&place.path, place.line, &place.function));
            let LogRecord { node_id, logger, is_stream, level, message, .. } = record;
            let arguments = (node_id, logger, is_stream, level, message, place);
            forward.call_method1(intern!(py, "emit"), arguments)?;
            Ok(())
        });
        self.keep_interrupt(forwarded);
    }

    fn show_lines(&mut self, trace: &Trace, due: Due) {
        let shown = show(trace, due);
        self.keep_interrupt(shown);
    }
}

/// The items of a Python iterator.
#[derive(Debug)]
pub(super) struct PyInputs<'a> {
    iterator: Py<PyIterator>,
    convert: Convert,
    converter: &'a Converter,
    trace: Option<&'a Trace>,
    /// Exception of the iterator or of the conversion.
    pub(super) raised: Option<PyErr>,
}

impl<'a> PyInputs<'a> {
    /// The items of a run, which blocks its caller. Those of a list or tuple are all there already; other
    /// iterators may fill the memory of an item again for the next one.
    pub(super) fn new(
        items: &Bound<'_, PyAny>,
        converter: &'a Converter,
        trace: Option<&'a Trace>,
    ) -> PyResult<Self> {
        let are_there =
            items.is_exact_instance_of::<PyList>() || items.is_exact_instance_of::<PyTuple>();
        let convert: Convert = if are_there { to_value } else { to_own_value };
        let iterator = items.try_iter()?.unbind();
        Ok(Self { iterator, convert, converter, trace, raised: None })
    }

    /// The items of a run whose caller goes on between its outputs.
    pub(super) fn of(
        iterator: Py<PyIterator>,
        converter: &'a Converter,
        trace: Option<&'a Trace>,
    ) -> Self {
        Self { iterator, convert: to_own_value, converter, trace, raised: None }
    }

    fn next_value(&self) -> PyResult<Option<Value>> {
        Python::attach(|py| {
            let Some(item) = self.iterator.bind(py).clone().next().transpose()? else {
                return Ok(None);
            };
            take(&item, self.convert, self.converter, self.trace).map(Some)
        })
    }
}

impl Inputs for PyInputs<'_> {
    fn next(&mut self) -> Result<Option<Value>, Error> {
        self.next_value().map_err(|raised| {
            let told = Error::Input(raised.to_string().into());
            self.raised = Some(raised);
            told
        })
    }
}
