//! One meter used by the guest and by the Python code that calls nodes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Meter;

/// A meter with several owners; cloning makes another owner.
#[derive(Debug, Clone)]
pub struct SharedMeter(Arc<Mutex<Meter>>);

impl SharedMeter {
    /// Shares a meter.
    #[must_use]
    pub fn new(meter: Meter) -> Self {
        Self(Arc::new(Mutex::new(meter)))
    }

    /// Locks the meter for this thread.
    pub fn lock(&self) -> MutexGuard<'_, Meter> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
