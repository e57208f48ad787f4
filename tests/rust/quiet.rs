//! A `Host` for the tests of failing workers.

use ipc_protocol::from_worker::LogRecord;
use orchestrator::Error;
use orchestrator::session::Host;

/// A host that is never interrupted and drops log records.
pub(crate) struct Quiet;

impl Host for Quiet {
    fn check_interrupt(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn log(&mut self, _: &LogRecord) {}
}
