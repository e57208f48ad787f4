//! Converts Python objects to [`Value`]s and back, for the bridge and for the CPython guest.
//!
//! Exact builtin types and numpy arrays have a form of their own; every other object (subclasses of
//! builtins, classes of the user, masked arrays, tensors) travels pickled, so that its type
//! survives. Reading an object never imports numpy: an array can only exist where numpy is loaded
//! already. Numpy is imported only to make an object of a [`Value`] that holds an array.
//!
//! Shared references inside one item arrive as separate objects. A container that holds itself, or
//! that is nested deeper than the protocol allows, travels pickled as a whole.
//!
//! The caller decides whether memory may be borrowed, see [`Lending`]; the rules for borrowed memory
//! are in `memory`. Arrays that are in shared memory already stay where they are; when they are
//! sent, it is decided whether they need a copy because something else refers to them. Copies are
//! counted here; other costs of a conversion are measured by the callers.

mod array;
mod block;
mod error;
mod identity;
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

/// Arrays up to this size travel inside messages, unless the configuration has another limit: a
/// copy costs less than the bookkeeping of shared memory.
pub(crate) const INLINE_MAX_BYTES: usize = 8 << 10;

/// How a [`Value`] gets the memory of arrays and `bytes` objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lending {
    /// The value refers to the object's memory and keeps the object alive. Allowed only if the
    /// caller stays blocked until the value is no longer read: Python may change the memory as soon
    /// as it runs again.
    Borrow,
    /// The value has its own copy, so it may outlive the call. For streams and async calls.
    Copy,
}

/// How objects are sent that the protocol has no form for.
#[derive(Debug)]
pub(crate) enum Pickling {
    /// Not at all: they are an error.
    Forbidden,
    /// `remotemedia._pickle.dumps` pickles them and `remotemedia._pickle.loads` unpickles them.
    Default,
    /// This callable (object to bytes) pickles them; unpickling is as in [`Pickling::Default`].
    With(Py<PyAny>),
}

/// Where values are converted.
#[derive(Debug)]
enum Surroundings {
    /// In the user's process, where the arrays of outputs must be private to the user.
    Caller,
    /// In a worker, which allocates arrays in this arena.
    Worker(Arena),
}

/// Converts values with the settings of one session.
#[derive(Debug)]
pub(crate) struct Converter {
    memory: Lending,
    pickling: Pickling,
    root: &'static str,
    surroundings: Surroundings,
    inline_max_bytes: usize,
    /// Whether an object that an item contains twice is one object for the nodes, too.
    keeps_identity: bool,
    /// Whether memory-mapped arrays are read as plain ones, without a copy.
    reads_maps: bool,
    /// Number of copies of arrays above `inline_max_bytes`, and their bytes.
    copies: AtomicU64,
    copied_bytes: AtomicU64,
}

impl Converter {
    /// A converter whose error paths begin with `root`, for instance `input` or `output`.
    pub(crate) fn new(root: &'static str, memory: Lending, pickling: Pickling) -> Self {
        Self {
            memory,
            pickling,
            root,
            surroundings: Surroundings::Caller,
            inline_max_bytes: INLINE_MAX_BYTES,
            keeps_identity: false,
            reads_maps: false,
            copies: 0.into(),
            copied_bytes: 0.into(),
        }
    }

    /// The same converter for a worker, with the worker's shared memory.
    pub(crate) fn in_worker(self, outbound: &Outbound) -> Self {
        let surroundings = Surroundings::Worker(outbound.arena().clone());
        Self { surroundings, inline_max_bytes: outbound.inline_max_bytes, ..self }
    }

    /// The same converter with another size up to which arrays travel inside messages; `None`: all
    /// do.
    pub(crate) fn with_inline_max(self, bytes: Option<u64>) -> Self {
        let bytes = bytes.and_then(|bytes| usize::try_from(bytes).ok());
        Self { inline_max_bytes: bytes.unwrap_or(usize::MAX), ..self }
    }

    /// The same converter for items that Python nodes get: others do not open pickles.
    pub(crate) fn keeping_identity(self, keeps: bool) -> Self {
        let keeps_identity = keeps && !matches!(self.pickling, Pickling::Forbidden);
        Self { keeps_identity, ..self }
    }

    /// The same converter for items that native nodes get first: memory-mapped arrays are read as plain ones.
    pub(crate) fn reading_maps(self, reads_maps: bool) -> Self {
        Self { reads_maps, ..self }
    }

    /// Copies of whole arrays since the last call of this function. Copies of arrays that are small
    /// enough for a message are not counted.
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

    /// Allocates shared memory for an array; `None` if none is available.
    fn claim(&self, bytes: usize) -> Option<Claim> {
        match &self.surroundings {
            Surroundings::Worker(arena) => arena.allocate(bytes),
            Surroundings::Caller => numpy_memory::own_arena().allocate(bytes),
        }
        .ok()
    }

    /// Makes the Python object that `value` stands for. Writes to its arrays are private to this
    /// process. Only arrays that the caller of a pipeline shares deliberately (`remotemedia.empty`)
    /// are read-only.
    ///
    /// # Errors
    /// Each has the path to the part of the value that it is about: `TypeError` for an opaque object
    /// where pickles are forbidden or come from another kind of interpreter, `ValueError` for an
    /// array whose parts disagree, `ModuleNotFoundError` for an array where numpy is missing, and
    /// any error of unpickling.
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
    read::Reader::new(object.py(), converter, converter.memory).read_root(object)
}

/// The same for a caller that may go on before the value is no longer read.
///
/// # Errors
/// As [`to_value`].
pub(crate) fn to_own_value(
    object: &Bound<'_, PyAny>,
    converter: &Converter,
) -> Result<Value, MarshalError> {
    read::Reader::new(object.py(), converter, Lending::Copy).read_root(object)
}

/// Makes the Python object that `value` stands for, opening pickles; see [`Converter::to_object`].
///
/// # Errors
/// As [`Converter::to_object`].
pub(crate) fn from_value(py: Python<'_>, value: Value) -> PyResult<Bound<'_, PyAny>> {
    let converter = Converter::new("value", Lending::Copy, Pickling::Default);
    converter.to_object(py, value).map_err(|error| error.raised)
}

/// Makes shared bytes of the first `bytes` of a claimed block.
fn whole(bytes: usize) -> impl FnOnce(Claim) -> Option<SharedBytes> {
    move |claim| {
        let offset = claim.offset();
        SharedBytes::claimed(claim, offset, bytes)
    }
}
