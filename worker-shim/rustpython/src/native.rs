//! What Python code finds natively: `AudioView`, and what the worker's own Python calls.

pub(crate) mod audio;
pub(crate) mod fork;
pub(crate) mod worker;
