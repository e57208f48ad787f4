//! The thread that owns the database. Writes and reads are done in the order in which they come.

use std::fmt;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex};
use std::thread;

use super::drive::Message;
use super::{CallError, lock};
use crate::engine::{Event, StoreTrouble};
use crate::record::Change;
use crate::store::{Store, StoreError};

type Read = Box<dyn FnOnce(&mut dyn Store) + Send>;

enum Work {
    Write(Arc<Vec<Change>>),
    Read(Read),
}

/// A handle to the thread.
#[derive(Clone)]
pub(super) struct Keeper {
    work: Arc<Mutex<Option<Sender<Work>>>>,
    thread: Arc<Mutex<Option<thread::JoinHandle<()>>>>,
}

impl fmt::Debug for Keeper {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Keeper").finish_non_exhaustive()
    }
}

impl Keeper {
    pub(super) fn start(
        mut store: Box<dyn Store>,
        engine: Sender<Message>,
    ) -> Result<Self, StoreError> {
        let (work, received) = mpsc::channel();
        let started =
            thread::Builder::new().name("remotemedia-store".to_owned()).spawn(move || {
                for work in received {
                    match work {
                        Work::Write(changes) => {
                            let event = match store.write(&changes) {
                                Ok(existing) => Event::Stored(existing),
                                Err(error) => {
                                    let (reason, is_final) = (error.to_string(), error.is_final());
                                    Event::StoreFailed(StoreTrouble { reason, is_final })
                                }
                            };
                            // The engine may have ended.
                            let _sent = engine.send(Message::Event(event));
                        }
                        Work::Read(read) => read(&mut *store),
                    }
                }
            });
        let started = started
            .map_err(|source| StoreError::Os { what: "starting a thread".to_owned(), source })?;
        Ok(Self {
            work: Arc::new(Mutex::new(Some(work))),
            thread: Arc::new(Mutex::new(Some(started))),
        })
    }

    pub(super) fn write(&self, changes: Arc<Vec<Change>>) {
        self.send(Work::Write(changes));
    }

    pub(super) fn read<R: Send + 'static>(
        &self,
        act: impl FnOnce(&mut dyn Store) -> Result<R, StoreError> + Send + 'static,
    ) -> Result<R, CallError> {
        let (answer, answered) = mpsc::channel();
        self.send(Work::Read(Box::new(move |store| {
            // The caller waits below.
            let _sent = answer.send(act(store));
        })));
        let done = answered.recv().map_err(|_ended| CallError::Ended(None))?;
        Ok(done?)
    }

    fn send(&self, work: Work) {
        if let Some(sender) = &*lock(&self.work) {
            let _sent = sender.send(work);
        }
    }

    /// Ends the thread after what it has to do, and closes the database.
    pub(super) fn close(&self) {
        drop(lock(&self.work).take());
        if let Some(thread) = lock(&self.thread).take() {
            let _panicked = thread.join();
        }
    }
}
