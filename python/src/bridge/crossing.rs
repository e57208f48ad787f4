//! Conversion of the caller's inputs and outputs, recorded and told where the caller asked for that.

use std::time::Instant;

use ipc_protocol::Value;
use orchestrator::trace::{Brief, Trace};
use pyo3::prelude::*;

use super::short::{Short, text};
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
        let took = trace.lock().convert(true, began);
        if trace.tells() {
            // Not under the lock: to show an object may run code of its class.
            let before = text("", &Short(item));
            trace.lock().tell_conversion(true, (&before, &Brief::of(&value)), took);
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
    let before = trace.tells().then(|| text("", &Brief::of(&value)));
    let began = Instant::now();
    let object = converter.to_object(py, value)?;
    let took = trace.lock().convert(false, began);
    if let Some(before) = before {
        let after = text("", &Short(&object));
        trace.lock().tell_conversion(false, (&before, &after), took);
    }
    Ok(object)
}
