//! The caller that the tests of failing workers need.

use ipc_protocol::from_worker::LogRecord;
use orchestrator::Error;
use orchestrator::session::Host;

/// A caller that is never interrupted and does not listen.
pub(crate) struct Quiet;

impl Host for Quiet {
    fn check_interrupt(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn log(&mut self, _: &LogRecord) {}
}
