//! Limits that are checked before memory is allocated for what a peer sends.

use serde::{Deserialize, Serialize};

/// Upper bound of [`Limits::max_depth`], whatever is configured: values are walked by recursion,
/// and this depth fits the usual smallest stack of a thread (2 MiB) with room to spare.
pub const DEPTH_CEILING: u32 = 500;

/// Largest number of axes of an array (numpy's own limit).
pub const MAX_AXES: usize = 64;

/// Limits on what a peer may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Largest frame, header and blobs included, in bytes.
    pub max_frame_bytes: u64,
    /// Largest number of blobs in a frame.
    pub max_blobs: u32,
    /// Deepest nesting of containers in a value; a setting above [`DEPTH_CEILING`] acts like
    /// [`DEPTH_CEILING`].
    pub max_depth: u32,
}

impl Limits {
    /// The nesting limit that is enforced: `max_depth`, but never more than [`DEPTH_CEILING`].
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
