//! The sections of the configuration: in each module the declarations of its settings, and how the
//! rest of the orchestrator gets them.

mod calls;
mod limits;
mod operation;
mod pools;
mod python;
mod shared_memory;
mod workers;

pub use calls::CallsConfig;
pub use limits::{LimitsConfig, OutputConfig};
pub use operation::{FilesConfig, StatusConfig};
pub use pools::OwnPoolConfig;
pub(crate) use python::module_settings;
pub use python::{FallbackConfig, PythonConfig, RustPythonConfig};
pub use shared_memory::{SegmentChoice, SharedMemoryConfig};
pub use workers::{PoolBounds, WorkersConfig};
