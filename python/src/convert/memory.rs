//! Memory that both Python and Rust access. One of the two modules of this crate with `unsafe`.
//!
//! # Rules
//! 1. Memory lent by a Python object ([`borrow_array`], [`borrow_bytes`]) stays valid as long as
//!    the `Bytes` lives, because its owner holds a reference to the object; numpy refuses to
//!    resize an array that is referenced. A reference that is dropped while the thread is not
//!    attached to the interpreter is queued by pyo3 and released later, so a `Bytes` may be
//!    dropped on any thread.
//! 2. Nothing stops Python from writing to a lent array. Callers therefore lend only while the
//!    Python caller is blocked until the `Bytes` is no longer read (`Lending::Borrow`), and copy
//!    everywhere else. A program that writes to an array from another thread during a call gets
//!    either the old or the new numbers, as with any numpy function that releases the GIL.
//! 3. Memory handed to Python ([`array_over`], [`array_over_owned`], [`array_over_shared`]) has one owner,
//!    the [`Block`] that is the array's base. Rust does not touch private memory again; the block frees it when
//!    the last array over it is gone. Shared memory is writable only for its sole holder, or where
//!    writes stay in this process (`ipc_protocol::memory`, rule 2).
//! 4. Callers check shapes against the length of the memory before they call these functions.

use bytes::{Bytes, BytesMut};
use ipc_protocol::memory::{Claim, NoMemory, SharedBytes};
use ipc_protocol::{Order, Owned};
use numpy::npyffi::flags::{NPY_ARRAY_F_CONTIGUOUS, NPY_ARRAY_WRITEABLE};
use numpy::npyffi::{NpyTypes, get_type_object};
use numpy::{
    PY_ARRAY_API, PyArrayDescr, PyArrayDescrMethods, PyUntypedArray, PyUntypedArrayMethods,
};
use pyo3::exceptions::PyMemoryError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::block::Block;

/// Up to this size in bytes a copy is cheaper than keeping a frame alive.
pub(super) const SMALL_BYTES: usize = 4096;

/// Keeps a Python object alive whose memory a `Bytes` refers to.
struct Lent {
    _object: Py<PyAny>,
    start: *const u8,
    length: usize,
}

// SAFETY: the pointer is only read, through `as_ref`, and the object that owns the memory may be
// referenced from any thread (rule 1).
unsafe impl Send for Lent {}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: `start` and `length` describe the memory of `_object`, which is alive (rule 1)
        // and not written to meanwhile (rule 2).
        unsafe { std::slice::from_raw_parts(self.start, self.length) }
    }
}

/// The memory of a contiguous array, without a copy; empty for any other array. See rule 2.
pub(super) fn borrow_array(array: &Bound<'_, PyUntypedArray>) -> Bytes {
    let (start, length) = memory_of(array);
    if length == 0 {
        return Bytes::new();
    }
    let _object = array.as_any().clone().unbind();
    Bytes::from_owner(Lent { _object, start, length })
}

/// A copy of the memory of a contiguous array; empty for any other array.
///
/// # Errors
/// `MemoryError`.
pub(super) fn copy_array(array: &Bound<'_, PyUntypedArray>) -> PyResult<Bytes> {
    let (start, length) = memory_of(array);
    if length == 0 {
        return Ok(Bytes::new());
    }
    let mut copy = Vec::new();
    let refused = |_| PyMemoryError::new_err(NoMemory::for_bytes(length).to_string());
    copy.try_reserve_exact(length).map_err(refused)?;
    // SAFETY: `memory_of` gives the array's own memory, and the array is alive for this call.
    copy.extend_from_slice(unsafe { std::slice::from_raw_parts(start, length) });
    Ok(copy.into())
}

/// As [`copy_array`], into a block of shared memory; `None` when it does not fit.
pub(super) fn copy_array_to(
    array: &Bound<'_, PyUntypedArray>,
    mut claim: Claim,
) -> Option<SharedBytes> {
    let (start, length) = memory_of(array);
    if start.is_null() {
        return None;
    }
    // SAFETY: `memory_of` gives the array's own memory, and the array is alive for this call.
    let is_written = claim.write(unsafe { std::slice::from_raw_parts(start, length) });
    let offset = claim.offset();
    if is_written { SharedBytes::claimed(claim, offset, length) } else { None }
}

/// Copies an array of any layout into `target`, in the memory order `order`. Nothing else may refer
/// to `target`, and it must hold exactly the array's elements.
pub(super) fn gather_into(
    array: &Bound<'_, PyUntypedArray>,
    order: Order,
    target: &SharedBytes,
) -> PyResult<()> {
    let py = array.py();
    let shape: Vec<isize> = array.shape().iter().map(|&length| length.cast_signed()).collect();
    let made = array_over_shared(array.dtype(), &shape, order, target.clone(), true)?;
    // SAFETY: both are arrays of the same shape, and `made` is new.
    let status =
        unsafe { PY_ARRAY_API.PyArray_CopyInto(py, made.as_ptr().cast(), array.as_array_ptr()) };
    if status < 0 { Err(PyErr::fetch(py)) } else { Ok(()) }
}

/// Address of an array's memory.
pub(super) fn address_of(array: &Bound<'_, PyUntypedArray>) -> usize {
    // SAFETY: `as_array_ptr` gives the array object that `array` keeps alive.
    unsafe { (*array.as_array_ptr()).fields.data }.addr()
}

/// The flags of an array.
pub(super) fn flags_of(array: &Bound<'_, PyUntypedArray>) -> i32 {
    // SAFETY: `as_array_ptr` gives the array object that `array` keeps alive.
    unsafe { (*array.as_array_ptr()).fields.flags }
}

/// Reference count of an object.
pub(super) fn references_to(object: &Bound<'_, PyAny>) -> isize {
    // SAFETY: the object is alive, and this thread is attached to the interpreter.
    unsafe { pyo3::ffi::Py_REFCNT(object.as_ptr()) }
}

/// Start and length of a contiguous array's memory.
fn memory_of(array: &Bound<'_, PyUntypedArray>) -> (*const u8, usize) {
    if !array.is_contiguous() {
        return (std::ptr::null(), 0);
    }
    // SAFETY: `as_array_ptr` gives the array object that `array` keeps alive.
    let start = unsafe { (*array.as_array_ptr()).fields.data };
    (start.cast_const().cast(), array.len() * array.dtype().itemsize())
}

/// The contents of a `bytes` object, without a copy. They never change.
pub(crate) fn borrow_bytes(bytes: &Bound<'_, PyBytes>) -> Bytes {
    let data = bytes.as_bytes();
    let (start, length) = (data.as_ptr(), data.len());
    Bytes::from_owner(Lent { _object: bytes.as_any().clone().unbind(), start, length })
}

/// Makes memory writable without a copy.
///
/// # Errors
/// Returns `data` unchanged when it has another holder, when it does not fit the dtype's alignment,
/// or when it is so small that a copy is cheaper.
pub(super) fn writable_block(data: Bytes, alignment: usize) -> Result<BytesMut, Bytes> {
    let aligned = data.as_ptr().align_offset(alignment.max(1)) == 0;
    if data.len() <= SMALL_BYTES || !aligned {
        return Err(data);
    }
    data.try_into_mut()
}

/// A writable array over `block`, which must hold exactly the elements of that shape.
pub(super) fn array_over<'py>(
    descr: Bound<'py, PyArrayDescr>,
    shape: &[isize],
    order: Order,
    mut block: BytesMut,
) -> PyResult<Bound<'py, PyAny>> {
    let start = block.as_mut_ptr();
    // Moving the handle does not move the memory that it owns.
    with_base(new_array(descr, shape, order, start, true)?, Block::private(block))
}

/// As [`array_over`]. Returns memory unused that has another holder, does not fit the dtype's alignment, or
/// is so small that a copy is cheaper.
pub(super) fn array_over_owned<'py>(
    descr: &Bound<'py, PyArrayDescr>,
    shape: &[isize],
    order: Order,
    mut owned: Owned,
) -> PyResult<Result<Bound<'py, PyAny>, Owned>> {
    let alignment = descr.alignment().max(1);
    let fits = |bytes: &&mut [u8]| {
        bytes.len() > SMALL_BYTES && bytes.as_ptr().align_offset(alignment) == 0
    };
    let Some(start) = owned.as_mut_slice().filter(fits).map(<[u8]>::as_mut_ptr) else {
        return Ok(Err(owned));
    };
    // Moving the handle does not move the memory that it owns.
    let array = new_array(descr.clone(), shape, order, start, true)?;
    with_base(array, Block::owned(owned)).map(Ok)
}

/// An array over shared memory, which must hold exactly the elements of that shape. See rule 3.
pub(super) fn array_over_shared<'py>(
    descr: Bound<'py, PyArrayDescr>,
    shape: &[isize],
    order: Order,
    shared: SharedBytes,
    is_writable: bool,
) -> PyResult<Bound<'py, PyAny>> {
    let start = shared.as_slice().as_ptr().cast_mut();
    with_base(new_array(descr, shape, order, start, is_writable)?, Block::new(shared))
}

/// Sets the owner of an array's memory.
fn with_base(array: Bound<'_, PyAny>, block: Block) -> PyResult<Bound<'_, PyAny>> {
    let py = array.py();
    let base = Bound::new(py, block)?.into_any();
    // SAFETY: `array` is a fresh array; the call takes over the reference to `base` in any case.
    let status =
        unsafe { PY_ARRAY_API.PyArray_SetBaseObject(py, array.as_ptr().cast(), base.into_ptr()) };
    if status < 0 { Err(PyErr::fetch(py)) } else { Ok(array) }
}

/// A writable array with a copy of `data`, which must hold exactly the elements of that shape.
pub(super) fn array_with_copy<'py>(
    descr: Bound<'py, PyArrayDescr>,
    shape: &[isize],
    order: Order,
    data: &[u8],
) -> PyResult<Bound<'py, PyAny>> {
    let array = new_array(descr, shape, order, std::ptr::null_mut(), true)?;
    let untyped = array.cast::<PyUntypedArray>()?;
    if untyped.len() * untyped.dtype().itemsize() == data.len() && !data.is_empty() {
        // SAFETY: numpy has just allocated this many bytes for the array, and no other code refers
        // to it.
        unsafe {
            let start = (*untyped.as_array_ptr()).fields.data.cast::<u8>();
            std::ptr::copy_nonoverlapping(data.as_ptr(), start, data.len());
        }
    }
    Ok(array)
}

/// A new array over the memory at `start` (rule 4), or over memory of its own when that is null.
fn new_array<'py>(
    descr: Bound<'py, PyArrayDescr>,
    shape: &[isize],
    order: Order,
    start: *mut u8,
    is_writable: bool,
) -> PyResult<Bound<'py, PyAny>> {
    let py = descr.py();
    let mut shape = shape.to_vec();
    let order_flag = if order == Order::Fortran { NPY_ARRAY_F_CONTIGUOUS } else { 0 };
    // An array over memory of its own is writable without the flag.
    let takes_over = !start.is_null() && is_writable;
    let flags = order_flag | if takes_over { NPY_ARRAY_WRITEABLE } else { 0 };
    let axes = i32::try_from(shape.len()).unwrap_or(i32::MAX);
    // SAFETY: the type object and the dtype are numpy's own; `shape` has `axes` entries; the call
    // takes over the reference to the dtype; null strides mean contiguous in the flagged order.
    unsafe {
        let kind = get_type_object(py, NpyTypes::PyArray_Type);
        let made = PY_ARRAY_API.PyArray_NewFromDescr(
            py,
            kind,
            descr.into_dtype_ptr(),
            axes,
            shape.as_mut_ptr(),
            std::ptr::null_mut(),
            start.cast(),
            flags,
            std::ptr::null_mut(),
        );
        Bound::from_owned_ptr_or_err(py, made)
    }
}
