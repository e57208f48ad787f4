//! Runs workflows: the threads that carry out what the engine core decides. One drives the core, one
//! owns the database, and each worker has one that drives its session. No thread polls: all wait for
//! messages, the first one also for the next time that something is due.
//!
//! `drive` is the loop of the core, `keeper` the thread of the database, `slot` that of a worker,
//! `call` what is sent to a worker and comes back, `patient` waits where large values cannot be kept or
//! read for a while, `result` what a run has given.

mod call;
mod drive;
mod keeper;
mod patient;
mod result;
mod slot;

use std::collections::{HashMap, VecDeque};
use std::os::fd::RawFd;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use ipc_protocol::Value;
use orchestrator::options::OpenOptions;

use self::drive::{Driver, Message};
use self::keeper::Keeper;
pub use self::result::{RunResult, result_of};
pub use self::slot::check_limits;
use crate::cron::{Cron, CronError, Schedule};
use crate::engine::{Event, Fork, Graph, NewRun, Refusal, Ticket};
use crate::record::{FoundRun, RunId, RunRow};
use crate::store::{self, Access, Store, StoreError};
use crate::url::Url;
use crate::value::{Blobs, KeepError, Kept};

/// How a runner is made.
#[derive(Debug)]
pub struct RunnerOptions {
    /// The database.
    pub url: Url,
    /// Number of tasks that run at once.
    pub workers: usize,
    /// The pool that the workers come from.
    pub runtime: Arc<orchestrator::Runtime>,
    /// What sessions take over from the caller.
    pub session: OpenOptions,
}

/// Something that a caller may want to know of.
#[derive(Debug, Clone, PartialEq)]
pub enum Notice {
    /// A run is at its end.
    Ended(Box<RunRow>),
    /// Writing fails, and is tried again.
    Trouble(String),
    /// Nothing can be written any more.
    Halted(String),
}

/// A call that has failed.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The engine refuses it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The value cannot be kept.
    #[error(transparent)]
    Keep(#[from] KeepError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The schedule cannot be used.
    #[error(transparent)]
    Cron(#[from] CronError),
    /// There is no such run.
    #[error("there is no run '{0}'")]
    NoRun(String),
    /// The runner has ended.
    #[error("the runner has ended{}", .0.as_ref().map_or_else(String::new, |reason| format!(": {reason}")))]
    Ended(Option<String>),
}

/// Code of tasks that only the registering program has: pickles by the digest of the workflow and
/// the name of the task.
type Codes = Arc<Mutex<HashMap<(String, String), Bytes>>>;

/// What the threads tell the caller.
#[derive(Debug, Default)]
struct Notices {
    queue: Mutex<(VecDeque<Notice>, bool)>,
    changed: Condvar,
}

/// A runner of workflows.
#[derive(Debug)]
pub struct Runner {
    messages: Sender<Message>,
    keeper: Keeper,
    blobs: Arc<dyn Blobs>,
    lock_descriptor: Option<RawFd>,
    codes: Codes,
    notices: Arc<Notices>,
    engine: Mutex<Option<JoinHandle<()>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Runner {
    /// Opens the database and goes on with the runs in it that are not at their end.
    ///
    /// # Errors
    /// When the database cannot be opened or read, or another engine uses it.
    pub fn start(options: RunnerOptions) -> Result<Self, StoreError> {
        let mut store = store::open(&options.url, Access::Engine)?;
        let found = store.unfinished()?;
        let schedules = store.schedules()?;
        let (blobs, lock_descriptor) = (store.blobs(), store.lock_descriptor());
        let (messages, received) = mpsc::channel();
        let keeper = Keeper::start(store, messages.clone())?;
        let codes = Codes::default();
        let notices = Arc::new(Notices::default());
        let driver = Driver::new(
            options,
            messages.clone(),
            keeper.clone(),
            drive::Shared {
                blobs: Arc::clone(&blobs),
                codes: Arc::clone(&codes),
                notices: Arc::clone(&notices),
            },
        );
        let engine = thread::Builder::new()
            .name("remotemedia-engine".to_owned())
            .spawn(move || driver.run(received, found, schedules));
        let engine = engine
            .map_err(|source| StoreError::Os { what: "starting a thread".to_owned(), source })?;
        let engine = Mutex::new(Some(engine));
        Ok(Self { messages, keeper, blobs, lock_descriptor, codes, notices, engine })
    }

    /// Makes a workflow known, with the code of those of its tasks that cannot be imported.
    pub fn register(&self, graph: Arc<Graph>, codes: Vec<(String, Bytes)>) {
        let hash = &graph.workflow.hash;
        lock(&self.codes)
            .extend(codes.into_iter().map(|(task, code)| ((hash.clone(), task), code)));
        self.send(Message::Event(Event::Register(graph)));
    }

    /// Begins runs, durably when this returns. A run whose name exists goes on as it is.
    ///
    /// # Errors
    /// When an input cannot be kept, or the database refuses the runs.
    pub fn submit(&self, runs: Vec<(RunId, Arc<Graph>, Value)>) -> Result<(), CallError> {
        let mut new = Vec::with_capacity(runs.len());
        for (id, graph, input) in runs {
            let input = Kept::new(input, "input", &*self.blobs)?;
            new.push(NewRun { id, graph, input });
        }
        self.call(|ticket| Event::Submit(ticket, new)).map(drop)
    }

    /// Stops a run. What runs is ended.
    ///
    /// # Errors
    /// When the run is not at work.
    pub fn cancel(&self, run: &str) -> Result<(), CallError> {
        self.call(|ticket| Event::Cancel(ticket, run.into())).map(drop)
    }

    /// Whether a run waits until its workflow is registered, because that brings its code.
    ///
    /// # Errors
    /// When the runner has ended.
    pub fn waits_for_code(&self, run: &str) -> Result<bool, CallError> {
        let waits = self.call(|ticket| Event::WaitsForCode(ticket, run.into()))?;
        Ok(!waits.is_empty())
    }

    /// Gives a run an event.
    ///
    /// # Errors
    /// When the run is not at work, or the payload cannot be kept.
    pub fn signal(&self, run: &str, event: &str, payload: Value) -> Result<(), CallError> {
        let payload = Kept::new(payload, "payload", &*self.blobs)?;
        self.call(|ticket| Event::Signal(ticket, run.into(), event.to_owned(), payload)).map(drop)
    }

    /// Lets a run go on that has failed or was cancelled.
    ///
    /// # Errors
    /// When there is no such run or step, or the run is at work.
    pub fn resume(&self, run: &str, from: Option<String>) -> Result<(), CallError> {
        let found = Box::new(self.find(run)?);
        self.call(|ticket| Event::Resume(ticket, found, from)).map(drop)
    }

    /// Begins a run that takes over what another one has done before a step.
    ///
    /// # Errors
    /// When there is no such run or step, or the new name is taken.
    pub fn fork(
        &self,
        run: &str,
        id: RunId,
        from: String,
        input: Option<Value>,
    ) -> Result<(), CallError> {
        let source = self.find(run)?;
        let new = id.to_string();
        if self.read(move |store| store.find(&new))?.is_some() {
            return Err(CallError::Refused(Refusal::Taken(id)));
        }
        let input = input.map(|input| Kept::new(input, "input", &*self.blobs)).transpose()?;
        let fork = Box::new(Fork { id, source, from, input });
        self.call(|ticket| Event::Fork(ticket, fork)).map(drop)
    }

    /// Adds or replaces a schedule. One with the same times goes on where it is.
    ///
    /// # Errors
    /// When its times cannot be read, or its input cannot be kept.
    pub fn schedule(&self, new: NewSchedule) -> Result<(), CallError> {
        let cron = Cron::parse(&new.spec, &new.zone)?;
        let next_ms = cron.next(drive::wall_ms()).unwrap_or(i64::MAX);
        let input = Kept::new(new.input, "input", &*self.blobs)?;
        let NewSchedule { name, hash, spec, zone, catch_up, .. } = new;
        let known = self.read(move |store| store.schedules())?;
        let same =
            known.iter().find(|old| old.name == name && old.spec == spec && old.zone == zone);
        let next_ms = same.map_or(next_ms, |old| old.next_ms);
        let schedule = Box::new(Schedule { name, hash, spec, zone, input, catch_up, next_ms });
        self.call(|ticket| Event::Schedule(ticket, schedule, cron)).map(drop)
    }

    /// Removes a schedule.
    ///
    /// # Errors
    /// When the runner has ended.
    pub fn unschedule(&self, name: &str) -> Result<(), CallError> {
        self.call(|ticket| Event::Unschedule(ticket, name.to_owned())).map(drop)
    }

    /// The descriptor that holds the database; see [`Store::lock_descriptor`].
    #[must_use]
    pub fn lock_descriptor(&self) -> Option<RawFd> {
        self.lock_descriptor
    }

    /// Calls a function with the database, on its thread.
    ///
    /// # Errors
    /// When that fails, or the runner has ended.
    pub fn read<R: Send + 'static>(
        &self,
        act: impl FnOnce(&mut dyn Store) -> Result<R, StoreError> + Send + 'static,
    ) -> Result<R, CallError> {
        self.keeper.read(act)
    }

    /// A run with its steps.
    ///
    /// # Errors
    /// When there is none of this name.
    pub fn find(&self, run: &str) -> Result<FoundRun, CallError> {
        let id = run.to_owned();
        let found = self.read(move |store| store.find(&id))?;
        found.ok_or_else(|| CallError::NoRun(run.to_owned()))
    }

    /// What a run has given, with its values.
    ///
    /// # Errors
    /// When there is none of this name, or a value cannot be read.
    pub fn result(&self, run: &str) -> Result<RunResult, CallError> {
        Ok(result_of(&self.find(run)?, &*self.blobs)?)
    }

    /// Waits for the next notice; `None` when the runner has ended.
    pub fn next_notice(&self) -> Option<Notice> {
        let mut queue = lock(&self.notices.queue);
        loop {
            if let Some(notice) = queue.0.pop_front() {
                return Some(notice);
            }
            if queue.1 {
                return None;
            }
            queue = self.notices.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Ends the runner. Tasks that run are given up; the next engine on the database runs them again.
    pub fn close(&self) {
        self.send(Message::Close);
        if let Some(engine) = lock(&self.engine).take() {
            let _panicked = engine.join();
            self.keeper.close();
        }
    }

    fn send(&self, message: Message) {
        // It fails only when the runner has ended, which calls for answers find out.
        let _sent = self.messages.send(message);
    }

    fn call(&self, event: impl FnOnce(Ticket) -> Event) -> Result<Vec<RunId>, CallError> {
        let (answer, answered) = mpsc::channel();
        let ticket = drive::new_ticket();
        self.send(Message::Call(ticket, event(ticket), answer));
        answered.recv().map_err(|_ended| CallError::Ended(None))?
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        self.close();
    }
}

/// A schedule to add.
#[derive(Debug)]
pub struct NewSchedule {
    /// Its name.
    pub name: String,
    /// Digest of the workflow.
    pub hash: String,
    /// The five fields.
    pub spec: String,
    /// The time zone.
    pub zone: String,
    /// The input of each run.
    pub input: Value,
    /// Whether missed times are caught up with.
    pub catch_up: bool,
}

impl Notices {
    fn add(&self, notice: Notice) {
        lock(&self.queue).0.push_back(notice);
        self.changed.notify_all();
    }

    fn end(&self) {
        lock(&self.queue).1 = true;
        self.changed.notify_all();
    }
}
