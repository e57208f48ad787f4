//! Workers that are not needed any more: an idle one is asked to end and ends by itself, any other is
//! killed. Closing a pool waits for neither, only for the answers of those that were asked.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ipc_protocol::version::END_SINCE;
use ipc_protocol::{FromWorker, ToWorker};
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;

use super::{Command, Pool, Shared, State};
use crate::worker::link::{Link, Received};
use crate::worker::pool::PoolEvent;
use crate::worker::process::Process;
use crate::worker::{Worker, WorkerId};

/// How long a worker that was asked to end may take: its `atexit` functions and resource tracker run.
const END_GRACE: Duration = Duration::from_secs(5);
/// How long closing waits for answers. Until a worker has answered, the end of this process kills it.
const ANSWER_GRACE: Duration = Duration::from_millis(10);

/// A worker that was asked to end.
#[derive(Debug)]
pub(super) struct Ending {
    process: Arc<Process>,
    /// Absent when no answer will come.
    link: Option<Link>,
}

impl Ending {
    /// Asks an idle worker to end. One whose protocol lacks the question ends when its link closes.
    pub(super) fn ask(worker: Worker) -> Self {
        let Worker { process, mut link, protocol, .. } = worker;
        let is_asked = protocol >= END_SINCE && link.send(ToWorker::End, None).is_ok();
        Self { process, link: is_asked.then_some(link) }
    }

    /// Whether the worker has answered, or will not. What it sends besides is of no use.
    fn has_answered(&mut self) -> bool {
        let Some(link) = &mut self.link else { return true };
        loop {
            match link.receive() {
                Ok(Received::Nothing) => return false,
                Ok(Received::Message(FromWorker::Ending) | Received::Closed) | Err(_) => {
                    return true;
                }
                Ok(Received::Message(_)) => {}
            }
        }
    }
}

/// Waits for the answers of all, at most [`ANSWER_GRACE`]. Returns those that have not answered.
fn await_answers(mut asked: Vec<Ending>) -> Vec<Ending> {
    let until = Instant::now() + ANSWER_GRACE;
    loop {
        asked.retain_mut(|ending| !ending.has_answered());
        let left = until.saturating_duration_since(Instant::now());
        if asked.is_empty() || left.is_zero() {
            return asked;
        }
        let links = asked.iter().filter_map(|ending| ending.link.as_ref());
        let mut fds: Vec<PollFd<'_>> =
            links.map(|link| PollFd::new(link.as_fd(), PollFlags::POLLIN)).collect();
        // After a signal the answers are looked at again.
        let _ready = ppoll(&mut fds, Some(TimeSpec::from_duration(left)), None);
    }
}

impl Pool {
    /// Ends every worker. Returns once the idle ones have answered that they end, or after 10 ms; the
    /// supervisor stays until all processes are gone.
    pub fn close(&self) {
        let _late_ones_are_waited_for_by_the_supervisor = await_answers(self.begin_close());
    }

    /// Closes pools right before this process ends, and their supervisors with it. So workers that have
    /// not answered in time are killed.
    pub fn close_for_exit(pools: &[Arc<Self>]) {
        let asked = pools.iter().flat_map(|pool| pool.begin_close()).collect();
        for late in await_answers(asked) {
            late.process.kill_group();
        }
    }

    /// Kills every worker, with its process group, but for those that were asked to end, now or
    /// before. Returns these.
    fn begin_close(&self) -> Vec<Ending> {
        let mut state = self.shared.lock();
        self.shared.apply(&mut state, PoolEvent::Close);
        self.shared.command(Command::Close);
        let ending = std::mem::take(&mut state.ending);
        let others = state.processes.iter().filter(|(id, _)| !ending.contains_key(id));
        others.for_each(|(_, process)| process.kill_group());
        ending.into_values().collect()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    /// Ends a worker as the core wants it.
    pub(super) fn end(&self, state: &mut State, worker: WorkerId) {
        let Some(process) = state.processes.get(&worker) else { return };
        let Some(idle) = state.idle.remove(&worker) else {
            process.retire();
            return;
        };
        self.command(Command::AwaitEnd(Arc::clone(process)));
        // It holds the link too.
        state.outputs.remove(&worker);
        state.ending.insert(worker, Ending::ask(idle));
    }
}

/// Lets a worker end by itself, then insists.
pub(super) async fn await_end(process: Arc<Process>) {
    let _in_time = tokio::time::timeout(END_GRACE, process.ended()).await;
    process.kill();
}
