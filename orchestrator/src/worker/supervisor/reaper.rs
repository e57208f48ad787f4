//! The reaper: a process that ends what nodes have started when this process and workers die at once.
//! It outlives this process and does nothing before; while this process lives, the watch of each
//! worker does the same.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ipc_protocol::kin::Mark;
use rustix::process::{Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};

use crate::worker::kinds::Kind;
use crate::worker::process::{await_readable, spawn_reaper};

/// How long after the first worker it starts. Until then the processor is left to the first item.
const START_DELAY: Duration = Duration::from_millis(100);
/// Deaths in a row after which it is given up.
const MOST_DEATHS: usize = 3;
/// One that has lived as long as this begins another row.
const LONG_LIFE: Duration = Duration::from_secs(10);

/// Keeps a reaper running on the interpreter of this kind, until this future is dropped.
pub(super) async fn keep(kind: Kind, mark: Mark) {
    tokio::time::sleep(START_DELAY).await;
    let mut deaths = 0;
    while deaths < MOST_DEATHS {
        let Ok(pidfd) = spawn_reaper(&kind.key, &kind.start, mark) else { return };
        let (since, reaper) = (Instant::now(), Reaper(pidfd));
        let Ok(ended) = await_readable(Arc::clone(&reaper.0)) else { return };
        let _ended = ended.readable().await;
        deaths = if since.elapsed() < LONG_LIFE { deaths + 1 } else { 1 };
    }
}

struct Reaper(Arc<OwnedFd>);

impl Drop for Reaper {
    fn drop(&mut self) {
        let _already_gone = pidfd_send_signal(&*self.0, Signal::KILL);
        let _status = waitid(WaitId::PidFd(self.0.as_fd()), WaitIdOptions::EXITED);
    }
}
