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

/// Asks an idle worker to end. Returns the link that its answer will come on; one whose protocol lacks
/// the question ends when its link closes, as here.
fn ask(worker: Worker) -> Option<Link> {
    let Worker { mut link, protocol, .. } = worker;
    let is_asked = protocol >= END_SINCE && link.send(ToWorker::End, None).is_ok();
    is_asked.then_some(link)
}

/// A worker that was asked to end.
#[derive(Debug)]
struct Asked {
    process: Arc<Process>,
    link: Link,
}

impl Asked {
    /// Whether the worker has answered, or will not. What it sends besides is of no use.
    fn has_answered(&mut self) -> bool {
        loop {
            match self.link.receive() {
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
fn await_answers(mut asked: Vec<Asked>) -> Vec<Asked> {
    let until = Instant::now() + ANSWER_GRACE;
    loop {
        asked.retain_mut(|worker| !worker.has_answered());
        let left = until.saturating_duration_since(Instant::now());
        if asked.is_empty() || left.is_zero() {
            return asked;
        }
        let links = asked.iter().map(|worker| worker.link.as_fd());
        let mut fds: Vec<_> = links.map(|link| PollFd::new(link, PollFlags::POLLIN)).collect();
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

    /// Kills every worker, with its process group, but for those that end by themselves. Returns the
    /// ones among these whose answers have not been waited for.
    fn begin_close(&self) -> Vec<Asked> {
        let mut state = self.shared.lock();
        self.shared.apply(&mut state, PoolEvent::Close);
        self.shared.command(Command::Close);
        let State { processes, ending, .. } = &mut *state;
        let mut asked = Vec::new();
        for (id, process) in processes {
            match ending.get_mut(id).map(Option::take) {
                None => process.kill_group(),
                Some(None) => {}
                Some(Some(link)) => asked.push(Asked { process: Arc::clone(process), link }),
            }
        }
        asked
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
        state.ending.insert(worker, ask(idle));
    }
}

/// Lets a worker end by itself, then insists.
pub(super) async fn await_end(process: Arc<Process>) {
    let _in_time = tokio::time::timeout(END_GRACE, process.ended()).await;
    process.kill();
}
