//! Ends workers that are not needed any more: an idle one is asked to end and exits by itself, any
//! other is killed. Closing a pool waits for no exit, only for the answers of the workers asked.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ipc_protocol::version::END_SINCE;
use ipc_protocol::{FromWorker, ToWorker};
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;

use super::{Command, Pool, PoolState, Shared};
use crate::placement::CPYTHON_POOL;
use crate::worker::link::{Link, Received};
use crate::worker::pool::PoolEvent;
use crate::worker::process::Process;
use crate::worker::{Worker, WorkerId};

/// How long a worker that was asked to end may take to exit, for its `atexit` functions and its
/// resource tracker, before it is killed.
const END_GRACE: Duration = Duration::from_secs(5);
/// Longest wait between SIGTERM and SIGKILL for a worker that has missed a deadline.
const TERM_GRACE: Duration = Duration::from_millis(250);
/// How long closing waits for answers. A worker that has not answered is killed by the kernel when
/// this process ends.
const ANSWER_GRACE: Duration = Duration::from_millis(10);

/// How long workers wait for this process to exit first. A program that exited at the same time as
/// its four workers took 100 ms longer (`benches/peers/exit.py`, two processors).
const EXIT_PATIENCE: Duration = Duration::from_secs(1);

/// Asks an idle worker to end. Returns the link on which its answer will come. A worker whose
/// protocol lacks `End` ends because its link is closed here.
fn ask(worker: Worker, patience: Duration) -> Option<Link> {
    let Worker { mut link, protocol, .. } = worker;
    let patience_ms = u32::try_from(patience.as_millis()).unwrap_or(u32::MAX);
    let is_asked = protocol >= END_SINCE && link.send(ToWorker::End(patience_ms), None).is_ok();
    is_asked.then_some(link)
}

/// A worker that was asked to end.
#[derive(Debug)]
struct Asked {
    process: Arc<Process>,
    link: Link,
    has_answered: bool,
}

impl Asked {
    /// Reads until the worker has answered or closed its link. Other messages are dropped.
    fn read(&mut self) {
        while !self.has_answered {
            match self.link.receive() {
                Ok(Received::Nothing) => return,
                Ok(Received::Message(FromWorker::Ending) | Received::Closed) | Err(_) => {
                    self.has_answered = true;
                }
                Ok(Received::Message(_)) => {}
            }
        }
    }
}

/// Waits for the answers of all, at most [`ANSWER_GRACE`].
fn await_answers(asked: &mut [Asked]) {
    let until = Instant::now() + ANSWER_GRACE;
    loop {
        asked.iter_mut().for_each(Asked::read);
        let silent = asked.iter().filter(|worker| !worker.has_answered);
        let mut fds: Vec<_> =
            silent.map(|worker| PollFd::new(worker.link.as_fd(), PollFlags::POLLIN)).collect();
        let left = until.saturating_duration_since(Instant::now());
        if fds.is_empty() || left.is_zero() {
            return;
        }
        // A signal ends the wait early; the loop then checks the answers and waits again.
        let _ready = ppoll(&mut fds, Some(TimeSpec::from_duration(left)), None);
    }
}

impl Pool {
    /// Ends every worker. Returns once the idle ones have answered that they end, or after 10 ms; the
    /// supervisor stays until all processes are gone.
    pub fn close(&self) {
        // The supervisor waits for the exit of workers that have not answered in time.
        await_answers(&mut self.begin_close(Duration::ZERO));
    }

    /// Closes pools right before this process exits. Their supervisors end with it and cannot wait
    /// for late workers, so workers that have not answered in time are killed.
    pub fn close_for_exit(pools: &[Arc<Self>]) {
        let mut asked: Vec<Asked> =
            pools.iter().flat_map(|pool| pool.begin_close(EXIT_PATIENCE)).collect();
        await_answers(&mut asked);
        let late = asked.iter().filter(|worker| !worker.has_answered);
        late.for_each(|worker| worker.process.kill_group());
        // The exit of this process closes the links, and only then the workers exit.
        std::mem::forget(asked);
    }

    /// Asks idle workers to end and kills all others with their process groups. Returns the workers
    /// whose answers are still to be waited for.
    fn begin_close(&self, patience: Duration) -> Vec<Asked> {
        let mut state = self.shared.lock();
        state.patience = patience;
        self.shared.apply(&mut state, PoolEvent::Close);
        self.shared.command(Command::Close);
        self.shared.allow_long_ends(&state);
        let PoolState { processes, ending, stopping, .. } = &mut *state;
        let mut asked = Vec::new();
        for (id, process) in processes {
            match ending.get_mut(id).map(Option::take) {
                // One that is being stopped ends in its time, unless this program ends now. Its resource
                // tracker is left to clean up.
                None if stopping.contains_key(id) && patience.is_zero() => {}
                None if stopping.contains_key(id) => process.kill(),
                None => process.kill_group(),
                Some(None) => {}
                Some(Some(link)) => {
                    let process = Arc::clone(process);
                    asked.push(Asked { process, link, has_answered: false });
                }
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
    /// Ends a worker: asks it to end if it is idle, and kills it otherwise. A parked one, which the pool
    /// does not know any more, has run no node, so that it has nothing to end in order.
    pub(super) fn end(&self, state: &mut PoolState, worker: WorkerId) {
        let Some(process) = state.processes.get(&worker) else { return };
        let idle = state.idle.remove(&worker);
        let Some(idle) = idle.filter(|_| state.core.kind_of(worker).is_some()) else {
            process.retire();
            return;
        };
        self.command(Command::AwaitEnd(Arc::clone(process)));
        // The output keeps the link open, too.
        state.outputs.remove(&worker);
        state.ending.insert(worker, ask(idle, state.patience));
    }
}

impl Shared {
    /// Begins to end a worker that has missed a deadline and whose node code was interrupted. If that
    /// helps, it cleans its nodes up and ends in order.
    pub(super) fn stop(&self, state: &mut PoolState, mut worker: Worker) {
        let (id, process) = (worker.id, Arc::clone(&worker.process));
        // The output keeps the link open, too.
        state.outputs.remove(&id);
        // A link that is broken ends the worker as well.
        let _broken = worker.link.send(ToWorker::Close, None);
        state.stopping.insert(id, ask(worker, Duration::ZERO));
        let pool = state.core.kind_of(id).map_or(CPYTHON_POOL, |key| key.pool);
        let grace = self.options().pools[pool].stop_grace;
        self.command(Command::Stop(process, grace));
    }
}

/// Waits for a worker that was interrupted to end, then sends it SIGTERM, waits again, and kills it.
pub(super) async fn stop(process: Arc<Process>, grace: Duration) {
    if tokio::time::timeout(grace, process.ended()).await.is_ok() {
        return;
    }
    process.terminate();
    let _in_time = tokio::time::timeout(grace.min(TERM_GRACE), process.ended()).await;
    process.kill();
}

/// Waits for a worker to exit by itself, and kills it after [`END_GRACE`].
pub(super) async fn await_end(process: Arc<Process>) {
    let _in_time = tokio::time::timeout(END_GRACE, process.ended()).await;
    process.kill();
}
