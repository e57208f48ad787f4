//! Python objects to [`Value`]s and back, for the bridge and for the CPython guest alike.
//!
//! Exact builtin types and numpy arrays have a form of their own; every other object (subclasses
//! of builtins, classes of the user, masked arrays, tensors) travels pickled, so that its type
//! survives. Numpy is never imported by looking at a value: an array can only exist where numpy
//! is loaded already, and only a [`Value`] that holds one imports it.
//!
//! Shared references inside one item arrive as separate objects. A container that holds itself, or
//! that is nested deeper than the wire allows, travels pickled as a whole.
//!
//! Which memory may be borrowed for how long is decided by the caller, see [`Memory`]; the rules
//! of the memory itself are in `memory`, the only place with `unsafe`. What a conversion costs is
//! measured by the callers.

mod array;
mod error;
mod memory;
mod read;
mod write;

use ipc_protocol::Value;
use pyo3::prelude::*;

pub(crate) use error::MarshalError;

/// What becomes of the memory of arrays and `bytes` objects on their way into a [`Value`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Memory {
    /// The value refers to the object's memory and keeps the object alive. Allowed only where the
    /// caller stays blocked until nobody reads the value any more: Python may change the memory as
    /// soon as it runs again.
    Borrow,
    /// The value has its own copy and lives as long as it likes. For streams and async calls.
    Copy,
}

/// What becomes of objects without a wire form of their own.
#[derive(Debug)]
pub(crate) enum Pickling {
    /// They are an error.
    Forbidden,
    /// `remotemedia._pickle.dumps` writes them and `remotemedia._pickle.loads` opens them.
    Default,
    /// This callable, object to bytes, writes them; opening is as in [`Pickling::Default`].
    With(Py<PyAny>),
}

/// How values are converted: the choices of a session.
#[derive(Debug)]
pub(crate) struct Converter {
    memory: Memory,
    pickling: Pickling,
    root: &'static str,
}

impl Converter {
    /// A converter whose error paths begin with `root`, for instance `input` or `output`.
    pub(crate) fn new(root: &'static str, memory: Memory, pickling: Pickling) -> Self {
        Self { memory, pickling, root }
    }

    /// Makes the Python object that `value` stands for. Arrays are writable and nobody else sees
    /// what is written: memory that is shared is copied.
    ///
    /// # Errors
    /// `TypeError` for an opaque object where pickles are forbidden or come from another kind of
    /// interpreter, `ValueError` for an array whose parts disagree, `ModuleNotFoundError` for an
    /// array where numpy is missing, and whatever opening a pickle raises.
    pub(crate) fn to_object<'py>(
        &self,
        py: Python<'py>,
        value: Value,
    ) -> PyResult<Bound<'py, PyAny>> {
        write::Writer::new(py, self).write_root(value)
    }
}

/// Makes the [`Value`] of a Python object.
///
/// # Errors
/// [`MarshalError`] with the path to the part that has no wire form and cannot be pickled.
pub(crate) fn to_value(
    object: &Bound<'_, PyAny>,
    converter: &Converter,
) -> Result<Value, MarshalError> {
    read::Reader::new(object.py(), converter).read_root(object)
}

/// Makes the Python object that `value` stands for, opening pickles; see [`Converter::to_object`].
///
/// # Errors
/// As [`Converter::to_object`].
pub(crate) fn from_value(py: Python<'_>, value: Value) -> PyResult<Bound<'_, PyAny>> {
    Converter::new("value", Memory::Copy, Pickling::Default).to_object(py, value)
}
