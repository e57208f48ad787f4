//! One meter for the guest and for the node code that reports to it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Meter;

/// A meter with several holders.
#[derive(Debug, Clone)]
pub struct SharedMeter(Arc<Mutex<Meter>>);

impl SharedMeter {
    /// Shares a meter.
    #[must_use]
    pub fn new(meter: Meter) -> Self {
        Self(Arc::new(Mutex::new(meter)))
    }

    /// The meter, for this thread alone.
    pub fn lock(&self) -> MutexGuard<'_, Meter> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
