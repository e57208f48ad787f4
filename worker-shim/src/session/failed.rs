//! Failures that belong to no call.

use ipc_protocol::from_worker::Failed;
use ipc_protocol::patience::Report;
use ipc_protocol::{CodecError, Fault, FaultKind, FrameError};

use super::{SessionError, fault};
use crate::link::LinkError;

/// The failure for an error that ends the connection.
pub(super) fn protocol_failure(error: &SessionError) -> Failed {
    let refused = match error {
        SessionError::Link(
            LinkError::Frame(FrameError::OutOfMemory(refused))
            | LinkError::Received(CodecError::OutOfMemory(refused)),
        ) => Some(refused),
        _ => None,
    };
    if let Some(refused) = refused {
        let text = format!("an item cannot be taken: {refused}");
        return without_call(fault(FaultKind::Marshal, "MemoryError", text));
    }
    without_call(fault(FaultKind::Protocol, "ProtocolError", error.to_string()))
}

/// A failure without a call.
pub(super) fn without_call(fault: Fault) -> Failed {
    Failed { stage: None, call: 0, fault, usage: Vec::new(), worked: Report::ABSENT }
}
