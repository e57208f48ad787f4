//! Views and the buffer protocol. One of the places of this crate with `unsafe`.
//!
//! # Rules
//! 1. Whoever gets a buffer of a view holds a reference to the view, which holds its memory.
//! 2. Shape and strides that are handed out live in a box that `release` frees.

use std::ffi::{CString, c_int};
use std::ptr;

use pyo3::exceptions::PyBufferError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use worker_shim::audio::{Kind, View};

use super::{AudioView, raise, supply};

/// What a buffer of a view refers to besides the numbers.
struct Layout {
    format: CString,
    shape: Vec<isize>,
    strides: Vec<isize>,
}

/// Fills a buffer, as `__getbuffer__`.
///
/// # Safety
/// The buffer is one that Python gave to be filled.
pub(super) unsafe fn fill(
    slf: Bound<'_, AudioView>,
    buffer: *mut ffi::Py_buffer,
    flags: c_int,
) -> PyResult<()> {
    let view = slf.get().view();
    let kind = view.kind().map_err(|error| PyBufferError::new_err(error.to_string()))?;
    if flags & ffi::PyBUF_WRITABLE != 0 && !view.is_writable() {
        return Err(PyBufferError::new_err("the view is read-only"));
    }
    let lies_plainly = view.contiguous_bytes().is_some() && view.shape().len() <= 1;
    if flags & ffi::PyBUF_STRIDES != ffi::PyBUF_STRIDES && !lies_plainly {
        return Err(PyBufferError::new_err("the view needs a buffer with strides"));
    }
    let layout = Box::new(Layout {
        format: CString::new(kind.format())?,
        shape: view.shape().iter().map(|length| length.cast_signed()).collect(),
        strides: view.strides().to_vec(),
    });
    let start = view.block().as_slice().as_ptr().wrapping_add(view.offset()).cast_mut();
    // SAFETY: Python gives a buffer to fill; what it refers to lives as long as it (rules).
    unsafe {
        (*buffer).buf = start.cast();
        (*buffer).len = view.len_bytes().cast_signed();
        (*buffer).readonly = c_int::from(!view.is_writable());
        (*buffer).itemsize = kind.bytes().cast_signed();
        (*buffer).ndim = c_int::try_from(layout.shape.len())?;
        let has = |flag: c_int| flags & flag == flag;
        (*buffer).format = if has(ffi::PyBUF_FORMAT) {
            layout.format.as_ptr().cast_mut()
        } else {
            ptr::null_mut()
        };
        (*buffer).shape =
            if has(ffi::PyBUF_ND) { layout.shape.as_ptr().cast_mut() } else { ptr::null_mut() };
        (*buffer).strides = if has(ffi::PyBUF_STRIDES) {
            layout.strides.as_ptr().cast_mut()
        } else {
            ptr::null_mut()
        };
        (*buffer).suboffsets = ptr::null_mut();
        (*buffer).internal = Box::into_raw(layout).cast();
        (*buffer).obj = slf.into_any().into_ptr();
    }
    Ok(())
}

/// Frees what [`fill`] made for a buffer.
///
/// # Safety
/// The buffer was filled by it, and is given back for the first time.
pub(super) unsafe fn release(buffer: *mut ffi::Py_buffer) {
    // SAFETY: `internal` is the box that `fill` made for this buffer (rule 2).
    drop(unsafe { Box::from_raw((*buffer).internal.cast::<Layout>()) });
}

/// Whether an object gives buffers.
pub(super) fn is_one(object: &Bound<'_, PyAny>) -> bool {
    // SAFETY: the object is alive, and this thread is attached to the interpreter.
    unsafe { ffi::PyObject_CheckBuffer(object.as_ptr()) == 1 }
}

/// A view over a copy of a buffer's contents. Bytes are read as numbers of `kind`.
pub(super) fn view_of(object: &Bound<'_, PyAny>, kind: Option<Kind>) -> PyResult<View> {
    let py = object.py();
    let memory = py.import("builtins")?.getattr("memoryview")?.call1((object,))?;
    let format: String = memory.getattr("format")?.extract()?;
    let is_bytes = format == "B";
    let own = Kind::named(if format == "c" { "B" } else { format.trim_start_matches('@') });
    let own = own.map_err(raise)?;
    let contents = memory.call_method0("tobytes")?.cast_into::<PyBytes>()?;
    let block = supply().block(contents.as_bytes().len());
    block.write(0, contents.as_bytes());
    match kind.filter(|_| is_bytes) {
        Some(kind) => {
            let shape = [contents.as_bytes().len() / kind.bytes()];
            View::over(block, kind, &shape).map_err(raise)
        }
        None => {
            let shape: Vec<usize> = memory.getattr("shape")?.extract()?;
            View::over(block, own, &shape).map_err(raise)
        }
    }
}
