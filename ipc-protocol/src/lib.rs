//! The protocol between the orchestrator and its workers: values, messages, codec, frames, limits,
//! versions, shared memory, and the marks of processes. This crate knows nothing of starting processes,
//! async, Python or graphs.
//!
//! `PROTOCOL.md` beside this crate is the specification; this crate is its only implementation.
//!
//! Layers, lowest first; each uses only those before it: `memory` (bytes), `array` and `value`, the
//! messages (`to_worker`, `from_worker`, `share`, `kept`; `visit` walks over their values), `codec` with
//! `frame` (messages as bytes), `exchange` (messages whose arrays lie in shared memory).

pub mod array;
pub mod codec;
pub mod error;
pub mod exchange;
pub mod fault;
pub mod frame;
pub mod from_worker;
pub mod kept;
pub mod kin;
pub mod limits;
pub mod memory;
pub mod patience;
pub mod recorder;
pub mod share;
pub mod to_worker;
pub mod value;
pub mod version;
pub mod visit;

pub use array::{Array, ArrayError, Dtype, Order, OwnMemory, Owned, Payload, PayloadMemory};
pub use error::{CodecError, FrameError};
pub use fault::{Fault, FaultDetail, FaultKind, ImportFault, ImportReason, Part, Raised};
pub use from_worker::FromWorker;
pub use limits::Limits;
pub use serde_bytes::ByteBuf;
pub use to_worker::ToWorker;
pub use value::{Audio, Opaque, Value};
pub use version::{Hello, VersionError};
