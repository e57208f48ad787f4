//! The queue in front of the socket: small outputs that follow each other quickly are written
//! together.
//!
//! An output is written at once if the last write was at least [`HOLD`] ago, so a slow generator
//! has no added latency. An earlier output waits for others, at most until [`HOLD`] after the last
//! write or until [`BATCH_BYTES`] are queued. Any other message is written at once, after the
//! queue.

use std::io;
use std::os::fd::AsFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use interprocess::os::unix::uds_local_socket::Stream;
use ipc_protocol::frame::{Frame, FrameWriter, Socket};

/// Longest time that an output waits for others.
pub const HOLD: Duration = Duration::from_micros(200);
/// A queue of this many bytes is written at once.
pub const BATCH_BYTES: usize = 64 << 10;

/// The sending side of the socket.
#[derive(Debug)]
pub(super) struct Batch {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    stream: Stream,
    hold: Duration,
    state: Mutex<BatchState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct BatchState {
    queue: FrameWriter,
    last_write: Option<Instant>,
    /// The flusher thread has been started.
    has_flusher: bool,
    /// The queue holds frames that the flusher must write if no other write comes before.
    is_held: bool,
    is_closed: bool,
}

impl Batch {
    pub(super) fn new(stream: Stream) -> Self {
        Self::holding(stream, HOLD)
    }

    fn holding(stream: Stream, hold: Duration) -> Self {
        let (state, changed) = (Mutex::default(), Condvar::new());
        Self { shared: Arc::new(Shared { stream, hold, state, changed }) }
    }

    pub(super) fn stream(&self) -> &Stream {
        &self.shared.stream
    }

    /// Writes the queue and then these frames; returns when the kernel has taken all bytes.
    pub(super) fn write(&self, frames: impl IntoIterator<Item = Frame>) -> io::Result<()> {
        let mut state = self.shared.lock();
        frames.into_iter().for_each(|frame| state.queue.push(frame));
        self.shared.write_all(&mut state)
    }

    /// Writes frames at once or queues them for [`HOLD`] at most, by the rules of this module.
    pub(super) fn write_soon(&self, frames: Vec<Frame>) -> io::Result<()> {
        let mut state = self.shared.lock();
        // Frames that refer to a node's memory cannot wait: the node may write to that memory as
        // soon as it runs again.
        let can_wait = frames.iter().all(Frame::is_whole);
        frames.into_iter().for_each(|frame| state.queue.push(frame));
        let is_burst = state.last_write.is_some_and(|last| last.elapsed() < self.shared.hold);
        let is_enough = !can_wait || state.queue.queued_bytes() >= BATCH_BYTES;
        if !is_burst || is_enough || !self.has_flusher(&mut state) {
            return self.shared.write_all(&mut state);
        }
        if !std::mem::replace(&mut state.is_held, true) {
            self.shared.changed.notify_one();
        }
        Ok(())
    }

    /// Writes the queue.
    pub(super) fn flush(&self) -> io::Result<()> {
        let mut state = self.shared.lock();
        if state.is_held { self.shared.write_all(&mut state) } else { Ok(()) }
    }

    /// Starts the flusher thread if needed, and returns whether it runs. The flusher writes the
    /// queue [`HOLD`] after the last write, and sleeps while the queue is empty.
    fn has_flusher(&self, state: &mut BatchState) -> bool {
        if !state.has_flusher {
            let shared = Arc::clone(&self.shared);
            let builder = thread::Builder::new().name("remotemedia-flush".to_owned());
            state.has_flusher = builder.spawn(move || shared.flush_in_time()).is_ok();
        }
        state.has_flusher
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        self.shared.lock().is_closed = true;
        self.shared.changed.notify_one();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, BatchState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_all(&self, state: &mut BatchState) -> io::Result<()> {
        state.is_held = false;
        let mut socket = Socket(self.stream.as_fd());
        while !state.queue.write_to_socket(&mut socket)? {}
        state.last_write = Some(Instant::now());
        Ok(())
    }

    fn flush_in_time(&self) {
        let mut state = self.lock();
        while !state.is_closed {
            if !state.is_held {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let hold = self.hold;
            let left = state.last_write.map_or(hold, |last| hold.saturating_sub(last.elapsed()));
            if left.is_zero() {
                // An error means that the orchestrator is gone; the next write reports it.
                let _gone = self.write_all(&mut state);
                continue;
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

#[cfg(test)]
mod tests;
