//! The supervisor: one thread that starts workers, waits for their end, drains their output and
//! carries out what the pool core decides. Sessions reach it through [`Pool`].

mod control;
mod ending;
mod picture;
mod reaper;
mod rehearsal;
mod terms;
mod watch;
mod zygotes;

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use ipc_protocol::kin::Mark;
use ipc_protocol::memory::remove_stale_names;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::kinds::Kinds;
use super::link::{Link, Outgoing};
use super::pool::{KeyId, Need, PoolAction, PoolCore, PoolEvent, Ticket, Turn};
use super::process::Process;
use super::waker::Waker;
use super::{Wanted, Worker, WorkerId};
use crate::error::{Error, StartError};
use crate::placement::PoolId;
pub use control::{Request, answer_of, running};
pub use picture::{Death, PoolPicture, WorkerMemory, WorkerPicture};
pub use terms::{PoolTerms, SupervisorOptions};
use zygotes::Zygotes;

/// The pool as sessions see it. Dropping it ends every worker, and then the supervisor.
#[derive(Debug)]
pub struct Pool {
    shared: Arc<Shared>,
}

/// The condition of a worker that a session returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Returned {
    /// A worker that may serve another session.
    Reusable,
    /// An idle worker that must not serve another session. It is asked to end.
    UsedUp,
    /// A worker that is dead or in an unknown state. It is killed.
    Broken,
    /// A worker that has missed a deadline. It is ended in the background, and replaced before that.
    Overdue,
}

impl Returned {
    /// The condition of an idle worker.
    #[must_use]
    pub fn idle(is_reusable: bool) -> Self {
        if is_reusable { Self::Reusable } else { Self::UsedUp }
    }
}

/// PoolState shared by sessions and the supervisor's thread.
#[derive(Debug)]
struct Shared {
    state: Mutex<PoolState>,
    commands: UnboundedSender<Command>,
    options: RwLock<Arc<SupervisorOptions>>,
    /// The family of the marks of its processes.
    family: u64,
}

#[derive(Debug)]
struct PoolState {
    core: PoolCore,
    kinds: Kinds,
    /// The workers that no session owns.
    idle: HashMap<WorkerId, Worker>,
    processes: HashMap<WorkerId, Arc<Process>>,
    /// The sending sides of the links of all workers that are up.
    outputs: HashMap<WorkerId, Arc<Outgoing>>,
    /// Workers that were asked to end. Closing takes the link of each to wait for its answer.
    ending: HashMap<WorkerId, Option<Link>>,
    /// The links of workers that are being stopped. One whose link closes ends without its grace.
    stopping: HashMap<WorkerId, Option<Link>>,
    /// How long workers that are asked to end may still wait for their links to close.
    patience: Duration,
    answers: HashMap<Ticket, Answer>,
    /// Why the last worker of a kind failed to start.
    start_errors: HashMap<KeyId, StartError>,
    zygotes: Zygotes,
    /// How the last worker of each pool died that was not asked to end.
    deaths: HashMap<PoolId, Death>,
    /// The process id of the reaper, which has not been reaped.
    reaper: Option<u32>,
    next_ticket: Ticket,
    /// When the supervisor next checks the deadlines of the pools.
    rechecks_at: Option<Instant>,
}

#[derive(Debug)]
struct Answer {
    waker: Waker,
    keys: Vec<KeyId>,
    outcome: Option<Result<Vec<Worker>, StartError>>,
}

#[derive(Debug)]
enum Command {
    Spawn(WorkerId, KeyId),
    Zygote(KeyId),
    /// Wait for this worker, which was asked to end, to exit.
    AwaitEnd(Arc<Process>),
    /// Stop this worker, which has missed a deadline, with this grace.
    Stop(Arc<Process>, Duration),
    /// A worker of this kind is up: see that there is a reaper.
    Reaper(KeyId),
    /// Return the released leases on this worker's memory.
    GiveBack(WorkerId),
    /// The pools have an earlier deadline than the one that the supervisor waits for.
    Recheck,
    Close,
}

impl Pool {
    /// Starts the supervisor, but no worker yet.
    ///
    /// # Errors
    /// When its thread cannot be started.
    pub fn start(options: SupervisorOptions) -> Result<Self, Error> {
        if options.uses_names() {
            // Names left by runtimes whose processes were killed. After an error, the next runtime
            // tries again.
            let _removed = remove_stale_names(None);
        }
        let os = |source| Error::Os { action: "starting the supervisor thread", source };
        let (commands, inbox) = unbounded_channel();
        let state = PoolState {
            core: PoolCore::new(&options.limits_of_pools()),
            kinds: Kinds::default(),
            idle: HashMap::new(),
            processes: HashMap::new(),
            outputs: HashMap::new(),
            ending: HashMap::new(),
            stopping: HashMap::new(),
            patience: Duration::ZERO,
            answers: HashMap::new(),
            start_errors: HashMap::new(),
            zygotes: Zygotes::default(),
            deaths: HashMap::new(),
            reaper: None,
            next_ticket: 1,
            rechecks_at: None,
        };
        let family = RandomState::new().hash_one(std::process::id());
        let options = RwLock::new(Arc::new(options));
        let shared = Arc::new(Shared { state: Mutex::new(state), commands, options, family });
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(os)?;
        let for_thread = Arc::clone(&shared);
        let _detached = std::thread::Builder::new()
            .name("remotemedia-supervisor".to_owned())
            .spawn(move || {
                // Signals belong to the host's own threads: Ctrl-C must reach the thread that
                // waits.
                let _unchanged = nix::sys::signal::SigSet::all().thread_block();
                runtime.block_on(supervise(for_thread, inbox));
            })
            .map_err(os)?;
        Ok(Self { shared })
    }

    /// Requests workers of several kinds at once; `waker` is woken when the answer is there. The
    /// answer has them in the order of `wanted`.
    #[must_use]
    pub fn want(&self, wanted: &[Wanted], waker: &Waker, turn: Turn) -> Ticket {
        let mut state = self.shared.lock();
        let need = |wanted: &Wanted| Need { key: state.kinds.intern(wanted), count: wanted.count };
        let needs: Vec<Need> = wanted.iter().map(need).collect();
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        let keys = needs.iter().map(|need| need.key).collect();
        let answer = Answer { waker: waker.clone(), keys, outcome: None };
        state.answers.insert(ticket, answer);
        self.shared.apply(&mut state, PoolEvent::Want { ticket, needs, turn });
        ticket
    }

    /// Starts a worker of a kind that has none, if its pool has room.
    pub fn warm(&self, wanted: &Wanted) {
        let mut state = self.shared.lock();
        let key = state.kinds.intern(wanted);
        self.shared.apply(&mut state, PoolEvent::Warm(key));
    }

    /// The answer to a request, once there is one.
    #[must_use]
    pub fn answer(&self, ticket: Ticket) -> Option<Result<Vec<Worker>, StartError>> {
        let mut state = self.shared.lock();
        state.answers.get(&ticket)?.outcome.as_ref()?;
        state.answers.remove(&ticket)?.outcome
    }

    /// Withdraws a request; workers that were granted already return to the pool.
    pub fn withdraw(&self, ticket: Ticket) {
        let mut state = self.shared.lock();
        let answer = state.answers.remove(&ticket);
        self.shared.apply(&mut state, PoolEvent::Withdraw(ticket));
        if let Some(Answer { outcome: Some(Ok(workers)), .. }) = answer {
            for worker in workers {
                self.shared.take_back(&mut state, worker, Returned::Reusable);
            }
        }
    }

    /// Takes a worker back from its session.
    pub fn give_back(&self, worker: Worker, returned: Returned) {
        let mut state = self.shared.lock();
        self.shared.take_back(&mut state, worker, returned);
    }

    /// Lets another worker take the place of one whose session was left and goes on.
    pub fn let_replace(&self, worker: WorkerId) {
        let mut state = self.shared.lock();
        self.shared.apply(&mut state, PoolEvent::Left(worker));
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, PoolState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn options(&self) -> Arc<SupervisorOptions> {
        Arc::clone(&self.options.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The mark of a worker.
    fn mark(&self, id: WorkerId) -> Mark {
        Mark::new(self.family, id)
    }

    /// Feeds the core one event and carries out what it decides.
    fn apply(&self, state: &mut PoolState, event: PoolEvent) {
        let may_end_a_kind =
            matches!(event, PoolEvent::Exited(_) | PoolEvent::Withdraw(_) | PoolEvent::Tick);
        for action in state.core.handle(Instant::now(), event) {
            match action {
                PoolAction::Spawn { worker, key } => self.command(Command::Spawn(worker, key)),
                PoolAction::Grant { ticket, workers } => {
                    let workers = workers.iter().filter_map(|id| state.idle.remove(id)).collect();
                    state.resolve(ticket, Ok(workers));
                }
                PoolAction::Refuse(ticket) => {
                    let keys = state.answers.get(&ticket).map(|answer| answer.keys.as_slice());
                    let known = |key: &KeyId| state.start_errors.get(key).cloned();
                    let error = keys.into_iter().flatten().find_map(known);
                    state.resolve(ticket, Err(error.unwrap_or(StartError::ShutDown)));
                }
                PoolAction::Overload(ticket) => {
                    state.resolve(ticket, Err(StartError::Overloaded));
                }
                PoolAction::Drained(ticket, pool) => {
                    let pool = self.options().pools[pool].name.clone();
                    state.resolve(ticket, Err(StartError::Drained { pool }));
                }
                PoolAction::Retire(worker) => self.end(state, worker),
                PoolAction::Kill(worker) => {
                    state.processes.get(&worker).iter().for_each(|process| process.kill());
                }
                PoolAction::BeginZygote(key) => self.command(Command::Zygote(key)),
                PoolAction::EndZygote(key) => state.zygotes.end(key),
            }
        }
        if may_end_a_kind {
            state.forget_kinds();
        }
        // Only an earlier deadline wakes the supervisor, because each wake-up costs the session.
        // After one that was dropped or is later now, the supervisor just checks once too often.
        let deadline = state.core.next_deadline();
        if deadline.is_some_and(|new| state.rechecks_at.is_none_or(|known| new < known)) {
            state.rechecks_at = deadline;
            self.command(Command::Recheck);
        }
    }

    fn command(&self, command: Command) {
        let _supervisor_gone = self.commands.send(command);
    }

    fn take_back(&self, state: &mut PoolState, worker: Worker, returned: Returned) {
        worker.process.set_listener(None);
        let id = worker.id;
        if returned == Returned::Overdue {
            self.stop(state, worker);
            return self.apply(state, PoolEvent::Replaced(id));
        }
        if returned != Returned::Broken {
            state.idle.insert(id, worker);
        }
        let reusable = returned == Returned::Reusable;
        self.apply(state, PoolEvent::Returned { worker: id, reusable });
    }
}

impl PoolState {
    fn forget_kinds(&mut self) {
        let used = self.core.used_keys();
        self.kinds.keep(&used);
        self.zygotes.keep(&used);
        self.start_errors.retain(|key, _| used.contains(&key.number));
    }

    fn next_recheck(&mut self) -> Option<Instant> {
        self.rechecks_at = self.core.next_deadline();
        self.rechecks_at
    }

    fn resolve(&mut self, ticket: Ticket, outcome: Result<Vec<Worker>, StartError>) {
        if let Some(answer) = self.answers.get_mut(&ticket) {
            answer.outcome = Some(outcome);
            answer.waker.wake();
        }
    }
}

/// The loop of the supervisor's thread.
async fn supervise(shared: Arc<Shared>, mut inbox: UnboundedReceiver<Command>) {
    let mut watches = tokio::task::JoinSet::new();
    let mut reaper = None;
    let control = shared.options().has_socket.then(|| control::serve(&shared)).flatten();
    let mut closing = false;
    while !closing || !watches.is_empty() {
        let deadline = shared.lock().next_recheck();
        tokio::select! {
            command = inbox.recv() => match command {
                Some(Command::Spawn(worker, key)) => {
                    watches.spawn(watch::watch(Arc::clone(&shared), worker, key));
                }
                Some(Command::Zygote(key)) => {
                    watches.spawn(zygotes::tend(Arc::clone(&shared), key));
                }
                Some(Command::Reaper(key)) => {
                    let kind = shared.lock().kinds.get(key).cloned();
                    if let Some(kind) = kind.filter(|_| reaper.is_none()) {
                        reaper = Some(tokio::spawn(reaper::keep(Arc::clone(&shared), kind)));
                    }
                }
                Some(Command::AwaitEnd(process)) => {
                    watches.spawn(ending::await_end(process));
                }
                Some(Command::Stop(process, grace)) => {
                    watches.spawn(ending::stop(process, grace));
                }
                Some(Command::GiveBack(worker)) => {
                    watches.spawn(watch::give_back(Arc::clone(&shared), worker));
                }
                Some(Command::Recheck) => {}
                Some(Command::Close) | None => closing = true,
            },
            _finished = watches.join_next(), if !watches.is_empty() => {}
            () = sleep_until(deadline) => {
                let mut state = shared.lock();
                shared.apply(&mut state, PoolEvent::Tick);
            }
        }
    }
    if let Some(control) = control {
        control.abort();
    }
    // All workers have ended, with what their nodes have started.
    if let Some(reaper) = reaper {
        reaper.abort();
        let _cancelled = reaper.await;
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}
