//! The loop of the engine core: feeds it events, and carries out what it wants.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::keeper::Keeper;
use super::slot::{Slot, SlotContext};
use super::{CallError, Codes, Notice, Notices, RunnerOptions};
use crate::cron::{Cron, Schedule};
use crate::engine::{Action, Engine, Event, Job, JobId, Ticket};
use crate::record::{FoundRun, RunId};
use crate::value::Blobs;

/// What the thread of the engine hears.
#[derive(Debug)]
pub(super) enum Message {
    Event(Event),
    /// An event that a caller waits for.
    Call(Ticket, Event, Sender<Result<Vec<RunId>, CallError>>),
    Close,
}

/// What the threads have in common.
#[derive(Debug, Clone)]
pub(super) struct Shared {
    pub(super) blobs: Arc<dyn Blobs>,
    pub(super) codes: Codes,
    pub(super) notices: Arc<Notices>,
}

/// Numbers of calls; 0 stands for no caller.
static TICKETS: AtomicU64 = AtomicU64::new(1);
/// The longest wait, after which the clock is read again.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

pub(super) fn new_ticket() -> Ticket {
    TICKETS.fetch_add(1, Ordering::Relaxed)
}

/// Milliseconds since 1970.
pub(super) fn wall_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Time that a change of the machine's clock does not move.
#[derive(Debug, Clone, Copy)]
pub(super) struct Watch {
    wall_ms: i64,
    since: Instant,
}

impl Watch {
    fn new() -> Self {
        Self { wall_ms: wall_ms(), since: Instant::now() }
    }

    pub(super) fn now_ms(self) -> i64 {
        let passed = i64::try_from(self.since.elapsed().as_millis()).unwrap_or(i64::MAX);
        self.wall_ms.saturating_add(passed)
    }
}

/// The engine with its threads.
#[derive(Debug)]
pub(super) struct Driver {
    engine: Engine,
    watch: Watch,
    keeper: Keeper,
    shared: Shared,
    slots: Vec<Slot>,
    /// Numbers of the slots that wait for a job, the last used one last.
    idle: Vec<usize>,
    /// The slot of each job that runs.
    jobs: HashMap<JobId, usize>,
    callers: HashMap<Ticket, Sender<Result<Vec<RunId>, CallError>>>,
    halted: Option<String>,
}

impl Driver {
    pub(super) fn new(
        options: RunnerOptions,
        messages: Sender<Message>,
        keeper: Keeper,
        shared: Shared,
    ) -> Self {
        let workers = options.workers;
        let watch = Watch::new();
        let context = Arc::new(SlotContext {
            runtime: options.runtime,
            session: options.session,
            shared: shared.clone(),
            messages,
            watch,
        });
        let slots = (0..workers).map(|number| Slot::new(number, Arc::clone(&context))).collect();
        Self {
            engine: Engine::new(workers),
            watch,
            keeper,
            shared,
            slots,
            idle: (0..workers).rev().collect(),
            jobs: HashMap::new(),
            callers: HashMap::new(),
            halted: None,
        }
    }

    pub(super) fn run(
        mut self,
        messages: Receiver<Message>,
        found: Vec<FoundRun>,
        schedules: Vec<Schedule>,
    ) {
        let actions = self.engine.recover(self.watch.now_ms(), found);
        self.act(actions);
        for schedule in schedules {
            match Cron::parse(&schedule.spec, &schedule.zone) {
                Ok(cron) => self.feed(Event::Schedule(0, Box::new(schedule), cron)),
                Err(error) => {
                    let text = format!("schedule '{}': {error}", schedule.name);
                    self.shared.notices.add(Notice::Trouble(text));
                }
            }
        }
        while let Some(message) = self.next(&messages) {
            match message {
                Message::Event(event) => {
                    if let Event::Done(job, _) = &event {
                        self.idle.extend(self.jobs.remove(job));
                    }
                    self.feed(event);
                }
                Message::Call(ticket, event, answer) => {
                    if self.halted.is_some() {
                        let _left = answer.send(Err(CallError::Ended(self.halted.clone())));
                        continue;
                    }
                    self.callers.insert(ticket, answer);
                    self.feed(event);
                }
                Message::Close => break,
            }
        }
        // A slot may wait for an answer.
        self.callers.clear();
        drop(messages);
        self.slots.iter().for_each(Slot::stop);
        self.slots.into_iter().for_each(Slot::join);
        self.shared.notices.end();
    }

    /// The next message, or a tick when something is due.
    fn next(&self, messages: &Receiver<Message>) -> Option<Message> {
        if let Ok(message) = messages.try_recv() {
            return Some(message);
        }
        let Some(due) = self.engine.due_ms() else { return messages.recv().ok() };
        let wait = u64::try_from(due.saturating_sub(self.watch.now_ms())).unwrap_or(0);
        let wait = Duration::from_millis(wait).min(LONGEST_WAIT);
        match messages.recv_timeout(wait) {
            Ok(message) => Some(message),
            Err(RecvTimeoutError::Timeout) => Some(Message::Event(Event::Tick)),
            Err(RecvTimeoutError::Disconnected) => None,
        }
    }

    fn feed(&mut self, event: Event) {
        let actions = self.engine.handle(self.watch.now_ms(), event);
        self.act(actions);
    }

    fn act(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Write(changes) => self.keeper.write(changes),
                Action::Start(job) => self.start(job),
                Action::Stop(job) => {
                    if let Some(slot) = self.jobs.get(&job) {
                        self.slots[*slot].cancel(job);
                    }
                }
                Action::Answer(ticket, answer) => {
                    if let Some(caller) = self.callers.remove(&ticket) {
                        // The caller may have been interrupted.
                        let _left = caller.send(answer.map_err(CallError::Refused));
                    }
                }
                Action::Ended(row) => self.shared.notices.add(Notice::Ended(row)),
                Action::Trouble(reason) => self.shared.notices.add(Notice::Trouble(reason)),
                Action::Halt(reason) => {
                    for (_, caller) in self.callers.drain() {
                        let _left = caller.send(Err(CallError::Ended(Some(reason.clone()))));
                    }
                    self.slots.iter().for_each(Slot::stop);
                    self.shared.notices.add(Notice::Halted(reason.clone()));
                    self.halted = Some(reason);
                }
            }
        }
    }

    /// Gives a job to a slot, best to one whose session suits it. There is one: the core counts them
    /// as well.
    fn start(&mut self, job: Box<Job>) {
        let suits = |slot: &usize| self.slots[*slot].suits(&job);
        let at = self.idle.iter().rposition(suits).or(self.idle.len().checked_sub(1));
        let Some(at) = at else { return };
        let slot = self.idle.remove(at);
        self.jobs.insert(job.id, slot);
        self.slots[slot].run(job);
    }
}
