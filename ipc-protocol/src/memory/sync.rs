//! Locks and atomics: std's, or loom's when its models are checked (`--cfg loom`). Statics and
//! references to segments always use std's, because no data passes between threads through them.

#[cfg(not(loom))]
pub(crate) use std::sync::{
    Arc, Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicUsize, fence},
};

#[cfg(loom)]
pub(crate) use loom::sync::{
    Arc, Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicUsize, fence},
};

#[cfg(all(test, loom))]
mod tests;
