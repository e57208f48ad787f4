//! Contents that are not to be removed because a value of this process refers to them: one that a task
//! has just given is in no row yet.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

type Counts = HashMap<String, usize>;

/// The contents that values of this process refer to, by digest.
#[derive(Debug, Clone, Default)]
pub struct Pins(Arc<Mutex<Counts>>);

impl Pins {
    /// Pins a content as long as the pin lives.
    pub(super) fn pin(&self, digest: &str) -> Pin {
        *self.lock().entry(digest.to_owned()).or_default() += 1;
        Pin(Arc::new(Pinned { pins: self.clone(), digest: digest.to_owned() }))
    }

    /// The pinned contents. No other one can be pinned while this is held.
    #[must_use]
    pub fn held(&self) -> Held<'_> {
        Held(self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See [`Pins::held`].
#[derive(Debug)]
pub struct Held<'a>(MutexGuard<'a, Counts>);

impl Held<'_> {
    /// Whether a content is pinned.
    #[must_use]
    pub fn contains(&self, digest: &str) -> bool {
        self.0.contains_key(digest)
    }

    /// Digests of all pinned contents.
    #[must_use]
    pub fn digests(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }
}

/// Keeps a content from being removed. Values are equal whether they have pins or not.
#[derive(Debug, Clone)]
pub struct Pin(#[expect(dead_code, reason = "it is there to be dropped")] Arc<Pinned>);

impl PartialEq for Pin {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

impl Eq for Pin {}

#[derive(Debug)]
struct Pinned {
    pins: Pins,
    digest: String,
}

impl Drop for Pinned {
    fn drop(&mut self) {
        let mut counts = self.pins.lock();
        if let Some(count) = counts.get_mut(&self.digest) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.digest);
            }
        }
    }
}
