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
//! of the memory itself are in `memory`. Arrays that are in shared memory already stay where they
//! are; whether they may be lent as they are, because nobody else refers to them, is decided when
//! they are sent. What a conversion costs is measured by the callers, but for the copies.

mod array;
mod block;
mod error;
mod kept;
mod memory;
mod read;
mod shared;
mod write;

use std::sync::atomic::{AtomicU64, Ordering};

use ipc_protocol::Value;
use ipc_protocol::from_worker::Traffic;
use ipc_protocol::memory::{Arena, Claim, SharedBytes};
use pyo3::prelude::*;

use crate::numpy_memory::{self, Outbound};
pub(crate) use error::{MarshalError, OpenError, into_pyerr, type_name, unopenable, unsendable};
pub(crate) use kept::KeptBuffers;
pub(crate) use memory::borrow_bytes;
pub(crate) use shared::{asarray_shared, empty};

/// Arrays up to this size are not worth the bookkeeping of shared memory, unless a configuration
/// says otherwise.
pub(crate) const INLINE_MAX_BYTES: usize = 8 << 10;

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

/// Where values are converted.
#[derive(Debug)]
enum Surroundings {
    /// In the process of the user: what he gets nobody else may see.
    Caller,
    /// In a worker, which writes to this memory.
    Worker(Arena),
}

/// How values are converted: the choices of a session.
#[derive(Debug)]
pub(crate) struct Converter {
    memory: Memory,
    pickling: Pickling,
    root: &'static str,
    surroundings: Surroundings,
    inline_max_bytes: usize,
    /// Copies that were made of arrays above that size, and their bytes.
    copies: AtomicU64,
    copied_bytes: AtomicU64,
}

impl Converter {
    /// A converter whose error paths begin with `root`, for instance `input` or `output`.
    pub(crate) fn new(root: &'static str, memory: Memory, pickling: Pickling) -> Self {
        Self {
            memory,
            pickling,
            root,
            surroundings: Surroundings::Caller,
            inline_max_bytes: INLINE_MAX_BYTES,
            copies: 0.into(),
            copied_bytes: 0.into(),
        }
    }

    /// The same for a worker with this memory.
    pub(crate) fn in_worker(self, outbound: &Outbound) -> Self {
        let surroundings = Surroundings::Worker(outbound.arena().clone());
        Self { surroundings, inline_max_bytes: outbound.inline_max_bytes, ..self }
    }

    /// The same, where shared memory is of use for arrays above another size, or for none.
    pub(crate) fn with_inline_max(self, bytes: Option<u64>) -> Self {
        let bytes = bytes.and_then(|bytes| usize::try_from(bytes).ok());
        Self { inline_max_bytes: bytes.unwrap_or(usize::MAX), ..self }
    }

    /// The copies that were made of whole arrays since this was asked last, those not counted that
    /// are small enough for a message.
    pub(crate) fn take_traffic(&self) -> Traffic {
        Traffic {
            copies: self.copies.swap(0, Ordering::Relaxed),
            copied_bytes: self.copied_bytes.swap(0, Ordering::Relaxed),
            ..Traffic::default()
        }
    }

    fn count_copy(&self, bytes: usize) {
        self.copies.fetch_add(1, Ordering::Relaxed);
        self.copied_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Shared memory for an array, if there is some.
    fn claim(&self, bytes: usize) -> Option<Claim> {
        match &self.surroundings {
            Surroundings::Worker(arena) => arena.allocate(bytes),
            Surroundings::Caller => numpy_memory::own_arena().allocate(bytes),
        }
        .ok()
    }

    /// Makes the Python object that `value` stands for. Nobody else sees what is written to its
    /// arrays; read-only are only those that the caller of a pipeline shares knowingly.
    ///
    /// # Errors
    /// With the path to the part: `TypeError` for an opaque object where pickles are forbidden or
    /// come from another kind of interpreter, `ValueError` for an array whose parts disagree,
    /// `ModuleNotFoundError` for an array where numpy is missing, and whatever opening a pickle
    /// raises.
    pub(crate) fn to_object<'py>(
        &self,
        py: Python<'py>,
        value: Value,
    ) -> Result<Bound<'py, PyAny>, OpenError> {
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
    let converter = Converter::new("value", Memory::Copy, Pickling::Default);
    converter.to_object(py, value).map_err(|error| error.raised)
}

/// The first bytes of a claimed block.
fn whole(bytes: usize) -> impl FnOnce(Claim) -> Option<SharedBytes> {
    move |claim| {
        let offset = claim.offset();
        SharedBytes::claimed(claim, offset, bytes)
    }
}
