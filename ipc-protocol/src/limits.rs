//! Bounds that are checked before anything is allocated for a peer.

use serde::{Deserialize, Serialize};

/// Nesting of containers that no setting of [`Limits::max_depth`] can exceed: values are walked by
/// recursion, and this much fits the smallest usual stack of a thread (2 MiB) with room to spare.
pub const DEPTH_CEILING: u32 = 500;

/// Most axes that an array may have (numpy's own bound).
pub const MAX_AXES: usize = 64;

/// Limits on what a peer may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Largest frame, header and blobs included, in bytes.
    pub max_frame_bytes: u64,
    /// Largest number of blobs in a frame.
    pub max_blobs: u32,
    /// Deepest nesting of containers in a value; [`DEPTH_CEILING`] at most has effect.
    pub max_depth: u32,
}

impl Limits {
    /// The nesting that is enforced: `max_depth`, but never more than [`DEPTH_CEILING`].
    #[must_use]
    pub fn depth(&self) -> u32 {
        self.max_depth.min(DEPTH_CEILING)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_frame_bytes: 4 << 30, max_blobs: 1 << 20, max_depth: 200 }
    }
}
