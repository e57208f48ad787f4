//! Records about workers that a session goes on without, and about state that is not saved.

use super::{DEBUG, Journal, WARNING, first_line, notice};
use crate::error::Error;

impl Journal {
    /// No worker stands by for these nodes, because it ended or could not start. The next checkpoint
    /// tries again.
    pub(in crate::session) fn note_no_standby(&mut self, nodes: &[&str], error: &Error) {
        let message =
            format!("no worker stands by for {}: {}", nodes.join(", "), first_line(error));
        self.notices.push(notice(nodes.first().copied().unwrap_or_default(), DEBUG, message));
    }

    /// A further replica of these nodes has no worker: the others do its work.
    pub(in crate::session) fn note_fewer(&mut self, nodes: &[&str], error: &Error) {
        let level = if matches!(error, Error::Overloaded { .. }) { DEBUG } else { WARNING };
        let message = format!("{} runs on fewer replicas: {}", nodes.join(", "), first_line(error));
        self.notices.push(notice(nodes.first().copied().unwrap_or_default(), level, message));
    }

    /// A node could not save its state.
    pub(in crate::session) fn note_unsaved(&mut self, error: &Error) {
        let message =
            format!("its state is not saved, and the checkpoint before it is kept: {error}");
        self.notices.push(notice(error.node_id().unwrap_or_default(), WARNING, message));
    }

    /// The state of these nodes can no longer be restored.
    pub(in crate::session) fn note_state_given_up(&mut self, nodes: &[&str]) {
        let message = format!(
            "the state of {} is lost if its worker dies now: it could not be saved or restored",
            nodes.join(", ")
        );
        self.notices.push(notice(nodes.first().copied().unwrap_or_default(), WARNING, message));
    }
}
