//! The first message of every connection, whose form never changes, and the protocol's versions.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::limits::Limits;
use crate::to_worker::Welcome;

/// First field of [`Hello`], by which a peer that is no worker is recognised.
pub const MAGIC: &str = "remotemedia";
/// The version of the protocol that workers of this build speak, and the newest one that its
/// orchestrator speaks.
pub const PROTOCOL_VERSION: u32 = 6;
/// First version with shared memory.
pub const SHARED_MEMORY_SINCE: u32 = 2;
/// First version with the messages `End` and `Ending`.
pub const END_SINCE: u32 = 5;
/// First version that sends the caller's environment with each session.
pub const SURROUNDINGS_SINCE: u32 = 5;
/// First version in which each side reports how long it took.
pub const REPORTS_SINCE: u32 = 6;
/// First version that sends buffers beside the pickle of node objects.
pub const BUFFERS_SINCE: u32 = 6;
/// First version with the message `Abort`.
pub const ABORT_SINCE: u32 = 6;
/// First version with the message `Retry`, and with failed calls that the worker keeps.
pub const RETRY_SINCE: u32 = 6;
/// First version with saved state: `Save`, `Restore`, and `saved` in `Open`.
pub const SAVED_STATE_SINCE: u32 = 6;
/// First version with the message `Batch`.
pub const BATCH_SINCE: u32 = 6;
/// First version with notes of calls (`capture` in `Open`).
pub const CAPTURE_SINCE: u32 = 6;
/// First version whose faults carry every fact as data, not only inside the message text.
pub const FACTS_SINCE: u32 = 6;
/// The oldest version that the orchestrator of this build speaks.
pub const OLDEST_PROTOCOL_VERSION: u32 = 1;

/// The worker's first message. Its form never changes; all later messages depend on the version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Always [`MAGIC`].
    pub magic: String,
    /// Protocol version that the worker speaks.
    pub protocol: u32,
    /// `cpython` or `rustpython`.
    pub interpreter: String,
    /// Version of the interpreter, for instance `3.11.7`.
    pub interpreter_version: String,
    /// Version of the RemoteMedia package in the worker.
    pub package_version: String,
    /// Process id of the worker.
    pub pid: u32,
}

/// Why two sides have no common version of the protocol.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum VersionError {
    /// The worker's protocol is older than the oldest one that the orchestrator speaks.
    #[error(
        "the worker ({interpreter} {interpreter_version}, remotemedia {package_version}) speaks \
         protocol {worker}, but this orchestrator (remotemedia {own_package_version}) needs {oldest} \
         to {newest}: update remotemedia to {own_package_version} in the worker's environment"
    )]
    WorkerTooOld {
        /// Version that the worker speaks.
        worker: u32,
        /// Oldest version that this side speaks.
        oldest: u32,
        /// Newest version that this side speaks.
        newest: u32,
        /// Kind of the worker's interpreter.
        interpreter: String,
        /// Version of the worker's interpreter.
        interpreter_version: String,
        /// Version of the worker's package.
        package_version: String,
        /// Version of this side's package.
        own_package_version: &'static str,
    },
    /// The worker's protocol is newer than the newest one that the orchestrator speaks.
    #[error(
        "the worker ({interpreter} {interpreter_version}, remotemedia {package_version}) speaks \
         protocol {worker}, but this orchestrator (remotemedia {own_package_version}) speaks \
         {newest} at most: update remotemedia to {package_version} in the caller's environment"
    )]
    WorkerTooNew {
        /// Version that the worker speaks.
        worker: u32,
        /// Newest version that this side speaks.
        newest: u32,
        /// Kind of the worker's interpreter.
        interpreter: String,
        /// Version of the worker's interpreter.
        interpreter_version: String,
        /// Version of the worker's package.
        package_version: String,
        /// Version of this side's package.
        own_package_version: &'static str,
    },
    /// The orchestrator's `Welcome` names another version than the worker speaks.
    #[error(
        "the orchestrator chose protocol {chosen}, but this worker speaks {own}: install the same \
         version of remotemedia on both sides"
    )]
    NotOffered {
        /// Version in the orchestrator's `Welcome`.
        chosen: u32,
        /// Version that this worker speaks.
        own: u32,
    },
}

impl Hello {
    /// The `Hello` of a worker of this build.
    #[must_use]
    pub fn new(interpreter: &str, interpreter_version: &str, package_version: &str) -> Self {
        Self {
            magic: MAGIC.to_owned(),
            protocol: PROTOCOL_VERSION,
            interpreter: interpreter.to_owned(),
            interpreter_version: interpreter_version.to_owned(),
            package_version: package_version.to_owned(),
            pid: std::process::id(),
        }
    }
}

/// The orchestrator's answer to a worker's `Hello`: the version that the worker speaks, and the
/// default limits, which the caller may replace.
///
/// # Errors
///
/// [`VersionError::WorkerTooOld`] or [`VersionError::WorkerTooNew`].
pub fn negotiate(hello: &Hello) -> Result<Welcome, VersionError> {
    let Hello { protocol: worker, interpreter, interpreter_version, package_version, .. } =
        hello.clone();
    let own_package_version = env!("CARGO_PKG_VERSION");
    let (oldest, newest) = (OLDEST_PROTOCOL_VERSION, PROTOCOL_VERSION);
    if worker > newest {
        return Err(VersionError::WorkerTooNew {
            worker,
            newest,
            interpreter,
            interpreter_version,
            package_version,
            own_package_version,
        });
    }
    if worker < oldest {
        return Err(VersionError::WorkerTooOld {
            worker,
            oldest,
            newest,
            interpreter,
            interpreter_version,
            package_version,
            own_package_version,
        });
    }
    Ok(Welcome { protocol: worker, limits: Limits::default() })
}

/// The worker's check of the orchestrator's answer.
///
/// # Errors
///
/// [`VersionError::NotOffered`] when `welcome` names another version than this worker speaks.
pub fn accept(welcome: &Welcome) -> Result<(), VersionError> {
    if welcome.protocol == PROTOCOL_VERSION {
        return Ok(());
    }
    Err(VersionError::NotOffered { chosen: welcome.protocol, own: PROTOCOL_VERSION })
}
