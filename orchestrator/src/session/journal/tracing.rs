//! The recording of a session, for callers that asked for one.

use ipc_protocol::from_worker::LogRecord;

use super::{DEBUG, Journal, notice};
use crate::config::env;
use crate::error::Error;
use crate::options::OpenOptions;
use crate::plan::Plan;
use crate::session::Host;
use crate::trace::{Due, Recording, Trace};

/// The logger that gets each crossing of a session that is debugged.
const CROSSINGS: &str = "remotemedia.debug";

impl Journal {
    /// Begins to record, if the options or the environment ask for it.
    ///
    /// # Errors
    /// When the environment has an unknown word.
    pub(in crate::session) fn begin_trace(
        &mut self,
        plan: &Plan,
        options: &OpenOptions,
    ) -> Result<(), Error> {
        let tells = options.debug.map_or_else(env::debug, Ok)?;
        self.trace = (tells || options.profile).then(|| Trace::new(plan, tells));
        Ok(())
    }

    /// The recording, readable by other threads while the session runs.
    pub(in crate::session) fn shared_trace(&self) -> Option<Trace> {
        self.trace.clone()
    }

    /// Adds to the recording, if there is one.
    pub(in crate::session) fn trace(&self, note: impl FnOnce(&mut Recording)) {
        if let Some(trace) = &self.trace {
            note(&mut trace.lock());
        }
    }

    /// Has the host show lines about crossings that wait; `at_once`: none may wait any longer.
    pub(in crate::session) fn show_lines(&self, host: &mut dyn Host, at_once: bool) {
        let Some(trace) = self.trace.as_ref().filter(|trace| trace.tells()) else { return };
        let due = match at_once {
            true if trace.lock().has_lines() => Due::Now,
            true => Due::Never,
            false => trace.lock().lines_due(),
        };
        if due != Due::Never {
            host.show_lines(trace, due);
        }
    }
}

/// Takes the lines about crossings, as a log record.
pub(in crate::session) fn crossings(trace: &Trace) -> Option<LogRecord> {
    let lines = trace.lock().take_told_lines()?;
    Some(LogRecord { logger: CROSSINGS.to_owned(), ..notice("", DEBUG, lines) })
}
