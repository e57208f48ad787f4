//! Arrays that the user makes in shared memory, so that they are never copied.

use ipc_protocol::Order;
use ipc_protocol::memory::SharedBytes;
use numpy::{PyArrayDescr, PyArrayDescrMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::{PyMemoryError, PyTypeError, PyValueError};
use pyo3::prelude::*;

use super::block::Block;
use super::{array, memory, whole};
use crate::numpy_memory::{outbound, own_arena};

/// A new array in shared memory with uninitialized elements. Outside of workers, nodes that get the
/// array see what is written to it later.
///
/// # Errors
/// `TypeError` for a dtype that cannot be shared, `ValueError` for an impossible shape,
/// `MemoryError` when no shared memory is available.
pub(crate) fn empty<'py>(
    descr: &Bound<'py, PyArrayDescr>,
    shape: &[isize],
) -> PyResult<Bound<'py, PyAny>> {
    new_array(descr, shape, Order::C)
}

fn new_array<'py>(
    descr: &Bound<'py, PyArrayDescr>,
    shape: &[isize],
    order: Order,
) -> PyResult<Bound<'py, PyAny>> {
    if array::dtype_of(descr)?.is_none() {
        let message = format!("arrays of dtype {descr} cannot be shared");
        return Err(PyTypeError::new_err(message));
    }
    let impossible = || {
        PyValueError::new_err(format!(
            "impossible shape {shape:?}: a length is negative, or the size is too large"
        ))
    };
    let mut bytes = descr.itemsize();
    for &length in shape {
        let length = usize::try_from(length).map_err(|_| impossible())?;
        bytes = bytes.checked_mul(length).ok_or_else(impossible)?;
    }
    let arena = outbound().map_or_else(own_arena, |outbound| outbound.arena().clone());
    let claim = arena.allocate(bytes.max(1));
    let claim = claim.map_err(|error| {
        PyMemoryError::new_err(format!("no shared memory for {bytes} bytes: {error}"))
    })?;
    let shared = whole(bytes)(claim).ok_or_else(|| PyMemoryError::new_err(bytes))?;
    let made = memory::array_over_shared(descr.clone(), shape, order, shared, true)?;
    if outbound().is_none()
        && let Some(block) = Block::of(made.cast::<PyUntypedArray>()?)
    {
        block.get().alias();
    }
    Ok(made)
}

/// Returns the array itself if it is in shared memory already, else a copy that is.
///
/// # Errors
/// As [`empty`].
pub(crate) fn asarray_shared<'py>(
    array: &Bound<'py, PyUntypedArray>,
) -> PyResult<Bound<'py, PyAny>> {
    if is_shared_already(array) {
        return Ok(array.as_any().clone());
    }
    let shape: Vec<isize> = array.shape().iter().map(|&length| length.cast_signed()).collect();
    let order = array::order_of(array).unwrap_or(Order::C);
    let made = new_array(&array.dtype(), &shape, order)?;
    let block = Block::of(made.cast::<PyUntypedArray>()?);
    if let Some(target) = block.as_ref().and_then(|block| block.get().shared()) {
        memory::gather_into(array, order, target)?;
    }
    Ok(made)
}

fn is_shared_already(array: &Bound<'_, PyUntypedArray>) -> bool {
    if let Some(outbound) = outbound()
        && outbound.arena().holds(memory::address_of(array))
    {
        return true;
    }
    let Some(block) = Block::of(array) else { return false };
    let is_shared = |shared: &SharedBytes| shared.is_writable() && shared.is_sole();
    if outbound().is_some() {
        return block.get().shared().is_some();
    }
    if !block.get().is_aliased() {
        // One reference is the array's, the other is `block` in this function.
        let is_only_its = memory::references_to(block.as_any()) <= 2
            && array.getattr("base").is_ok_and(|base| base.is(&block));
        if !(is_only_its && block.get().shared().is_some_and(is_shared)) {
            return false;
        }
        block.get().alias();
    }
    true
}
