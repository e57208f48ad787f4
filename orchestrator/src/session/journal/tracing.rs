//! The recording of a session, for callers that asked for one.

use super::{DEBUG, Journal, notice};
use crate::config::env;
use crate::error::Error;
use crate::options::OpenOptions;
use crate::plan::Plan;
use crate::trace::{Recording, Trace};

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

    /// Adds to the recording, if there is one. A line that this gives is logged.
    pub(in crate::session) fn trace(
        &mut self,
        note: impl FnOnce(&mut Recording) -> Option<String>,
    ) {
        let Some(trace) = &self.trace else { return };
        let line = note(&mut trace.lock());
        self.notices.extend(line.map(|line| {
            let mut record = notice("", DEBUG, line);
            CROSSINGS.clone_into(&mut record.logger);
            record
        }));
    }
}
