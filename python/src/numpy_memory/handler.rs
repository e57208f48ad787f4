//! The memory handlers (NEP 49) with which numpy allocates the data of arrays: of large ones in a
//! worker's outbound memory. One counts arrays for the node that was called last, others are those of one
//! account. One of the two modules of this crate with `unsafe`.
//!
//! # Rules
//! 1. Numpy calls a handler whenever an array that it served is resized or freed: in any thread,
//!    after the session, while the interpreter ends. So handlers, accounts and the memory are in
//!    statics or never dropped, and the functions are called with the interpreter's lock held.
//! 2. Every address is either in a block of the arena, which knows its blocks exactly, or from
//!    numpy's default handler, and is freed where it was allocated.
//! 3. The arena's lock is never held while numpy's own functions run.
//! 4. In a forked child the arena allocates and frees nothing: the handler passes all calls on to
//!    numpy's default handler, except that freeing an inherited block does nothing.
//! 5. A block has one claim for the array, which ends with `free`. A message with the array makes a
//!    further claim, and the count of claims shows whether the array still exists.
//! 6. Memory of the default handler ends with a mark that names its account ([`MARK_BYTES`]), so the array
//!    begins where `malloc` says, and code that frees it by itself may.
//! 7. What is counted is what the allocator has taken, which it knows at the end as well: numpy does
//!    not say how large an array was that it resizes.

use std::ffi::{CStr, c_void};
use std::ptr::{NonNull, null_mut, with_exposed_provenance_mut, without_provenance_mut};
use std::sync::OnceLock;

use numpy::PY_ARRAY_API;
use numpy::npyffi::is_numpy_2;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyCapsule;

use super::account::{ArrayPlace, Id, account, current, disown_block, meter, own_block};
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

// SAFETY: the context is numpy's own, and numpy calls the functions from any thread.
unsafe impl Send for Allocator {}
// SAFETY: as above; it is never written to.
unsafe impl Sync for Allocator {}

/// Name of our handlers.
const NAME: [u8; 127] = padded(b"remotemedia");
/// Bytes at the end of memory from the default handler that are not the array's, for a mark.
const MARK_BYTES: usize = size_of::<u64>();
/// What a mark has beside the number of the account.
const MARK: u64 = 0x5244_4d61_7272_0000;
/// Blocks of this length and above are measured before they are freed. That takes 30 us, and to write
/// as much memory a hundred times as long.
const MEASURED_BYTES: usize = 32 << 20;
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

/// The account of a handler with this context, or of the node that was called last.
fn id_of(context: *mut c_void) -> Id {
    let own = context.addr();
    if own > 0 { own } else { current() }
}

fn from_arena(id: Id, bytes: usize) -> Option<NonNull<c_void>> {
    let outbound = outbound()?;
    if bytes <= outbound.inline_max_bytes || account(id).is_some_and(|it| !it.makes_outputs()) {
        return None;
    }
    let (address, length) = outbound.allocate(bytes)?;
    own_block(id, address, length);
    NonNull::new(with_exposed_provenance_mut(address))
}

/// Length in bytes of the block at an address; `None` for memory of numpy's default handler.
fn block_bytes(pointer: *mut c_void) -> Option<usize> {
    let arena = inherited_outbound()?.arena();
    let address = pointer.addr();
    if arena.may_hold(address) { arena.block_bytes(address) } else { None }
}

/// Ends the array's claim on a block. False for memory of numpy's default handler.
fn release(pointer: *mut c_void) -> bool {
    let Some(outbound) = inherited_outbound() else { return false };
    let Some(length) = outbound.arena().release_at(pointer.addr()) else { return false };
    disown_block(pointer.addr(), length);
    true
}

/// As [`release`], for a large block: the meter looks at its memory first, which may be unmapped.
fn release_measured(pointer: *mut c_void) -> bool {
    let is_block = block_bytes(pointer).is_some();
    let Some(meter) = meter().filter(|_| is_block) else { return release(pointer) };
    meter.lock().before_free();
    let is_released = release(pointer);
    meter.lock().after_free();
    is_released
}

/// Bytes that the C library has taken for memory of numpy's default handler.
fn usable_bytes(pointer: *mut c_void) -> usize {
    // SAFETY: the default handler gives what `malloc` gave (rule 2), or null, which has none.
    unsafe { nix::libc::malloc_usable_size(pointer) }
}

/// The mark at the end of memory from the default handler.
fn mark_of(pointer: *mut c_void) -> Option<*mut u64> {
    let last = usable_bytes(pointer).checked_sub(MARK_BYTES)?;
    Some(pointer.cast::<u8>().wrapping_add(last).cast())
}

/// Counts and marks memory of the default handler, and returns it.
///
/// # Safety
/// The memory is new, or was resized, with at least [`MARK_BYTES`] more than its array has.
unsafe fn mark(id: Id, pointer: *mut c_void) -> *mut c_void {
    if let (Some(account), Some(mark)) = (account(id), mark_of(pointer)) {
        // SAFETY: the last bytes that the C library has taken are not the array's.
        unsafe { mark.write_unaligned(MARK | id as u64) };
        account.add(ArrayPlace::Private, usable_bytes(pointer));
    }
    pointer
}

/// Counts memory of the default handler as freed.
///
/// # Safety
/// The memory is from the default handler and not freed.
unsafe fn unmark(pointer: *mut c_void) -> Option<()> {
    let mark = mark_of(pointer)?;
    // SAFETY: the bytes belong to the memory. Where there is no mark, they are the end of an array that
    // came here otherwise.
    let found = unsafe { mark.read_unaligned() } ^ MARK;
    account(usize::try_from(found).ok()?)?.subtract(ArrayPlace::Private, usable_bytes(pointer));
    // SAFETY: as above. What gets the memory next has no mark before it is given one.
    unsafe { mark.write_unaligned(0) };
    Some(())
}

unsafe extern "C" fn malloc(context: *mut c_void, bytes: usize) -> *mut c_void {
    let id = id_of(context);
    if let Some(block) = from_arena(id, bytes) {
        return block.as_ptr();
    }
    let Some(default) = DEFAULT.get() else { return null_mut() };
    let Some(bytes) = bytes.checked_add(MARK_BYTES) else { return null_mut() };
    // SAFETY: numpy's own function, called as numpy called this one.
    unsafe { mark(id, (default.malloc)(default.context, bytes)) }
}

unsafe extern "C" fn calloc(context: *mut c_void, count: usize, size: usize) -> *mut c_void {
    let Some(bytes) = count.checked_mul(size) else { return null_mut() };
    let id = id_of(context);
    if let Some(block) = from_arena(id, bytes) {
        // SAFETY: the block has at least this many bytes, and no other code has its address yet.
        unsafe { block.as_ptr().cast::<u8>().write_bytes(0, bytes) };
        return block.as_ptr();
    }
    let Some(default) = DEFAULT.get() else { return null_mut() };
    let Some(bytes) = bytes.checked_add(MARK_BYTES) else { return null_mut() };
    // SAFETY: numpy's own function, called as numpy called this one.
    unsafe { mark(id, (default.calloc)(default.context, bytes, 1)) }
}

/// Memory from numpy's default handler stays there, because only that handler knows its length.
unsafe extern "C" fn realloc(
    context: *mut c_void,
    pointer: *mut c_void,
    bytes: usize,
) -> *mut c_void {
    let Some(default) = DEFAULT.get() else { return null_mut() };
    let Some(length) = block_bytes(pointer) else {
        let id = id_of(context);
        let Some(bytes) = bytes.checked_add(MARK_BYTES) else { return null_mut() };
        // SAFETY: numpy's own function, and the memory came from it (rule 2). Where it fails, the memory
        // stays, without its mark.
        return unsafe {
            unmark(pointer);
            let moved = (default.realloc)(default.context, pointer, bytes);
            if moved.is_null() { moved } else { mark(id, moved) }
        };
    };
    let inline_max_bytes = inherited_outbound().map_or(0, |outbound| outbound.inline_max_bytes);
    if bytes <= length && bytes > inline_max_bytes {
        return pointer;
    }
    // SAFETY: the context is a handler's.
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
    let release = if bytes < MEASURED_BYTES { release } else { release_measured };
    if release(pointer) {
        return;
    }
    if let Some(default) = DEFAULT.get() {
        // SAFETY: numpy's own function, and the memory came from it (rule 2), with a mark.
        unsafe {
            unmark(pointer);
            (default.free)(default.context, pointer, bytes.saturating_add(MARK_BYTES));
        }
    }
}

/// The capsule with the handler of an account; that of whichever node was called last without one.
fn capsule(py: Python<'_>, own: Option<Id>) -> PyResult<&'static Py<PyAny>> {
    static COMMON: OnceLock<Py<PyAny>> = OnceLock::new();
    let place = own.and_then(account).map_or(&COMMON, |account| &account.capsule);
    if let Some(capsule) = place.get() {
        return Ok(capsule);
    }
    let context = without_provenance_mut(own.unwrap_or(0));
    let allocator = Allocator { context, malloc, calloc, realloc, free };
    let handler = Box::leak(Box::new(Handler { name: NAME, version: 1, allocator }));
    let handler = std::ptr::from_mut(handler).cast();
    // SAFETY: the handler is never dropped, and numpy only reads it.
    let made = unsafe {
        let made = ffi::PyCapsule_New(handler, CAPSULE.as_ptr(), None);
        Bound::from_owned_ptr_or_err(py, made)?.unbind()
    };
    Ok(place.get_or_init(|| made))
}

/// Numpy's functions that get and set the current handler, which is in a context variable.
struct Api {
    set: unsafe extern "C" fn(*mut ffi::PyObject) -> *mut ffi::PyObject,
    get: unsafe extern "C" fn() -> *mut ffi::PyObject,
    default: Py<PyAny>,
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
        Ok(Some(Self { set, get, default: default.unbind() }))
    }

    /// Whether the current handler is numpy's default one or one of ours, not a node's own.
    fn may_replace(&self, py: Python<'_>) -> PyResult<bool> {
        // SAFETY: numpy's own function, which gives a new reference or raises.
        let current = unsafe { Bound::from_owned_ptr_or_err(py, (self.get)())? };
        if current.is(&self.default) {
            return Ok(true);
        }
        let handler = current.cast::<PyCapsule>()?.pointer_checked(Some(CAPSULE))?;
        // SAFETY: capsules of this name hold handlers, and numpy keeps the current one alive.
        Ok(unsafe { handler.cast::<Handler>().as_ref() }.name == NAME)
    }

    fn set(&self, py: Python<'_>, handler: &Py<PyAny>) -> PyResult<()> {
        // SAFETY: numpy's own function, which borrows the handler, and gives a new reference to the
        // one before or raises.
        let before = unsafe { Bound::from_owned_ptr_or_err(py, (self.set)(handler.as_ptr()))? };
        drop(before);
        Ok(())
    }
}

/// Which handler numpy uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Serving {
    /// Its own.
    Default,
    /// Ours, for whichever node was called last.
    Last,
    /// That of one account.
    Account(Id),
}

/// Has numpy use this handler from now on, in this thread and in copies of its context. Returns false
/// if nothing changed: numpy is not loaded, or a node has set a handler of its own.
pub(crate) fn serve_numpy(py: Python<'_>, serving: Serving) -> bool {
    if meter().is_none() && DEFAULT.get().is_none() {
        return false;
    }
    let Some(api) = Api::if_loaded(py) else { return false };
    let serve = || {
        if !api.may_replace(py)? {
            return Ok(false);
        }
        let handler = match serving {
            Serving::Default => &api.default,
            Serving::Last => capsule(py, None)?,
            Serving::Account(id) => capsule(py, Some(id))?,
        };
        api.set(py, handler).map(|()| true)
    };
    // If this fails, the handler stays as it is: arrays are then counted for another node, or lie in
    // shared memory needlessly.
    let served: PyResult<bool> = serve();
    served.unwrap_or(false)
}
