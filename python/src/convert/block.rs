//! The owner of memory that numpy arrays refer to.

use std::sync::atomic::{AtomicBool, Ordering};

use bytes::BytesMut;
use ipc_protocol::Owned;
use ipc_protocol::memory::SharedBytes;
use numpy::PyUntypedArray;
use pyo3::intern;
use pyo3::prelude::*;

/// The base object of arrays over memory that numpy did not allocate. It lives as long as any of
/// these arrays.
#[pyclass(frozen, module = "remotemedia._native")]
#[derive(Debug)]
pub(super) struct Block {
    memory: BlockMemory,
    /// The user shares the memory deliberately: nodes see what is written to it later.
    is_aliased: AtomicBool,
}

#[derive(Debug)]
enum BlockMemory {
    Private(#[expect(dead_code, reason = "kept alive for the arrays over it")] BytesMut),
    Owned(#[expect(dead_code, reason = "kept alive for the arrays over it")] Owned),
    Shared(SharedBytes),
}

#[pymethods]
impl Block {
    /// Whether the memory is shared memory, which other processes can map.
    #[getter]
    fn is_shared(&self) -> bool {
        self.shared().is_some()
    }

    /// Whether nodes see what is written to the memory after it was passed to them.
    #[getter(is_aliased)]
    fn py_is_aliased(&self) -> bool {
        self.is_aliased()
    }
}

impl Block {
    pub(super) fn private(memory: BytesMut) -> Self {
        Self { memory: BlockMemory::Private(memory), is_aliased: false.into() }
    }

    pub(super) fn owned(memory: Owned) -> Self {
        Self { memory: BlockMemory::Owned(memory), is_aliased: false.into() }
    }

    pub(super) fn new(shared: SharedBytes) -> Self {
        Self { memory: BlockMemory::Shared(shared), is_aliased: false.into() }
    }

    pub(super) fn shared(&self) -> Option<&SharedBytes> {
        match &self.memory {
            BlockMemory::Private(_) | BlockMemory::Owned(_) => None,
            BlockMemory::Shared(shared) => Some(shared),
        }
    }

    pub(super) fn is_aliased(&self) -> bool {
        self.is_aliased.load(Ordering::Relaxed)
    }

    /// Marks the memory as shared deliberately, see `is_aliased`.
    pub(super) fn alias(&self) {
        self.is_aliased.store(true, Ordering::Relaxed);
    }

    /// The block whose memory an array, or the array of which it is a view, lies in.
    pub(super) fn of<'py>(array: &Bound<'py, PyUntypedArray>) -> Option<Bound<'py, Self>> {
        let base = intern!(array.py(), "base");
        let kind = array.get_type();
        let mut owner = array.getattr(base).ok()?;
        while owner.is_exact_instance(&kind) {
            owner = owner.getattr(base).ok()?;
        }
        owner.cast_into().ok()
    }
}
