//! Failures that belong to no call.

use ipc_protocol::from_worker::Failed;
use ipc_protocol::patience::Report;
use ipc_protocol::{Fault, FaultKind, FrameError};

use super::{SessionError, fault};
use crate::link::LinkError;

/// The failure for an error that ends the connection.
pub(super) fn protocol_failure(error: &SessionError) -> Failed {
    if let SessionError::Link(LinkError::Frame(FrameError::OutOfMemory { length })) = error {
        let text = format!("there is no memory for an item of {length} bytes");
        return without_call(fault(FaultKind::Marshal, "MemoryError", text));
    }
    without_call(fault(FaultKind::Protocol, "ProtocolError", error.to_string()))
}

/// A failure without a call.
pub(super) fn without_call(fault: Fault) -> Failed {
    Failed { stage: None, call: 0, fault, usage: Vec::new(), worked: Report::ABSENT }
}
