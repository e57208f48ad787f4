//! Native modules for Python code: `AudioView`, and the functions that the worker's own Python code
//! calls.

pub(crate) mod audio;
pub(crate) mod fork;
pub(crate) mod worker;
