//! Moves what commits have written to the log into the database file, beside the thread that commits.
//! SQLite would do it in the commit that finds the log long, which then waits for the disk.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread::{self, JoinHandle};

use rusqlite::{Connection, OpenFlags};

/// After how many changes the log is moved; each takes up to four of SQLite's pages of 4 KiB.
const CHANGES: usize = 500;
/// Pages of the log at which a commit waits until all of it is moved. It is written from its start
/// again only after a moment without commits, and must not grow for ever.
const LONGEST_LOG: i64 = 16_384;

/// Who waits for a move.
type Waiting = Option<SyncSender<()>>;

/// A handle to the thread; dropping it ends the thread.
#[derive(Debug)]
pub(super) struct Checkpointer {
    wanted: Option<SyncSender<Waiting>>,
    thread: Option<JoinHandle<()>>,
    changes: usize,
    /// Length of the log after the last move.
    pages: Arc<AtomicI64>,
}

impl Checkpointer {
    /// Starts the thread for the database of a connection. If it cannot be started, commits do its work.
    pub(super) fn start(path: &Path, committing: &Connection) -> rusqlite::Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let own = Connection::open_with_flags(path, flags)?;
        let (wanted, received) = mpsc::sync_channel(1);
        let pages = Arc::<AtomicI64>::default();
        let found = Arc::clone(&pages);
        let started = thread::Builder::new()
            .name("remotemedia-log".to_owned())
            .spawn(move || move_logs(&own, &received, &found));
        let thread = started.ok();
        if thread.is_some() {
            committing.pragma_update(None, "wal_autocheckpoint", 0)?;
        }
        Ok(Self { wanted: Some(wanted), thread, changes: 0, pages })
    }

    /// Notes changes that have been committed. It waits when they come faster than they can be moved.
    pub(super) fn committed(&mut self, changes: usize) {
        self.changes += changes;
        let Some(wanted) = &self.wanted else { return };
        if self.changes < CHANGES {
            return;
        }
        self.changes = 0;
        if self.pages.load(Ordering::Relaxed) > LONGEST_LOG {
            let (done, waiting) = mpsc::sync_channel(1);
            if wanted.send(Some(done)).is_ok() {
                let _ended = waiting.recv();
            }
        } else {
            // Full: one is under way, and another waits.
            let _busy = wanted.try_send(None);
        }
    }
}

fn move_logs(own: &Connection, wanted: &Receiver<Waiting>, pages: &AtomicI64) {
    for waiting in wanted {
        // It fails while another program has the file locked; the next one makes up for it.
        let moved = own.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get(1));
        // Once all is moved while no thread commits, the next commit writes at the log's start again.
        let length = if waiting.is_some() { 0 } else { moved.unwrap_or_default() };
        pages.store(length, Ordering::Relaxed);
        if let Some(waiting) = waiting {
            let _gone = waiting.send(());
        }
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        drop(self.wanted.take());
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}
