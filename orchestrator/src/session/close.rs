//! Closing: nodes clean up, their changed state is sent back, workers return to the pool. If nodes
//! still run, the caller waits only briefly, and a thread completes the closing.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ipc_protocol::from_worker::{LogRecord, NodeState};

use super::drive::Driver;
use super::journal::{WARNING, kept, notice};
use super::open::bounds;
use super::outfit::Outfit;
use super::shell::Shell;
use super::workers::Workers;
use super::{Host, Session};
use crate::error::Error;
use crate::options::OpenOptions;
use crate::runtime::Runtime;
use crate::schedule::{Core, Event};

/// How long closing waits while nodes still run, before a thread takes over.
const LEAVING_PATIENCE: Duration = Duration::from_millis(80);

/// The changed state of a node object, sent back when the session closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenBack {
    /// Id of the node in the manifest.
    pub node_id: String,
    /// A pickle of the dict of its changed attributes and the list of the deleted ones.
    pub attributes: Bytes,
}

/// The result of closing a session.
#[derive(Debug, Default)]
pub struct ClosedSession {
    /// The states of node objects that changed.
    pub states: Vec<WrittenBack>,
    /// Failures of `cleanup`: of nodes that raised in it, and of workers that died in it.
    pub failures: Vec<Error>,
}

impl ClosedSession {
    /// Adds the changed state of a node. What could not be sent is logged.
    pub(super) fn take_back(&mut self, state: NodeState, host: &mut dyn Host) {
        for (name, reason) in &state.kept {
            host.log(&kept(&state.node_id, name, reason));
        }
        let attributes = state.attributes.to_bytes();
        self.states.push(WrittenBack { node_id: state.node_id, attributes });
    }
}

/// The host of a session whose caller has left: the next session of the runtime gets its log.
struct Absent(Arc<Runtime>);

impl Host for Absent {
    fn check_interrupt(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn log(&mut self, record: &LogRecord) {
        self.0.keep_record(record.clone());
    }
}

impl Session {
    /// Closes the session. Closing twice does nothing. If nodes still run, or the session was
    /// cancelled, this waits for 80 ms at most, and a thread completes the closing. It does so too for
    /// workers that are to stand by and are not ready yet.
    #[must_use = "nodes may have failed to clean up"]
    pub fn close(&mut self, host: &mut dyn Host) -> ClosedSession {
        let driver = &mut self.driver;
        if driver.shell.closed.is_some() || driver.shell.workers.is_inherited() {
            return ClosedSession::default();
        }
        let since = Instant::now();
        driver.shell.closed = Some(ClosedSession::default());
        driver.shell.failures.first = None;
        driver.keep_breakers();
        let leaves = driver.core.slots().is_working() || driver.cancel.is_cancelled();
        let until = leaves.then(|| Instant::now() + LEAVING_PATIENCE);
        driver.feed(Event::Close);
        let waited = driver.drive(until, host, |driver| driver.core.slots().is_left_to_standbys());
        driver.shell.journal.trace(|trace| trace.end_closing(since));
        driver.shell.journal.tell(host);
        driver.shell.journal.show_lines(host, true);
        let closed = driver.shell.closed.replace(ClosedSession::default());
        if waited.is_err() || !driver.core.slots().is_closed() {
            driver.leave_behind();
        }
        closed.unwrap_or_default()
    }
}

impl Driver {
    /// Completes the closing on a thread, so that interrupted nodes can end and clean up.
    fn leave_behind(&mut self) {
        self.shell.workers.let_replace();
        let mut rest = std::mem::replace(self, self.without_workers());
        let finish = move || {
            let mut host = Absent(Arc::clone(&rest.shell.runtime));
            let is_done = |driver: &Self| driver.core.slots().is_closed();
            let _no_caller = rest.drive(None, &mut host, is_done);
            for failure in rest.shell.closed.take().unwrap_or_default().failures {
                let message = format!("in a session that its caller had left: {failure}");
                host.log(&notice("", WARNING, message));
            }
        };
        // If no thread can be started, `rest` is dropped, which kills its workers.
        let _detached = thread::Builder::new().name("remotemedia-closing".to_owned()).spawn(finish);
    }

    /// A closed driver with the same plan and metrics, but without workers.
    fn without_workers(&self) -> Self {
        let runtime = &self.shell.runtime;
        let outfit = Outfit::new(Arc::clone(runtime), OpenOptions::default());
        let workers = Workers::new([], self.cancel.clone());
        let (layout, journal) = (self.shell.layout.settled(), self.shell.journal.clone());
        let mut shell = Shell::new(layout, workers, journal, outfit);
        shell.closed = Some(ClosedSession::default());
        let core = Core::new(Vec::new(), &[], bounds(&runtime.settings()));
        Self::new(core, shell, self.cancel.clone())
    }
}
