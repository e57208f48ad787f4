//! The owner of memory that numpy arrays refer to.

use std::sync::atomic::{AtomicBool, Ordering};

use bytes::BytesMut;
use ipc_protocol::memory::SharedBytes;
use numpy::PyUntypedArray;
use pyo3::intern;
use pyo3::prelude::*;

/// The base of arrays over memory that is not numpy's: it lives as long as any of them.
#[pyclass(frozen, module = "remotemedia._native")]
#[derive(Debug)]
pub(super) struct Block {
    memory: BlockMemory,
    /// A holder of an array over it shares it knowingly with the nodes that it is passed to.
    is_aliased: AtomicBool,
}

#[derive(Debug)]
enum BlockMemory {
    Private(#[expect(dead_code, reason = "kept alive for the arrays over it")] BytesMut),
    Shared(SharedBytes),
}

#[pymethods]
impl Block {
    /// Whether the memory can be handed to other processes as it is.
    #[getter]
    fn is_shared(&self) -> bool {
        self.shared().is_some()
    }

    /// Whether nodes that it is passed to see later writes.
    #[getter(is_aliased)]
    fn py_is_aliased(&self) -> bool {
        self.is_aliased()
    }
}

impl Block {
    pub(super) fn private(memory: BytesMut) -> Self {
        Self { memory: BlockMemory::Private(memory), is_aliased: false.into() }
    }

    pub(super) fn new(shared: SharedBytes) -> Self {
        Self { memory: BlockMemory::Shared(shared), is_aliased: false.into() }
    }

    pub(super) fn shared(&self) -> Option<&SharedBytes> {
        match &self.memory {
            BlockMemory::Private(_) => None,
            BlockMemory::Shared(shared) => Some(shared),
        }
    }

    pub(super) fn is_aliased(&self) -> bool {
        self.is_aliased.load(Ordering::Relaxed)
    }

    /// From now on the memory is shared knowingly.
    pub(super) fn alias(&self) {
        self.is_aliased.store(true, Ordering::Relaxed);
    }

    /// The block that an array lies in, itself or as a view.
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
