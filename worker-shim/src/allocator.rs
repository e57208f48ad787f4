//! The allocator of a worker's program: that of the system, with a note of the last request that it refused.
//! Rust aborts after a refusal, and `death` then writes the note to the flight recorder, so that the error
//! says what was missing.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use nix::time::{ClockId, clock_gettime};

/// A refusal is the cause of an abort that follows within this many seconds: what copes with one goes on.
const CAUSE_SECONDS: i64 = 1;

static REFUSED_BYTES: AtomicUsize = AtomicUsize::new(0);
static REFUSED_AT: AtomicI64 = AtomicI64::new(0);

/// To be the program's `#[global_allocator]`.
#[derive(Debug, Clone, Copy)]
pub struct Allocator;

// SAFETY: every call is passed on to the system's allocator as it is.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the rules of this call.
        noted(unsafe { System.alloc(layout) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the rules of this call.
        noted(unsafe { System.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        // SAFETY: the caller keeps the rules of this call.
        noted(unsafe { System.realloc(memory, layout, bytes) }, bytes)
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the rules of this call.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[inline]
fn noted(memory: *mut u8, bytes: usize) -> *mut u8 {
    if memory.is_null() {
        note(bytes);
    }
    memory
}

#[cold]
fn note(bytes: usize) {
    REFUSED_AT.store(now(), Ordering::Relaxed);
    REFUSED_BYTES.store(bytes, Ordering::Relaxed);
}

/// Size of the request that was refused right now, in bytes; 0 if none was. May be called in handlers of
/// signals.
pub(crate) fn just_refused() -> u64 {
    let is_cause = now() - REFUSED_AT.load(Ordering::Relaxed) <= CAUSE_SECONDS;
    if is_cause { REFUSED_BYTES.load(Ordering::Relaxed) as u64 } else { 0 }
}

fn now() -> i64 {
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(0, |time| time.tv_sec())
}
