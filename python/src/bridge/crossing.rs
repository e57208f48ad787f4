//! Conversion of the caller's inputs and outputs, recorded and told where the caller asked for that.

use std::time::Instant;

use ipc_protocol::Value;
use orchestrator::trace::{Brief, Trace};
use pyo3::intern;
use pyo3::prelude::*;

use crate::convert::{Converter, MarshalError, OpenError};
use crate::error::from_marshal;

/// `to_value`, or `to_own_value` unless the caller is blocked until its item is no longer read.
pub(super) type Convert = fn(&Bound<'_, PyAny>, &Converter) -> Result<Value, MarshalError>;

/// Converts an input.
///
/// # Errors
/// When a part of it cannot travel.
pub(super) fn take(
    item: &Bound<'_, PyAny>,
    convert: Convert,
    converter: &Converter,
    trace: Option<&Trace>,
) -> PyResult<Value> {
    let began = trace.map(|_| Instant::now());
    let converted = convert(item, converter);
    let value = converted.map_err(|error| from_marshal(item.py(), error))?;
    if let (Some(trace), Some(began)) = (trace, began) {
        let (took, tells) = trace.lock().convert(true, began);
        if tells {
            let told = (true, item, Brief::of(&value).to_string(), took.as_secs_f64());
            debugging(item.py())?.call_method1(intern!(item.py(), "converted"), told)?;
        }
    }
    Ok(value)
}

/// Converts an output.
///
/// # Errors
/// When it cannot be opened here.
pub(super) fn give<'py>(
    py: Python<'py>,
    value: Value,
    converter: &Converter,
    trace: Option<&Trace>,
) -> Result<Bound<'py, PyAny>, OpenError> {
    let Some(trace) = trace else { return converter.to_object(py, value) };
    let brief = trace.lock().tells().then(|| Brief::of(&value).to_string());
    let began = Instant::now();
    let object = converter.to_object(py, value)?;
    let (took, _) = trace.lock().convert(false, began);
    if let Some(brief) = brief {
        let told = (false, &object, brief, took.as_secs_f64());
        // What cannot be logged must not cost an output.
        let _unlogged = debugging(py).and_then(|module| module.call_method1("converted", told));
    }
    Ok(object)
}

fn debugging(py: Python<'_>) -> PyResult<Bound<'_, PyModule>> {
    py.import(intern!(py, "remotemedia.core.debugging"))
}
