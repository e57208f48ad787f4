//! What threads meet at: std's, or loom's while its models are checked (`--cfg loom`). Statics and
//! the references to segments stay std's: nothing is handed over through them.

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
