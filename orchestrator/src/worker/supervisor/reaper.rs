//! The reaper: a process that ends what nodes have started when this process and workers die at once.
//! It outlives this process and does nothing before; while this process lives, the watch of each
//! worker does the same.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::{Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};

use super::{PoolState, Shared};
use crate::worker::kinds::Kind;
use crate::worker::process::{await_readable, spawn_reaper};

/// How long after the first worker it starts. Until then the processor is left to the first item.
const START_DELAY: Duration = Duration::from_millis(100);
/// Deaths in a row after which it is given up.
const MOST_DEATHS: usize = 3;
/// One that has lived as long as this begins another row.
const LONG_LIFE: Duration = Duration::from_secs(10);
/// The number in the mark of a reaper: no worker has it.
const NUMBER: u64 = 0;

/// Keeps a reaper running on the interpreter of this kind, until this future is dropped.
pub(super) async fn keep(shared: Arc<Shared>, kind: Kind) {
    tokio::time::sleep(START_DELAY).await;
    let mut deaths = 0;
    while deaths < MOST_DEATHS {
        let mark = shared.mark(NUMBER);
        let Ok((pid, pidfd)) = spawn_reaper(&kind.key, &kind.start, mark) else { return };
        shared.lock().reaper = Some(pid);
        let (since, reaper) = (Instant::now(), Reaper { shared: &shared, pidfd });
        let Ok(ended) = await_readable(Arc::clone(&reaper.pidfd)) else { return };
        let _ended = ended.readable().await;
        deaths = if since.elapsed() < LONG_LIFE { deaths + 1 } else { 1 };
    }
}

struct Reaper<'a> {
    shared: &'a Shared,
    pidfd: Arc<OwnedFd>,
}

impl Drop for Reaper<'_> {
    fn drop(&mut self) {
        self.shared.lock().reaper = None;
        let _already_gone = pidfd_send_signal(&*self.pidfd, Signal::KILL);
        let _status = waitid(WaitId::PidFd(self.pidfd.as_fd()), WaitIdOptions::EXITED);
    }
}

impl Shared {
    /// Has the reaper, if it is still there when this process ends, give workers the time to end in good
    /// order.
    pub(super) fn allow_long_ends(&self, state: &PoolState) {
        let pid = state.reaper.and_then(|pid| i32::try_from(pid).ok());
        if let Some(pid) = pid.map(nix::unistd::Pid::from_raw) {
            let _without_marks = self.mark(NUMBER).put_on_child(pid);
        }
    }
}
