//! Copies of large arrays that node objects hold, in shared memory. They are kept from run to run,
//! so that unchanged arrays are not copied again.
//!
//! An array is unchanged if its bytes equal those of its copy. They are not compared if the array
//! cannot have changed: it and all arrays up to the owner of its memory are read-only, and the
//! owner is the same object as when it was copied.

use std::sync::{Mutex, PoisonError};

use ipc_protocol::Payload;
use ipc_protocol::memory::{SharedBytes, is_equal};
use numpy::PyUntypedArray;
use numpy::npyffi::{NPY_ARRAY_OWNDATA, NPY_ARRAY_WRITEABLE};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyWeakrefMethods, PyWeakrefReference};

use super::array::bytes_of;
use super::block::Block;
use super::memory;
use crate::numpy_memory::own_arena;

/// A copy that this many pickles in a row did not use is dropped. A run makes one pickle for each
/// kind of interpreter, two at most.
const UNUSED_MAX: u8 = 2;

/// The copies of arrays for one pipeline.
#[pyclass(frozen, module = "remotemedia._native")]
#[derive(Debug, Default)]
pub(crate) struct KeptBuffers(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    /// Id of the process that made the copies; a forked child must not use them.
    owner: u32,
    copies: Vec<ArrayCopy>,
}

#[derive(Debug)]
struct ArrayCopy {
    address: usize,
    shared: SharedBytes,
    /// The owner of the array's memory, if all arrays up to it were read-only.
    frozen: Option<Py<PyWeakrefReference>>,
    unused: u8,
}

#[pymethods]
impl KeptBuffers {
    #[new]
    fn new() -> Self {
        Self::default()
    }
}

impl KeptBuffers {
    /// The present bytes of contiguous arrays. This process must not write to them.
    pub(crate) fn payloads(&self, arrays: &[Bound<'_, PyUntypedArray>]) -> PyResult<Vec<Payload>> {
        // Another thread that pickles the same pipeline meanwhile finds no copies and makes its
        // own.
        let mut known = self.take();
        let mut used = Vec::new();
        let payloads = arrays.iter().map(|array| payload(array, &mut known, &mut used)).collect();
        used.extend(known.into_iter().filter_map(|mut copy| {
            copy.unused += 1;
            (copy.unused < UNUSED_MAX).then_some(copy)
        }));
        *self.lock() = Kept { owner: std::process::id(), copies: used };
        payloads
    }

    fn take(&self) -> Vec<ArrayCopy> {
        let kept = std::mem::take(&mut *self.lock());
        if kept.owner == std::process::id() { kept.copies } else { Vec::new() }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The bytes of one array: its own memory if that is shared, else a copy from `known`, else a new
/// copy. The copy moves to `used`.
fn payload(
    array: &Bound<'_, PyUntypedArray>,
    known: &mut Vec<ArrayCopy>,
    used: &mut Vec<ArrayCopy>,
) -> PyResult<Payload> {
    let (address, bytes) = (memory::address_of(array), bytes_of(array));
    if let Some(block) = Block::of(array)
        && block.get().is_aliased()
        && let Some(shared) = block.get().shared().and_then(|s| s.part_at(address, bytes))
    {
        return Ok(shared.into());
    }
    let frozen = frozen_owner(array)?;
    let is_same = |copy: &ArrayCopy| copy.address == address && copy.shared.len() == bytes;
    if let Some(at) = used.iter().position(is_same) {
        return Ok(used[at].shared.clone().into());
    }
    if let Some(at) = known.iter().position(is_same) {
        let copy = known.swap_remove(at);
        if copy.is_of(array.py(), frozen.as_ref()) || copy.is_equal(array) {
            let payload = copy.shared.clone().into();
            used.push(ArrayCopy { frozen: weak(frozen)?, unused: 0, ..copy });
            return Ok(payload);
        }
        // The outdated copy is freed before the new one is allocated, so that its warm memory is
        // reused.
    }
    let copied = own_arena().allocate(bytes).ok();
    let Some(shared) = copied.and_then(|claim| memory::copy_array_to(array, claim)) else {
        return Ok(memory::copy_array(array)?.into());
    };
    used.push(ArrayCopy { address, shared: shared.clone(), frozen: weak(frozen)?, unused: 0 });
    Ok(shared.into())
}

impl ArrayCopy {
    fn is_of(&self, py: Python<'_>, frozen: Option<&Bound<'_, PyAny>>) -> bool {
        let known = self.frozen.as_ref().and_then(|weak| weak.bind(py).upgrade());
        known.zip(frozen).is_some_and(|(known, frozen)| known.is(frozen))
    }

    fn is_equal(&self, array: &Bound<'_, PyUntypedArray>) -> bool {
        let now = memory::borrow_array(array);
        array.py().detach(|| is_equal(&now, self.shared.as_slice()))
    }
}

/// The array that owns the memory of `array`, if it and all arrays up to the owner are read-only.
fn frozen_owner<'py>(array: &Bound<'py, PyUntypedArray>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = array.py();
    let mut owner = array.clone();
    loop {
        let flags = memory::flags_of(&owner);
        if flags & NPY_ARRAY_WRITEABLE != 0 {
            return Ok(None);
        }
        if flags & NPY_ARRAY_OWNDATA != 0 {
            return Ok(Some(owner.into_any()));
        }
        // Memory of other owners (a file, a foreign buffer) may change under a read-only view.
        let base = owner.as_any().getattr(intern!(py, "base"))?;
        let Ok(base) = base.cast_into::<PyUntypedArray>() else { return Ok(None) };
        owner = base;
    }
}

fn weak(owner: Option<Bound<'_, PyAny>>) -> PyResult<Option<Py<PyWeakrefReference>>> {
    owner.map(|owner| PyWeakrefReference::new(&owner).map(Bound::unbind)).transpose()
}
