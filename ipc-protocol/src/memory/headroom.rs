//! Memory is asked for before many objects are made of a message, or a message of many objects: an
//! allocation of Rust that fails ends the process, and so do those of most constructors of Python.
//!
//! The kernel is asked by a mapping that is never touched and removed at once. It refuses one above a
//! limit of the process (`RLIMIT_DATA`, `RLIMIT_AS`), or far above what the machine has.

use std::cell::Cell;
use std::fmt;

use rustix::process::{Resource, getrlimit};
use thiserror::Error;

use super::pages;

/// Small objects are made without a question, up to this many bytes together.
const UNASKED_BYTES: usize = 256 << 10;
/// The least that is asked for at once, and what has to remain: other threads allocate too, and amounts are
/// estimates.
const STEP_BYTES: usize = 4 << 20;
const MIB: u64 = 1 << 20;

/// Memory that was asked for and not yet used, on one thread.
#[derive(Debug)]
pub struct Headroom {
    left: Cell<usize>,
}

impl Default for Headroom {
    fn default() -> Self {
        Self { left: Cell::new(UNASKED_BYTES) }
    }
}

impl Headroom {
    /// Forgets what was asked for earlier.
    pub fn renew(&self) {
        self.left.set(UNASKED_BYTES);
    }

    /// Call it before `bytes` are allocated, in one piece or several.
    ///
    /// # Errors
    /// When the process may not have that much more.
    pub fn take(&self, bytes: usize) -> Result<(), NoMemory> {
        match self.left.get().checked_sub(bytes) {
            Some(left) => self.left.set(left),
            None => self.ask(bytes)?,
        }
        Ok(())
    }

    #[cold]
    fn ask(&self, bytes: usize) -> Result<(), NoMemory> {
        let asked = bytes.max(STEP_BYTES);
        if !pages::are_available(asked.saturating_add(STEP_BYTES)) {
            return Err(NoMemory::for_bytes(bytes));
        }
        self.left.set(asked - bytes);
        Ok(())
    }
}

/// The process may not have as much memory as it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub struct NoMemory {
    /// What was needed at once, in bytes.
    pub bytes: usize,
    /// The limit of the process that bounds its memory, with its value in bytes; `None` without one.
    pub limit: Option<(&'static str, u64)>,
}

impl NoMemory {
    /// The failure of a request, with the limit that is in force now.
    #[must_use]
    pub fn for_bytes(bytes: usize) -> Self {
        let limits = [("RLIMIT_AS", Resource::As), ("RLIMIT_DATA", Resource::Data)];
        let set = |(name, resource)| Some((name, getrlimit(resource).current?));
        Self { bytes, limit: limits.into_iter().filter_map(set).min_by_key(|(_, value)| *value) }
    }
}

impl fmt::Display for NoMemory {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.bytes as u64;
        if bytes < MIB {
            write!(out, "there is no memory for {bytes} bytes more")?;
        } else {
            write!(out, "there is no memory for {} MiB more", bytes.div_ceil(MIB))?;
        }
        match self.limit {
            Some((name, value)) => write!(out, " ({name} is {} MiB)", value.div_ceil(MIB)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Headroom, NoMemory, UNASKED_BYTES};

    #[test]
    fn what_no_process_may_have_is_refused_and_the_rest_is_not() {
        // spec: CARD-08
        let headroom = Headroom::default();
        headroom.take(UNASKED_BYTES).unwrap();
        headroom.take(1).unwrap();
        headroom.take(16 << 20).unwrap();
        let refused = headroom.take(usize::MAX).unwrap_err();
        assert_eq!(refused.bytes, usize::MAX);
        headroom.take(1 << 20).unwrap();
    }

    #[test]
    fn the_text_names_the_limit() {
        // spec: CARD-08
        let refused = NoMemory { bytes: 5 << 20, limit: Some(("RLIMIT_AS", 800 << 20)) };
        assert_eq!(refused.to_string(), "there is no memory for 5 MiB more (RLIMIT_AS is 800 MiB)");
        let refused = NoMemory { bytes: 100, limit: None };
        assert_eq!(refused.to_string(), "there is no memory for 100 bytes more");
    }
}
