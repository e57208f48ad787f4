//! The memory handler (NEP 49) with which numpy allocates the data of large arrays in a worker's
//! outbound memory. One of the two modules of this crate with `unsafe`.
//!
//! # Rules
//! 1. Numpy calls the handler whenever an array that it served is resized or freed: in any thread,
//!    after the session, while the interpreter ends. So the handler, its memory and its functions
//!    are in statics that are never changed or dropped.
//! 2. Every address is either in a block of the arena, which knows its blocks exactly, or from
//!    numpy's default handler, and is freed where it was allocated.
//! 3. The arena's lock is never held while numpy's own functions run.
//! 4. In a forked child the arena allocates and frees nothing: the handler passes all calls on to
//!    numpy's default handler, except that freeing an inherited block does nothing.
//! 5. A block has one claim for the array, which ends with `free`. A message with the array makes a
//!    further claim, and the count of claims shows whether the array still exists.

use std::ffi::{CStr, c_void};
use std::ptr::{NonNull, null_mut, with_exposed_provenance_mut};
use std::sync::OnceLock;

use numpy::PY_ARRAY_API;
use numpy::npyffi::is_numpy_2;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyCapsule;

use super::arena::{inherited_outbound, outbound};
use crate::numpy_types::Types;

/// `PyDataMemAllocator` of numpy's headers.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
struct Allocator {
    context: *mut c_void,
    malloc: unsafe extern "C" fn(*mut c_void, usize) -> *mut c_void,
    calloc: unsafe extern "C" fn(*mut c_void, usize, usize) -> *mut c_void,
    realloc: unsafe extern "C" fn(*mut c_void, *mut c_void, usize) -> *mut c_void,
    free: unsafe extern "C" fn(*mut c_void, *mut c_void, usize),
}

/// `PyDataMem_Handler` of numpy's headers, version 1.
#[repr(C)]
struct Handler {
    name: [u8; 127],
    version: u8,
    allocator: Allocator,
}

// SAFETY: the context is null or numpy's own, and numpy calls the functions from any thread.
unsafe impl Send for Allocator {}
// SAFETY: as above; it is never written to.
unsafe impl Sync for Allocator {}

static HANDLER: Handler = Handler {
    name: padded(b"remotemedia"),
    version: 1,
    allocator: Allocator { context: null_mut(), malloc, calloc, realloc, free },
};
/// Numpy's default allocator. Set before our handler is ever active.
static DEFAULT: OnceLock<Allocator> = OnceLock::new();

/// Name of the capsules that hold handlers.
const CAPSULE: &CStr = c"mem_handler";
/// Indices in numpy's table of functions, since numpy 1.22.
const SET_HANDLER: usize = 304;
const GET_HANDLER: usize = 305;
const DEFAULT_HANDLER: usize = 306;
/// Version number of that table in numpy 1.22.
const FIRST_VERSION: u32 = 0xf;

const fn padded(name: &[u8]) -> [u8; 127] {
    let mut bytes = [0; 127];
    let mut index = 0;
    while index < name.len() {
        bytes[index] = name[index];
        index += 1;
    }
    bytes
}

fn from_arena(bytes: usize) -> Option<NonNull<c_void>> {
    NonNull::new(with_exposed_provenance_mut(outbound()?.allocate(bytes)?))
}

/// Length in bytes of the block at an address; `None` for memory of numpy's default handler.
fn block_bytes(pointer: *mut c_void) -> Option<usize> {
    let arena = inherited_outbound()?.arena();
    let address = pointer.addr();
    if arena.may_hold(address) { arena.block_bytes(address) } else { None }
}

fn release(pointer: *mut c_void) -> bool {
    inherited_outbound().is_some_and(|outbound| outbound.arena().release_at(pointer.addr()))
}

unsafe extern "C" fn malloc(_context: *mut c_void, bytes: usize) -> *mut c_void {
    if let Some(block) = from_arena(bytes) {
        return block.as_ptr();
    }
    let Some(default) = DEFAULT.get() else { return null_mut() };
    // SAFETY: numpy's own function, called as numpy called this one.
    unsafe { (default.malloc)(default.context, bytes) }
}

unsafe extern "C" fn calloc(_context: *mut c_void, count: usize, size: usize) -> *mut c_void {
    let Some(bytes) = count.checked_mul(size) else { return null_mut() };
    if let Some(block) = from_arena(bytes) {
        // SAFETY: the block has at least this many bytes, and no other code has its address yet.
        unsafe { block.as_ptr().cast::<u8>().write_bytes(0, bytes) };
        return block.as_ptr();
    }
    let Some(default) = DEFAULT.get() else { return null_mut() };
    // SAFETY: numpy's own function, called as numpy called this one.
    unsafe { (default.calloc)(default.context, count, size) }
}

/// Memory from numpy's default handler stays there, because only that handler knows its length.
unsafe extern "C" fn realloc(
    context: *mut c_void,
    pointer: *mut c_void,
    bytes: usize,
) -> *mut c_void {
    let Some(default) = DEFAULT.get() else { return null_mut() };
    let Some(length) = block_bytes(pointer) else {
        // SAFETY: numpy's own function, and the memory came from it (rule 2).
        return unsafe { (default.realloc)(default.context, pointer, bytes) };
    };
    let inline_max_bytes = inherited_outbound().map_or(0, |outbound| outbound.inline_max_bytes);
    if bytes <= length && bytes > inline_max_bytes {
        return pointer;
    }
    // SAFETY: `malloc` has no preconditions.
    let moved = unsafe { malloc(context, bytes) };
    if !moved.is_null() {
        // SAFETY: both have at least this many bytes, and the new memory is not part of the old.
        unsafe {
            pointer.cast::<u8>().copy_to_nonoverlapping(moved.cast(), length.min(bytes));
        }
        release(pointer);
    }
    moved
}

unsafe extern "C" fn free(_context: *mut c_void, pointer: *mut c_void, bytes: usize) {
    if release(pointer) {
        return;
    }
    if let Some(default) = DEFAULT.get() {
        // SAFETY: numpy's own function, and the memory came from it (rule 2).
        unsafe { (default.free)(default.context, pointer, bytes) };
    }
}

/// Numpy's functions that get and set the current handler, which is in a context variable.
struct Api {
    set: unsafe extern "C" fn(*mut ffi::PyObject) -> *mut ffi::PyObject,
    get: unsafe extern "C" fn() -> *mut ffi::PyObject,
    default: Py<PyAny>,
    ours: Py<PyAny>,
}

impl Api {
    /// The functions; `None` if numpy is not loaded or is older than 1.22 and has no handlers.
    fn if_loaded(py: Python<'_>) -> Option<&'static Self> {
        static API: PyOnceLock<Option<Api>> = PyOnceLock::new();
        if let Some(api) = API.get(py) {
            return api.as_ref();
        }
        if !Types::are_loaded(py) {
            return None;
        }
        // Without handlers, outputs are copied to shared memory; nothing else differs.
        API.get_or_init(py, || Self::load(py).ok().flatten()).as_ref()
    }

    fn load(py: Python<'_>) -> PyResult<Option<Self>> {
        // SAFETY: numpy's own function, without arguments.
        let version = unsafe { PY_ARRAY_API.PyArray_GetNDArrayCFeatureVersion(py) };
        if version < FIRST_VERSION {
            return Ok(None);
        }
        let name = if is_numpy_2(py) { "numpy._core.multiarray" } else { "numpy.core.multiarray" };
        let table = py.import(name)?.getattr("_ARRAY_API")?.cast_into::<PyCapsule>()?;
        let table = table.pointer_checked(None)?.cast::<*const c_void>();
        // SAFETY: numpy keeps the table for as long as the process lives; from this version on it
        // has these entries, and they have these types (numpy's `__multiarray_api.h`).
        let (set, get, default) = unsafe {
            (
                table.add(SET_HANDLER).cast().read(),
                table.add(GET_HANDLER).cast().read(),
                table.add(DEFAULT_HANDLER).cast::<*const *mut ffi::PyObject>().read().read(),
            )
        };
        // SAFETY: the entry points to an object that numpy keeps alive.
        let default = unsafe { Bound::from_borrowed_ptr_or_err(py, default)? };
        let handler = default.cast::<PyCapsule>()?.pointer_checked(Some(CAPSULE))?;
        // SAFETY: capsules of this name hold handlers, and the default one is never freed.
        let _first_stays = DEFAULT.set(unsafe { handler.cast::<Handler>().as_ref() }.allocator);
        let ours = (&raw const HANDLER).cast_mut().cast();
        // SAFETY: the pointer is to a static, which numpy only reads.
        let ours = unsafe {
            Bound::from_owned_ptr_or_err(py, ffi::PyCapsule_New(ours, CAPSULE.as_ptr(), None))?
        };
        Ok(Some(Self { set, get, default: default.unbind(), ours: ours.unbind() }))
    }

    fn current<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        // SAFETY: numpy's own function, which gives a new reference or raises.
        unsafe { Bound::from_owned_ptr_or_err(py, (self.get)()) }
    }

    /// Replaces numpy's handler `old` by `new`. Returns false, without a change, if `old` is not
    /// the current one.
    fn exchange(&self, py: Python<'_>, old: &Py<PyAny>, new: &Py<PyAny>) -> PyResult<bool> {
        if !self.current(py)?.is(old) {
            return Ok(false);
        }
        // SAFETY: as above; the argument is borrowed.
        let before = unsafe { Bound::from_owned_ptr_or_err(py, (self.set)(new.as_ptr()))? };
        drop(before);
        Ok(true)
    }
}

/// Makes numpy allocate large arrays in the outbound memory, in this thread and in copies of its
/// context. Returns false if nothing changed: numpy is not loaded, or its handler is not the
/// default one.
pub(crate) fn activate(py: Python<'_>) -> bool {
    outbound().is_some()
        && Api::if_loaded(py)
            .is_some_and(|api| api.exchange(py, &api.default, &api.ours).unwrap_or(false))
}

/// Undoes [`activate`].
pub(crate) fn deactivate(py: Python<'_>) {
    if inherited_outbound().is_some()
        && let Some(api) = Api::if_loaded(py)
    {
        // If this fails, the handler stays active, which only wastes shared memory.
        let _stays = api.exchange(py, &api.ours, &api.default);
    }
}
