//! Converts errors of the orchestrator to exceptions of `remotemedia.core.exceptions`; no other
//! module does so.

use ipc_protocol::recorder::Arrays;
use ipc_protocol::{FaultDetail, FaultKind, ImportReason};
use nodes::audio_file::AudioFileError;
use orchestrator::Error;
use orchestrator::catalog::ResolveError;
use orchestrator::error::{Crash, LimitExceeded, Skipped, StartError};
use orchestrator::failure::{Kept, NodeFailure, operation_name};
use orchestrator::graph::GraphProblem;
use orchestrator::limits::{Excess, Limit};
use orchestrator::manifest::{ManifestError, ManifestErrorClass, ProblemKind};
use orchestrator::postmortem::Frame;
use orchestrator::reason::Advice;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::convert::{MarshalError, OpenError, into_pyerr, type_name};
use crate::kept_call::KeptCall;

/// The exception for an error.
pub(crate) fn to_pyerr(py: Python<'_>, error: Error) -> PyErr {
    translate(py, &error).unwrap_or_else(|raised| raised)
}

fn translate(py: Python<'_>, error: &Error) -> PyResult<PyErr> {
    let fields = PyDict::new(py);
    let (class, message) = match error {
        Error::Manifest(manifest) => return manifest_error(py, manifest),
        Error::Node(failure) => return node_error(py, failure),
        Error::Crashed(crash) => {
            crash_fields(crash, &fields)?;
            ("WorkerCrashed", crash.headline())
        }
        Error::TimedOut(over) => {
            fields.set_item("node_id", &over.node_id)?;
            fields.set_item("operation", operation_name(over.operation))?;
            fields.set_item("timeout_ms", over.timeout.as_millis())?;
            fields.set_item("remote_traceback", some_text(&over.python_stack))?;
            fields.set_item("tries", over.tries)?;
            let error = exception(py, "NodeTimeout", &over.headline(), &fields)?;
            error.value(py).setattr("_pid", over.pid)?;
            return Ok(error);
        }
        Error::LimitExceeded(over) => {
            limit_fields(over, &fields)?;
            ("LimitExceeded", over.headline())
        }
        Error::Skipped(skipped) => return skipped_error(py, skipped),
        Error::Ship(problem) => {
            fields.set_item("node_id", &problem.node_id)?;
            fields.set_item("operation", "pickle")?;
            ("NodeMarshalingError", error.to_string())
        }
        Error::Plan(_) => ("GraphError", error.to_string()),
        Error::Params { node_id, .. } => {
            fields.set_item("node_id", node_id)?;
            ("ConfigurationError", error.to_string())
        }
        Error::NoInput { node_id } => {
            fields.set_item("node_id", node_id)?;
            ("ConfigurationError", error.to_string())
        }
        Error::ShutDown { node_id } => {
            fields.set_item("node_id", node_id)?;
            ("PipelineError", error.to_string())
        }
        Error::Config(_) | Error::UnknownPool(_) => ("ConfigurationError", error.to_string()),
        Error::Start(StartError::Drained { .. }) => ("Overloaded", error.to_string()),
        Error::Start(start) => {
            if let Some(interpreter) = interpreter_of(start) {
                fields.set_item("python", interpreter)?;
            }
            ("WorkerStartError", error.to_string())
        }
        Error::Cancelled => ("RunCancelled", error.to_string()),
        Error::Overloaded { .. } => ("Overloaded", error.to_string()),
        Error::Input(_)
        | Error::Interrupted
        | Error::Closed
        | Error::Busy { .. }
        | Error::Unsuitable
        | Error::Stalled
        | Error::Os { .. } => ("PipelineError", error.to_string()),
    };
    if !fields.contains("operation")? {
        fields.set_item("operation", operation_of(error))?;
    }
    exception(py, class, &message, &fields)
}

/// The attributes of `WorkerCrashed`.
fn crash_fields(crash: &Crash, fields: &Bound<'_, PyDict>) -> PyResult<()> {
    fields.set_item("node_id", &crash.node_id)?;
    fields.set_item("operation", operation_name(crash.operation))?;
    fields.set_item("verdict", crash.verdict.name())?;
    fields.set_item("what_next", crash.what_next())?;
    fields.set_item("call", crash.call)?;
    fields.set_item("worker_pid", crash.pid)?;
    fields.set_item("signal", &crash.signal)?;
    fields.set_item("exit_code", crash.exit_code)?;
    fields.set_item("core_dumped", crash.core_dumped)?;
    fields.set_item("library", crash.verdict.library())?;
    fields.set_item("killed_by", crash.verdict.killed_by())?;
    fields.set_item("fault_code", crash.fault.map(|fault| fault.code))?;
    fields.set_item("fault_address", crash.fault.and_then(|fault| fault.address))?;
    let frame = |frame: &Frame| {
        let library = frame.library.as_deref().map(|path| path.to_string_lossy().into_owned());
        (library, frame.symbol.clone(), frame.offset)
    };
    fields.set_item("c_stack", crash.c_stack.iter().map(frame).collect::<Vec<_>>())?;
    fields.set_item("python_stack", some_text(&crash.python_stack))?;
    fields.set_item("stderr_tail", &crash.stderr_tail)?;
    fields.set_item("also_lost", &crash.also_lost)?;
    fields.set_item("tries", crash.tries)?;
    fields.set_item("uptime", crash.uptime.as_secs_f64())?;
    fields.set_item("calls_of_worker", crash.calls_of_worker)?;
    fields.set_item("calls_of_session", crash.calls_of_session)?;
    let peak = (crash.peak_memory_bytes > 0).then_some(crash.peak_memory_bytes);
    fields.set_item("peak_memory_bytes", peak)?;
    array_fields(crash.arrays, fields)?;
    fields.set_item("memory_limit_bytes", crash.memory_limit_bytes)?;
    fields.set_item("facts", crash.facts())
}

/// The attributes of `LimitExceeded`.
fn limit_fields(over: &LimitExceeded, fields: &Bound<'_, PyDict>) -> PyResult<()> {
    let Excess { limit, used, allowed } = over.excess;
    fields.set_item("node_id", &over.node_id)?;
    fields.set_item("operation", operation_name(over.operation))?;
    fields.set_item("limit", limit.name())?;
    fields.set_item("used", used)?;
    fields.set_item("allowed", allowed)?;
    fields.set_item("stderr_tail", &over.stderr_tail)?;
    fields.set_item("also_lost", &over.also_lost)?;
    fields.set_item("tries", over.tries)?;
    fields.set_item("worker_pid", over.pid)?;
    fields.set_item("python_stack", some_text(&over.python_stack))?;
    let is_memory = limit == Limit::MemoryHard;
    fields.set_item("peak_memory_bytes", is_memory.then_some(used))?;
    fields.set_item("memory_limit_bytes", is_memory.then_some(allowed))?;
    array_fields(over.arrays, fields)?;
    fields.set_item("facts", over.facts())
}

fn array_fields(arrays: Option<Arrays>, fields: &Bound<'_, PyDict>) -> PyResult<()> {
    fields.set_item("array_private_bytes", arrays.map(|arrays| arrays.private_bytes))?;
    fields.set_item("array_shared_bytes", arrays.map(|arrays| arrays.shared_bytes))
}

/// The exception's `operation`, for errors that do not carry one.
fn operation_of(error: &Error) -> &'static str {
    match error {
        Error::Config(_) | Error::UnknownPool(_) => "configure",
        Error::Plan(_) => "plan",
        Error::Params { .. } => "construction",
        Error::Start(_) | Error::Busy { .. } | Error::Overloaded { .. } | Error::Unsuitable => {
            "start"
        }
        _ => "run",
    }
}

fn exception(
    py: Python<'_>,
    class: &str,
    message: &str,
    fields: &Bound<'_, PyDict>,
) -> PyResult<PyErr> {
    let exceptions = py.import("remotemedia.core.exceptions")?;
    let raised = exceptions.getattr(class)?.call((message,), Some(fields))?;
    raised.setattr("_names_node", true)?;
    Ok(PyErr::from_value(raised))
}

fn some_text(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

fn interpreter_of(error: &StartError) -> Option<String> {
    match error {
        StartError::Spawn { interpreter, .. }
        | StartError::NoPackage { interpreter, .. }
        | StartError::Handshake { interpreter, .. }
        | StartError::TooSlow { interpreter, .. } => Some(interpreter.display().to_string()),
        StartError::System { .. }
        | StartError::Overloaded
        | StartError::Drained { .. }
        | StartError::NoInterpreter
        | StartError::NoDirectory { .. }
        | StartError::NoRustPython { .. }
        | StartError::ShutDown => None,
    }
}

fn manifest_error(py: Python<'_>, error: &ManifestError) -> PyResult<PyErr> {
    let fields = PyDict::new(py);
    fields.set_item("operation", "validate")?;
    if let [only] = error.problems.as_slice() {
        fields.set_item("node_id", &only.node_id)?;
    }
    let problems: Vec<String> = error.problems.iter().map(ToString::to_string).collect();
    let class = match error.class() {
        ManifestErrorClass::Invalid => {
            fields.set_item("problems", problems)?;
            "ManifestError"
        }
        ManifestErrorClass::Graph => {
            fields.set_item("problems", problems)?;
            "GraphError"
        }
        ManifestErrorClass::Cycle => {
            fields.set_item("problems", problems)?;
            if let Some(nodes) = error.problems.iter().find_map(|problem| match &problem.kind {
                ProblemKind::Graph(GraphProblem::Cycle { nodes }) => Some(nodes),
                _ => None,
            }) {
                fields.set_item("nodes", nodes)?;
            }
            "CycleError"
        }
        ManifestErrorClass::NodeNotFound => {
            let unknown = error.problems.iter().find_map(|problem| match &problem.kind {
                ProblemKind::NodeType(ResolveError::UnknownType { node_type, nearest }) => {
                    Some((node_type, nearest))
                }
                _ => None,
            });
            if let Some((name, nearest)) = unknown {
                fields.set_item("node_type", name)?;
                fields.set_item("nearest", nearest)?;
            }
            "NodeNotFoundError"
        }
    };
    exception(py, class, &error.to_string(), &fields)
}

fn skipped_error(py: Python<'_>, skipped: &Skipped) -> PyResult<PyErr> {
    let fields = PyDict::new(py);
    fields.set_item("node_id", &skipped.node_id)?;
    fields.set_item("operation", operation_name(FaultKind::Process))?;
    fields.set_item("causes", &skipped.causes)?;
    fields.set_item("pause_ms", skipped.pause.as_millis())?;
    exception(py, "NodeSkipped", &skipped.to_string(), &fields)
}

fn node_error(py: Python<'_>, failure: &NodeFailure) -> PyResult<PyErr> {
    let fields = PyDict::new(py);
    fields.set_item("node_id", some_text(&failure.node_id))?;
    fields.set_item("operation", operation_name(failure.operation))?;
    fields.set_item("remote_type", &failure.remote_type)?;
    fields.set_item("remote_message", &failure.message)?;
    fields.set_item("remote_traceback", some_text(&failure.traceback))?;
    fields.set_item("tries", failure.tries)?;
    if let Some(Advice::Raise(_)) = &failure.advice {
        fields.set_item("limit", Limit::Memory.name())?;
    }
    if let Some(import) = &failure.import {
        fields.set_item("module", &import.module)?;
        fields.set_item("root_package", &import.root_package)?;
        fields.set_item("import_reason", import_reason(import.reason))?;
        fields.set_item("module_path", some_text(&import.path))?;
        fields.set_item("suggestion", some_text(&import.suggestion))?;
    }
    let class = match failure.operation {
        FaultKind::NotFound => {
            if let Some(FaultDetail::Nearest(name)) = failure.detail.as_deref() {
                fields.set_item("nearest", name)?;
            }
            "NodeClassNotFound"
        }
        FaultKind::Marshal => {
            if let Some(FaultDetail::Unsendable(part) | FaultDetail::Unopenable(part)) =
                failure.detail.as_deref()
            {
                fields.set_item("path", &part.path)?;
                fields.set_item("type_name", &part.type_name)?;
            }
            "NodeMarshalingError"
        }
        _ => "NodeError",
    };
    let error = exception(py, class, &failure.to_string(), &fields)?;
    if !failure.described.is_empty() {
        let restored = py.import("remotemedia._exceptions")?.getattr("restored")?;
        let cause = restored.call1((&failure.described,))?;
        if !cause.is_none() {
            error.value(py).setattr("__cause__", cause)?;
        }
    }
    match &failure.kept {
        None => {}
        Some(Kept::Note(path)) => error.value(py).setattr("_note", path)?,
        Some(Kept::Call(call)) => {
            error.value(py).setattr("_call", KeptCall::new(call.as_ref().clone()))?;
        }
    }
    Ok(error)
}

fn import_reason(reason: ImportReason) -> &'static str {
    match reason {
        ImportReason::CExtension => "c_extension",
        ImportReason::StdlibMissing => "stdlib_missing",
        ImportReason::NotInstalled => "not_installed",
        ImportReason::Blocked => "blocked",
        ImportReason::Unsupported => "unsupported",
    }
}

/// The exception for a session that did not open. An exception from pickling the caller's objects
/// is raised as it is, unless there is advice to add.
pub(crate) fn from_opening(py: Python<'_>, error: Error, raised: Option<PyErr>) -> PyErr {
    let (Error::Ship(problem), Some(raised)) = (&error, raised) else { return to_pyerr(py, error) };
    if problem.advice.is_none() {
        return raised;
    }
    let advised = to_pyerr(py, error);
    for name in ["path", "type_name"] {
        // The exception may lack these attributes; the error is complete without them.
        let _copied =
            raised.value(py).getattr(name).and_then(|v| advised.value(py).setattr(name, v));
    }
    advised.set_cause(py, Some(raised));
    advised
}

/// The exception for an unknown node type.
pub(crate) fn node_not_found(py: Python<'_>, name: &str, nearest: Option<&str>) -> PyErr {
    let hint = nearest.map_or_else(
        || "get_available_nodes() lists the known ones".to_owned(),
        |nearest| format!("did you mean '{nearest}'?"),
    );
    let message = format!("unknown node type '{name}'; {hint}");
    let build = || {
        let fields = PyDict::new(py);
        fields.set_item("operation", "look up")?;
        fields.set_item("node_type", name)?;
        fields.set_item("nearest", nearest)?;
        exception(py, "NodeNotFoundError", &message, &fields)
    };
    build().unwrap_or_else(|raised| raised)
}

/// The exception for an input that cannot be sent.
pub(crate) fn from_marshal(py: Python<'_>, error: MarshalError) -> PyErr {
    let message = error.message();
    let (path, type_name) = (error.path.clone(), error.type_name.clone());
    let plain = into_pyerr(error);
    if !plain.is_instance_of::<pyo3::exceptions::PyTypeError>(py) {
        return plain;
    }
    let build = || {
        let fields = PyDict::new(py);
        fields.set_item("operation", "data conversion")?;
        fields.set_item("path", path)?;
        fields.set_item("type_name", type_name)?;
        let marshaling = exception(py, "MarshalingError", &message, &fields)?;
        marshaling.set_cause(py, Some(plain));
        Ok::<_, PyErr>(marshaling)
    };
    build().unwrap_or_else(|raised| raised)
}

/// The exception for an output that could not become an object of the caller.
pub(crate) fn from_unopenable(py: Python<'_>, node_id: String, error: OpenError) -> PyErr {
    let (part, raised) = error.at_root("output");
    let failure = NodeFailure {
        node_id,
        operation: FaultKind::Marshal,
        remote_type: type_name(raised.value(py)),
        // If `str()` of the exception fails, the message is empty.
        message: raised.value(py).str().map_or_else(|_| String::new(), |text| text.to_string()),
        traceback: String::new(),
        import: None,
        detail: Some(Box::new(FaultDetail::Unopenable(part))),
        advice: None,
        tries: 1,
        kept: None,
        described: String::new(),
    };
    let typed = node_error(py, &failure).unwrap_or_else(|raised| raised);
    typed.set_cause(py, Some(raised));
    typed
}

/// The exception for an audio file that cannot be read.
pub(crate) fn audio_file_error(py: Python<'_>, error: &AudioFileError) -> PyErr {
    let message = error.to_string();
    match error {
        AudioFileError::NotFound { .. } => pyo3::exceptions::PyFileNotFoundError::new_err(message),
        AudioFileError::Io { .. } | AudioFileError::CannotWrite { .. } => {
            pyo3::exceptions::PyOSError::new_err(message)
        }
        _ => exception(py, "ConfigurationError", &message, &PyDict::new(py))
            .unwrap_or_else(|raised| raised),
    }
}
