//! The orchestrator: it plans graphs of audio nodes and runs them over native code and pooled
//! worker processes. It links no interpreter; an engine is only a name here.

pub mod catalog;
pub mod choice;
pub mod cli;
pub mod config;
pub mod error;
pub mod explain;
pub mod failure;
pub mod fallback;
pub mod graph;
pub mod limits;
pub mod manifest;
pub mod metrics;
pub mod model;
pub mod options;
pub mod placement;
pub mod plan;
pub mod postmortem;
pub mod reason;
pub mod runtime;
pub mod schedule;
pub mod session;
#[cfg(test)]
mod test_schema;
pub mod trace;
pub mod value_json;
pub mod worker;

pub use config::Config;
pub use error::Error;
pub use model::Manifest;
pub use runtime::Runtime;
pub use session::Session;
