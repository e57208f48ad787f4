//! The Python class `Session`. Every call blocks its thread and releases the GIL meanwhile.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use orchestrator::Error;
use orchestrator::metrics::RunMetrics;
use orchestrator::options::CancelHandle;
use orchestrator::session::{GraphOutput, Inputs, RunError};
use orchestrator::trace::Trace;
use pyo3::exceptions::PyBaseException;
use pyo3::prelude::*;
use pyo3::types::{PyIterator, PyList};

use super::host::{PyHost, PyInputs};
use super::item::Item;
use super::metrics::Metrics;
use super::outputs::{carrying, close, open_all};
use crate::convert::Converter;
use crate::error::to_pyerr;

/// An open run of a pipeline.
#[pyclass(frozen, module = "remotemedia._native")]
#[derive(Debug)]
pub(crate) struct Session {
    inner: Mutex<orchestrator::Session>,
    pub(super) cancel: CancelHandle,
    converter: Converter,
    /// Metrics of the session. Their lock is not held during a call, so they can be read meanwhile.
    metrics: Arc<Mutex<RunMetrics>>,
    /// The items of the run that `begin_run` started.
    items: Mutex<Option<Py<PyIterator>>>,
    /// The recording of the session, if the caller asked for one.
    pub(super) trace: Option<Trace>,
}

impl Session {
    pub(super) fn new(session: orchestrator::Session, converter: Converter) -> Self {
        Self {
            cancel: session.cancel_handle(),
            metrics: session.shared_metrics(),
            trace: session.trace(),
            inner: Mutex::new(session),
            converter,
            items: Mutex::default(),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, orchestrator::Session> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn converter(&self) -> &Converter {
        &self.converter
    }

    pub(super) fn recording(&self) -> Option<&Trace> {
        self.trace.as_ref()
    }

    /// Ids of the nodes whose outputs are outputs of the pipeline.
    pub(super) fn sinks(&self) -> Vec<String> {
        self.lock().plan().stages.iter().filter_map(|stage| stage.sink.clone()).collect()
    }

    fn one_round<'py>(
        &self,
        py: Python<'py>,
        call: impl FnOnce(&mut orchestrator::Session, &mut PyHost) -> Result<Vec<GraphOutput>, RunError>
        + Send,
    ) -> PyResult<Bound<'py, PyList>> {
        let mut host = PyHost::new(py)?;
        let result = py.detach(|| call(&mut self.lock(), &mut host));
        self.finish(py, result, host.raised)
    }

    pub(super) fn finish<'py>(
        &self,
        py: Python<'py>,
        result: Result<Vec<GraphOutput>, RunError>,
        raised: Option<PyErr>,
    ) -> PyResult<Bound<'py, PyList>> {
        match result {
            Ok(outputs) => match raised {
                Some(raised) => Err(raised),
                None => self.to_list(py, outputs),
            },
            Err(RunError { error, partial }) => {
                let raised = raised.unwrap_or_else(|| to_pyerr(py, error));
                let (partial, unopened) = open_all(self, py, partial)?;
                if let Some(unopened) = unopened {
                    let note =
                        format!("An output before this error is lost: {}", unopened.value(py));
                    raised.value(py).call_method1("add_note", (note,))?;
                }
                Err(carrying(py, raised, partial))
            }
        }
    }

    fn items(&self) -> MutexGuard<'_, Option<Py<PyIterator>>> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn begun(
        &self,
        py: Python<'_>,
        begin: impl FnOnce(&mut orchestrator::Session) -> Result<(), Error> + Send,
    ) -> PyResult<()> {
        py.detach(|| begin(&mut self.lock())).map_err(|error| to_pyerr(py, error))
    }

    /// Converts outputs to objects. If one cannot be converted, the error carries the others.
    pub(super) fn to_list<'py>(
        &self,
        py: Python<'py>,
        outputs: Vec<GraphOutput>,
    ) -> PyResult<Bound<'py, PyList>> {
        match open_all(self, py, outputs)? {
            (list, None) => Ok(list),
            (list, Some(unopened)) => Err(carrying(py, unopened, list)),
        }
    }
}

/// The breakers of a pipeline's nodes, from session to session.
#[pyclass(frozen, module = "remotemedia._native")]
#[derive(Debug)]
pub(crate) struct Breakers(pub(super) orchestrator::options::Breakers);

#[pymethods]
impl Breakers {
    #[new]
    fn new() -> Self {
        Self(orchestrator::options::Breakers::default())
    }
}

/// Stops a session from any thread, even while the session is being opened.
#[pyclass(frozen, module = "remotemedia._native")]
#[derive(Debug)]
pub(crate) struct CancelToken(pub(super) CancelHandle);

#[pymethods]
impl CancelToken {
    #[new]
    fn new(py: Python<'_>) -> PyResult<Self> {
        CancelHandle::new().map(Self).map_err(|error| to_pyerr(py, error))
    }

    fn cancel(&self) {
        self.0.cancel();
    }
}

#[pymethods]
impl Session {
    /// Feeds all items, or runs the sources. `progress` is called with the number of items that are
    /// done, each flush included.
    #[pyo3(signature = (items, progress=None))]
    pub(super) fn run<'py>(
        &self,
        py: Python<'py>,
        items: Option<Bound<'py, PyAny>>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyList>> {
        let Some(items) = items else {
            return self.one_round(py, |session, host| session.run(None, host));
        };
        let mut inputs = PyInputs::new(&items, &self.converter, self.trace.as_ref())?;
        let mut host = PyHost::new(py)?;
        host.progress = progress;
        let result = py.detach(|| {
            let mut session = self.lock();
            let result = session.run(Some(&mut inputs), &mut host);
            session.count_taken(self.converter.take_traffic());
            result
        });
        self.finish(py, result, inputs.raised.or(host.raised))
    }

    fn process<'py>(
        &self,
        py: Python<'py>,
        item: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyList>> {
        let value = self.lend(item)?;
        let traffic = self.converter.take_traffic();
        self.one_round(py, |session, host| {
            if traffic.copies > 0 {
                session.count_taken(traffic);
            }
            session.process(value, host)
        })
    }

    /// Processes one item. Returns its outputs as far as they are there after `within` seconds, and
    /// whether these are all of them.
    fn process_until<'py>(
        &self,
        py: Python<'py>,
        item: &Bound<'py, PyAny>,
        within: f64,
    ) -> PyResult<(Bound<'py, PyList>, bool)> {
        let due = Instant::now() + Duration::try_from_secs_f64(within).unwrap_or_default();
        let (value, traffic) = self.take(item)?;
        let mut host = PyHost::new(py)?;
        let result = py.detach(|| {
            let mut session = self.lock();
            session.count_taken(traffic);
            session.process_until(value, due, &mut host)
        });
        let (result, is_done) = match result {
            Ok((outputs, is_done)) => (Ok(outputs), is_done),
            Err(error) => (Err(error), true),
        };
        Ok((self.finish(py, result, host.raised)?, is_done))
    }

    /// Counts an item whose outputs came after they were due.
    fn count_late(&self) {
        self.metrics.lock().unwrap_or_else(PoisonError::into_inner).late += 1;
    }

    fn flush<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        self.one_round(py, |session, host| session.flush(host))
    }

    /// Starts a round with one item; `next` returns its outputs.
    fn begin(&self, py: Python<'_>, item: &Bound<'_, PyAny>) -> PyResult<()> {
        let (value, traffic) = self.take(item)?;
        self.begun(py, |session| {
            session.count_taken(traffic);
            session.begin(Some(value))
        })
    }

    /// Converts an item for this session, or for another of the same pipeline. Other threads may use
    /// the session meanwhile.
    fn convert(&self, item: &Bound<'_, PyAny>) -> PyResult<Item> {
        self.converted(item)
    }

    /// Processes items one after the other. Returns for each its outputs, or the exception that it
    /// ended with.
    fn process_each<'py>(
        &self,
        py: Python<'py>,
        items: Vec<Bound<'py, Item>>,
    ) -> PyResult<Bound<'py, PyList>> {
        self.each_processed(py, &items)
    }

    /// Starts a flush; `next` returns its outputs.
    fn begin_flush(&self, py: Python<'_>) -> PyResult<()> {
        self.begun(py, |session| session.begin(None))
    }

    /// Starts a run over `items`, or of the source nodes if that is None; `next` returns its
    /// outputs.
    fn begin_run(&self, py: Python<'_>, items: Option<Bound<'_, PyAny>>) -> PyResult<()> {
        let items = items.map(|items| items.try_iter()).transpose()?;
        let sources_produce = items.is_none();
        *self.items() = items.map(Bound::unbind);
        self.begun(py, |session| session.begin_run(sources_produce))
    }

    /// Waits for outputs. Returns all that are ready, and whether they are the last.
    fn next<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyList>, bool)> {
        let items = self.items().as_ref().map(|items| items.clone_ref(py));
        let mut inputs =
            items.map(|items| PyInputs::of(items, &self.converter, self.trace.as_ref()));
        let mut host = PyHost::new(py)?;
        let batch = py.detach(|| {
            let mut session = self.lock();
            let given = inputs.as_mut().map(|inputs| inputs as &mut dyn Inputs);
            let batch = session.next_batch(given, &mut host);
            session.count_taken(self.converter.take_traffic());
            batch
        });
        let raised = inputs.and_then(|inputs| inputs.raised).or(host.raised);
        match (batch, raised) {
            (_, Some(raised)) => Err(raised),
            (Err(error), None) => Err(to_pyerr(py, error)),
            (Ok((outputs, is_last)), None) => match self.to_list(py, outputs) {
                Ok(outputs) => Ok((outputs, is_last)),
                Err(unopened) => {
                    py.detach(|| self.lock().abandon());
                    Err(unopened)
                }
            },
        }
    }

    /// Closes the session. Returns node ids with pickles of their changed attributes, and the error
    /// of `cleanup`, if any.
    #[pyo3(name = "close")]
    fn py_close<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(Bound<'py, PyList>, Option<Bound<'py, PyBaseException>>)> {
        let (states, failure) = close(self, py)?;
        Ok((states, failure.map(|failure| failure.into_value(py).into_bound(py))))
    }

    fn cancel(&self) {
        self.cancel.cancel();
    }

    /// Drops the work that was begun: a call that waits for its outputs returns without more of them.
    fn interrupt(&self, py: Python<'_>) {
        py.detach(|| {
            self.cancel.interrupt();
            // A call under way holds the lock, and obeys by itself.
            if let Ok(mut session) = self.inner.try_lock() {
                session.obey_interrupt();
            }
        });
    }

    /// The recording as JSON; None if the session records nothing.
    fn trace(&self, py: Python<'_>) -> Option<String> {
        let trace = self.trace.as_ref()?;
        Some(py.detach(|| trace.lock().to_json().to_string()))
    }

    pub(super) fn metrics(&self, py: Python<'_>) -> String {
        Metrics(Arc::clone(&self.metrics)).to_json(py)
    }

    /// The metrics, for later: they outlive the session.
    fn kept_metrics(&self) -> Metrics {
        Metrics(Arc::clone(&self.metrics))
    }
}
