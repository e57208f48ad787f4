//! The native nodes of RemoteMedia: the trait of a node, its parameters and their check, the
//! registry of built-in nodes, sample formats, and a reader of audio files. The crate knows nothing of workers,
//! Python or scheduling.

mod brief;
mod lanes;
mod resampler;

pub mod audio_file;
pub mod builtin;
pub mod error;
pub mod node;
pub mod panics;
pub mod params;
pub mod pcm;
pub mod registry;
pub mod suggest;

pub use error::{NodeError, NodeErrorKind};
pub use node::{Emit, Node, NodeType};
pub use params::{ParamKind, ParamProblem, ParamSpec, Params};
pub use registry::Registry;
