//! Large contents for the thread of a task: where they cannot be written or read for a while, because
//! the disk is full or the server restarts, it waits. What a task has returned is not lost.

use std::fmt;
use std::thread;
use std::time::Duration;

use bytes::Bytes;

use super::Notice;
use super::drive::Shared;
use crate::value::{BlobError, Blobs, Pins};

/// The first pause before another try, and the longest one.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// The contents of the database, with patience.
pub(super) struct PatientBlobs<'a> {
    pub(super) shared: &'a Shared,
    /// Whether the task still runs: it may be cancelled.
    pub(super) is_wanted: &'a (dyn Fn() -> bool + Sync),
}

impl fmt::Debug for PatientBlobs<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("PatientBlobs").finish_non_exhaustive()
    }
}

impl PatientBlobs<'_> {
    fn until_done<R>(&self, act: impl Fn() -> Result<R, BlobError>) -> Result<R, BlobError> {
        let (mut pause, longest) = PAUSES;
        loop {
            let done = act();
            let Err(error) = &done else { return done };
            if !error.may_pass || !(self.is_wanted)() {
                return done;
            }
            self.shared.notices.add(Notice::Trouble(error.to_string()));
            thread::park_timeout(pause);
            pause = longest.min(pause * 2);
        }
    }
}

impl Blobs for PatientBlobs<'_> {
    fn put(&self, digest: &str, content: &Bytes) -> Result<(), BlobError> {
        self.until_done(|| self.shared.blobs.put(digest, content))
    }

    fn get(&self, digest: &str) -> Result<Bytes, BlobError> {
        self.until_done(|| self.shared.blobs.get(digest))
    }

    fn pins(&self) -> &Pins {
        self.shared.blobs.pins()
    }
}
