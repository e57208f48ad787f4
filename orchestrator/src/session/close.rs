//! Closing: nodes clean up, their changed state comes back, workers return to the pool. Workers
//! that are in the middle of something, or do not answer in time, are ended.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ipc_protocol::ToWorker;
use ipc_protocol::from_worker::{Closed, FromWorker, LogRecord};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;

use super::slot::News;
use super::{Host, Session};
use crate::error::{Error, NodeFailure};
use crate::plan::Runtime;
use crate::schedule::SlotId;
use crate::worker::memory;
use crate::worker::supervisor::Returned;

/// Time that calls under way have to end before the session's end ends them.
const DRAIN_GRACE: Duration = Duration::from_millis(100);
/// Time for cleaning up after a run that was cancelled: the caller waits for it.
const CANCELLED_GRACE: Duration = Duration::from_millis(50);

/// The state of a node object after the session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenBack {
    /// Id of the node in the manifest.
    pub node_id: String,
    /// A pickle of the dict of its changed attributes and the list of the deleted ones.
    pub attributes: Bytes,
}

/// What is left of a session.
#[derive(Debug, Default)]
pub struct ClosedSession {
    /// Node objects that changed.
    pub states: Vec<WrittenBack>,
    /// Nodes whose `cleanup` raised, and workers that died in it.
    pub failures: Vec<Error>,
}

impl Session {
    /// Closes the session. Closing twice does nothing.
    #[must_use = "nodes may have failed to clean up"]
    pub fn close(&mut self, host: &mut dyn Host) -> ClosedSession {
        let mut closed = ClosedSession::default();
        if !std::mem::replace(&mut self.is_open, false) || self.is_inherited() {
            return closed;
        }
        self.failure = None;
        let cancelled = self.cancel.is_cancelled();
        let grace =
            if cancelled { CANCELLED_GRACE } else { self.runtime.config().workers.close_timeout };
        self.core.stop();
        self.drain(host);
        let mut pending = self.ask_to_close(&mut closed);
        let until = Instant::now() + grace;
        while !pending.is_empty() && Instant::now() < until {
            if self.wait_closing(until, host).is_err() {
                break;
            }
            pending.retain(|slot| !self.hear_closing(*slot, &mut closed, host));
        }
        for slot in pending {
            closed.failures.push(self.overdue_cleanup(slot, grace));
            self.end_worker(slot);
        }
        self.abandon_workers();
        closed
    }

    /// Lets calls that are under way end, so that their workers can clean up. Those that a stage
    /// holds suspended need not: the farewell drops them.
    fn drain(&mut self, host: &mut dyn Host) {
        let grace = if self.cancel.is_cancelled() { CANCELLED_GRACE / 2 } else { DRAIN_GRACE };
        let until = Instant::now() + grace;
        while (0..self.slots.len()).any(|slot| self.is_working(slot)) && Instant::now() < until {
            if self.wait_closing(until, host).is_err() || self.hear_all(host).is_err() {
                return;
            }
        }
    }

    fn is_working(&self, slot: SlotId) -> bool {
        self.slots[slot].calls.keys().any(|stage| self.core.is_running(*stage))
    }

    /// Sends the farewell to every worker that can hear it, and ends the others.
    fn ask_to_close(&mut self, closed: &mut ClosedSession) -> Vec<SlotId> {
        let mut pending = Vec::new();
        for slot in 0..self.slots.len() {
            let is_busy = self.is_working(slot);
            let Some(worker) = &mut self.slots[slot].worker else { continue };
            if is_busy {
                self.end_worker(slot);
            } else if let Err(error) = worker.link.send(ToWorker::Close, None) {
                let source = std::io::Error::other(error.to_string());
                closed.failures.push(Error::Os { action: "closing a session", source });
                self.end_worker(slot);
            } else {
                pending.push(slot);
            }
        }
        pending
    }

    /// Like the session's wait, but not stopped by the cancellation that may have led here.
    fn wait_closing(&self, until: Instant, host: &mut dyn Host) -> Result<(), Error> {
        host.before_blocking()?;
        let workers = self.slots.iter().filter_map(|slot| slot.worker.as_ref());
        let mut fds: Vec<PollFd<'_>> =
            workers.map(|worker| PollFd::new(worker.link.as_fd(), PollFlags::POLLIN)).collect();
        fds.push(PollFd::new(self.cancel.waker.as_fd(), PollFlags::POLLIN));
        let has_source = host.interrupt_source().map(|source| {
            fds.push(PollFd::new(source, PollFlags::POLLIN));
        });
        let left = TimeSpec::from_duration(until.saturating_duration_since(Instant::now()));
        let waited = ppoll(&mut fds, Some(left), None);
        let has_news = |fd: &PollFd<'_>| fd.revents().is_some_and(|events| !events.is_empty());
        let signalled = has_source.is_some() && fds.last().is_some_and(has_news);
        if signalled || waited == Err(Errno::EINTR) {
            host.check_interrupt()?;
        }
        self.cancel.waker.drain();
        self.forward_raw_output(host);
        Ok(())
    }

    /// Handles what a worker says while it closes; true when it is done with the session.
    fn hear_closing(
        &mut self,
        slot: SlotId,
        closed: &mut ClosedSession,
        host: &mut dyn Host,
    ) -> bool {
        loop {
            match self.slots[slot].receive() {
                News::Nothing => return false,
                News::Message(FromWorker::Closed(farewell)) => {
                    self.take_farewell(slot, farewell, closed, host);
                    return true;
                }
                News::Message(FromWorker::Log(record)) => self.hear_log(slot, &record, host),
                // Outputs of calls that were given up.
                News::Message(_) => {}
                News::Gone(reason) => {
                    self.forward_raw_output(host);
                    self.lose_worker(slot, reason.as_ref());
                    closed.failures.extend(self.failure.take());
                    return true;
                }
            }
        }
    }

    fn take_farewell(
        &mut self,
        slot: SlotId,
        farewell: Closed,
        closed: &mut ClosedSession,
        host: &mut dyn Host,
    ) {
        let farewell_of = std::mem::take(&mut self.slots[slot].opened);
        let lives_here = |id: &str| {
            let stages = farewell_of.iter().filter(|stage| self.slots[slot].stages.contains(stage));
            stages.flat_map(|stage| &self.plan.stages[*stage].nodes).any(|node| node.id == id)
        };
        // What a node left behind when it moved is not its state.
        for state in farewell.states.into_iter().filter(|state| lives_here(&state.node_id)) {
            for (name, reason) in &state.kept {
                host.log(&kept_record(&state.node_id, name, reason));
            }
            let attributes = state.attributes.to_bytes();
            closed.states.push(WrittenBack { node_id: state.node_id, attributes });
        }
        closed.failures.extend(farewell.faults.into_iter().map(Self::from_fault));
        let Some(worker) = self.slots[slot].worker.take() else { return };
        if !farewell.left.is_empty() {
            let nodes = farewell_of.iter().flat_map(|stage| &self.plan.stages[*stage].nodes);
            let nodes: Vec<&str> = nodes.map(|node| node.id.as_str()).collect();
            host.log(&retired_record(worker.process.pid, &nodes, &farewell.left));
        }
        let limit = match self.slots[slot].runtime {
            Runtime::RustPython => self.runtime.config().rustpython.pool.recycle_above_memory_bytes,
            _ => self.runtime.config().workers.pool.recycle_above_memory_bytes,
        };
        let too_big = |limit| memory::resident_bytes(worker.process.pid) > limit;
        let is_used_up = !farewell.left.is_empty() || limit.is_some_and(too_big);
        let returned = if is_used_up { Returned::UsedUp } else { Returned::Reusable };
        if let Some(pool) = &self.pool {
            pool.give_back(worker, returned);
        }
    }

    fn overdue_cleanup(&self, slot: SlotId, grace: Duration) -> Error {
        let node_id = self.running_node(slot).unwrap_or_default();
        let failure = NodeFailure {
            node_id,
            operation: ipc_protocol::FaultKind::Cleanup,
            remote_type: "TimeoutError".to_owned(),
            message: format!(
                "cleanup took longer than {} ms and its worker was ended; raise [workers] \
                 close_timeout if it needs that long",
                grace.as_millis()
            ),
            traceback: String::new(),
            import: None,
            advice: None,
        };
        Error::Node(Box::new(failure))
    }

    /// Ends the worker in a slot; nothing of it is waited for.
    pub(super) fn end_worker(&mut self, slot: SlotId) {
        let ended = &mut self.slots[slot];
        ended.calls.clear();
        ended.is_open = false;
        if let Some(worker) = ended.worker.take() {
            worker.process.kill();
            if let Some(pool) = &self.pool {
                pool.give_back(worker, Returned::Broken);
            }
        }
    }

    /// Gives a worker back that has no nodes.
    pub(super) fn return_worker(&mut self, slot: SlotId, returned: Returned) {
        if let (Some(worker), Some(pool)) = (self.slots[slot].worker.take(), &self.pool) {
            pool.give_back(worker, returned);
        }
    }

    /// Gives workers back that were never given nodes, or could not make them.
    pub(super) fn return_unopened(&mut self) {
        for slot in 0..self.slots.len() {
            if !self.slots[slot].is_open {
                self.return_worker(slot, Returned::Reusable);
            }
        }
    }

    /// Ends every worker that the session still holds.
    pub(super) fn abandon_workers(&mut self) {
        for slot in 0..self.slots.len() {
            self.end_worker(slot);
        }
    }
}

/// Tells of an attribute that changed and stays in the worker. That is common (models, files), so
/// it is information and no warning.
fn kept_record(node_id: &str, name: &str, reason: &str) -> LogRecord {
    let message = format!("attribute '{name}' of node '{node_id}' stays in its worker: {reason}");
    info_record(node_id.to_owned(), message)
}

/// Tells why the next session starts a worker. Costly for a pipeline that runs often, and no error.
fn retired_record(pid: u32, nodes: &[&str], left: &[String]) -> LogRecord {
    let message = format!(
        "the worker of {} (pid {pid}) is replaced: the session left {} that cannot be put back",
        nodes.join(", "),
        left.join(", ")
    );
    info_record(String::new(), message)
}

fn info_record(node_id: String, message: String) -> LogRecord {
    LogRecord {
        node_id,
        logger: "remotemedia".to_owned(),
        is_stream: false,
        level: 20,
        message,
        place: None,
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.is_inherited() {
            std::mem::forget(std::mem::take(&mut self.slots));
            return;
        }
        self.abandon_workers();
    }
}
