//! Logs the calls of a session that is debugged: each with its arguments in short and its duration. The
//! lines are written here, `remotemedia.core.debugging` shows them.

use orchestrator::trace::{Due, Trace};
use pyo3::exceptions::PyException;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::session::Session;
use super::short::{self, Short};

/// The lines of a session that wait to be logged.
#[pyclass(frozen, module = "remotemedia._native")]
#[derive(Debug)]
pub(crate) struct Lines(Trace);

#[pymethods]
impl Lines {
    /// The lines, which do not wait any longer.
    fn take(&self) -> Option<String> {
        self.0.lock().take_lines()
    }

    /// The same for `show_soon`, which is called again when others wait.
    fn take_told(&self) -> Option<String> {
        self.0.lock().take_told_lines()
    }
}

/// Has the lines of a recording logged when they are due.
///
/// # Errors
/// What a signal handler raises meanwhile.
pub(super) fn show(trace: &Trace, due: Due) -> PyResult<()> {
    let show = match due {
        Due::Never => return Ok(()),
        Due::Soon => "show_soon",
        Due::Now => "show",
    };
    Python::attach(|py| {
        let debugging = py.import(intern!(py, "remotemedia.core.debugging"))?;
        debugging.call_method1(show, (Lines(trace.clone()),)).map(drop)
    })
}

/// A method of a session. Each call is logged.
#[pyclass(frozen, module = "remotemedia._native")]
#[derive(Debug)]
pub(crate) struct LoggedMethod {
    name: String,
    method: Py<PyAny>,
    trace: Trace,
    /// Whether nothing follows for now when a call has ended, so that its lines do not wait.
    is_last: bool,
}

impl LoggedMethod {
    pub(super) fn new(method: &Bound<'_, PyAny>, name: &str, trace: Trace) -> Self {
        let is_last = matches!(name, "run" | "flush" | "close");
        let name = format!("Session.{name}");
        Self { name, method: method.clone().unbind(), trace, is_last }
    }

    fn show(&self, is_last: bool) -> PyResult<()> {
        let due = if is_last { Due::Now } else { self.trace.lock().lines_due() };
        // What cannot be logged must not cost a result; an interrupt must.
        show(&self.trace, due).or_else(|error| {
            let is_ordinary = Python::attach(|py| error.is_instance_of::<PyException>(py));
            if is_ordinary { Ok(()) } else { Err(error) }
        })
    }
}

#[pymethods]
impl Session {
    /// The lines that wait to be logged, if the session is debugged.
    fn lines(&self) -> Option<Lines> {
        self.trace.clone().filter(Trace::tells).map(Lines)
    }

    /// A method of this session, which logs its calls if the session is debugged.
    fn logged<'py>(slf: &Bound<'py, Self>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        let method = slf.getattr(name)?;
        match slf.get().trace.as_ref().filter(|trace| trace.tells()) {
            Some(trace) => {
                let logged = LoggedMethod::new(&method, name, trace.clone());
                Ok(Bound::new(slf.py(), logged)?.into_any())
            }
            None => Ok(method),
        }
    }
}

#[pymethods]
impl LoggedMethod {
    #[pyo3(signature = (*given))]
    fn __call__<'py>(
        &self,
        py: Python<'py>,
        given: &Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let arguments = short::arguments(given);
        let began = self.trace.lock().enter(&self.name, &arguments);
        self.show(false)?;
        let result = self.method.bind(py).call1(given);
        let (told, is_last) = match &result {
            Ok(result) => (short::text("= ", &Short(result)), self.is_last),
            Err(error) => (format!("raised {}", error_name(py, error)), true),
        };
        self.trace.lock().leave(&self.name, &told, began);
        self.show(is_last)?;
        result
    }
}

fn error_name(py: Python<'_>, error: &PyErr) -> String {
    error.get_type(py).name().map_or_else(|_| String::new(), |name| name.to_string())
}
