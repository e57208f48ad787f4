//! What a session says about shared memory: how inputs travelled, and what its user should know.

use ipc_protocol::from_worker::{LogRecord, Moved};

use super::{Host, Session};
use crate::schedule::StageId;
use crate::worker::link::Sent;

/// Level of a warning in Python's `logging`.
pub(super) const WARNING: u32 = 30;
/// Level of information in Python's `logging`.
pub(super) const INFORMATION: u32 = 20;

impl Session {
    /// Counts how a stage's input travelled, and notes what is worth a warning, once each.
    pub(super) fn note_sent(&mut self, stage: StageId, sent: Sent) {
        self.spin.sent(sent.traffic.shared_bytes);
        let moved = Moved { incoming: sent.traffic, ..Moved::default() };
        self.metrics.count_moved(self.first_node[stage], moved);
        if let Some((node_id, bytes)) = sent.over_quota
            && self.warned.insert(node_id.to_string())
        {
            let message = format!(
                "node '{node_id}' keeps {bytes} bytes of its inputs; from now on it is given \
                 copies in its own memory (raise [shared_memory] pinned_max to lend it more)"
            );
            self.notices.push(warning(&node_id, message));
        }
        if let Some(error) = sent.failure {
            let node_id = self.holders[stage].to_string();
            let message = format!(
                "no shared memory for an input of node '{node_id}' ({error}); arrays travel inside \
                 messages, which is slower (see [shared_memory] in the configuration)"
            );
            self.notices.push(warning(&node_id, message));
        }
    }

    /// Tells the host what was noted.
    pub(super) fn show_notices(&mut self, host: &mut dyn Host) {
        for record in self.notices.drain(..) {
            host.log(&record);
        }
    }
}

fn warning(node_id: &str, message: String) -> LogRecord {
    notice(node_id, WARNING, message)
}

/// A record of the orchestrator's own.
pub(super) fn notice(node_id: &str, level: u32, message: String) -> LogRecord {
    LogRecord {
        node_id: node_id.to_owned(),
        logger: "remotemedia".to_owned(),
        is_stream: false,
        level,
        message,
        place: None,
    }
}
