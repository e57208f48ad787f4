//! The engine core: which task runs when, and what is written. Pure: it is driven by
//! `handle(now, event)` and says what is to be done; `runner` does it.
//!
//! `journal` holds what is to be written, `run` and `part` the rules of one run, `gate` says whether a
//! step runs, `job` makes what a worker needs, `limit` ends what takes too long, `restore` makes runs from
//! rows, `clock` has the schedules.

mod clock;
mod event;
mod gate;
mod job;
mod journal;
mod limit;
mod part;
mod restore;
mod run;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use clock::Clock;
pub use event::{
    Action, Argument, AttemptResult, Event, Fork, Graph, Job, JobId, NewRun, Refusal, Report,
    StoreTrouble, Ticket, Until,
};
use journal::{Effect, Journal};
use part::Phase;
pub use restore::{Library, graph_of};
use restore::{new_run, restored};
use run::{Out, PartId, Run};

use crate::failure::{Failure, FailureKind};
use crate::record::{Change, FoundRun, Outcome, RunId, RunStatus};
use crate::value::Kept;

/// The engine core.
#[derive(Debug)]
pub struct Engine {
    /// Number of workers that are not in use.
    free: usize,
    runs: HashMap<RunId, Run>,
    /// What runs, by the number of its job.
    jobs: HashMap<JobId, PartId>,
    ready: VecDeque<PartId>,
    timers: BTreeSet<(i64, PartId)>,
    journal: Journal,
    library: Library,
    clock: Clock,
    last_job: JobId,
    is_halted: bool,
}

impl Engine {
    /// An engine with a number of workers.
    #[must_use]
    pub fn new(workers: usize) -> Self {
        Self {
            free: workers,
            runs: HashMap::new(),
            jobs: HashMap::new(),
            ready: VecDeque::new(),
            timers: BTreeSet::new(),
            journal: Journal::default(),
            library: Library::default(),
            clock: Clock::default(),
            last_job: 0,
            is_halted: false,
        }
    }

    /// Takes over the runs that were at work when the last engine ended.
    pub fn recover(&mut self, now_ms: i64, found: Vec<FoundRun>) -> Vec<Action> {
        let mut actions = Vec::new();
        let mut graphs: HashMap<String, Arc<Graph>> = HashMap::new();
        for found in found {
            let known = graphs.get(&found.run.hash).cloned();
            match known.map_or_else(|| graph_of(&found), Ok) {
                Ok(graph) => {
                    graphs.entry(found.run.hash.clone()).or_insert_with(|| Arc::clone(&graph));
                    self.take_over(restored(graph, found), now_ms, &mut actions);
                }
                Err(refusal) => actions.push(Action::Trouble(refusal.to_string())),
            }
        }
        self.settle(now_ms, &mut actions);
        actions
    }

    /// Handles one event.
    pub fn handle(&mut self, now_ms: i64, event: Event) -> Vec<Action> {
        let mut actions = Vec::new();
        if self.is_halted {
            return actions;
        }
        match event {
            Event::Register(graph) => self.register(&graph, now_ms, &mut actions),
            Event::Submit(ticket, runs) => self.submit(ticket, runs, now_ms),
            Event::Cancel(ticket, run) => self.cancel(ticket, &run, now_ms, &mut actions),
            Event::Signal(ticket, run, name, payload) => {
                self.signal(ticket, &run, (name, payload), &mut actions);
            }
            Event::Resume(ticket, found, from) => {
                self.resume(ticket, (*found, from.as_deref()), now_ms, &mut actions);
            }
            Event::Fork(ticket, fork) => self.fork(ticket, *fork, now_ms, &mut actions),
            Event::Schedule(ticket, schedule, cron) => {
                self.journal.add(Change::Schedule(schedule.clone()));
                self.journal.then(Effect::Answer(ticket, schedule.name.as_str().into()));
                self.clock.set(*schedule, cron);
            }
            Event::Unschedule(ticket, name) => {
                self.clock.remove(&name);
                self.journal.add(Change::ForgetSchedule(name.clone()));
                self.journal.then(Effect::Answer(ticket, name.into()));
            }
            Event::WaitsForCode(ticket, run) => {
                let waits = self.runs.get(&run).is_some_and(Run::waits_for_code);
                actions.push(Action::Answer(ticket, Ok(Vec::from_iter(waits.then_some(run)))));
            }
            Event::Noted(ticket, job, name, result) => {
                note(self, (ticket, job), (&name, result), now_ms, &mut actions);
            }
            Event::Done(job, report) => self.done(job, &report, now_ms, &mut actions),
            Event::Stored(existing) => self.stored(&existing, now_ms, &mut actions),
            Event::StoreFailed(trouble) if trouble.is_final => {
                self.is_halted = true;
                return vec![Action::Halt(trouble.reason)];
            }
            Event::StoreFailed(trouble) => {
                for run in self.journal.failed(now_ms, &trouble, &mut actions) {
                    if self.runs.get(&run).is_some_and(|run| run.is_new) {
                        self.runs.remove(&run);
                    }
                }
            }
            Event::Tick => {}
        }
        self.ring(now_ms, &mut actions);
        self.settle(now_ms, &mut actions);
        actions
    }

    /// When `Tick` is due, in milliseconds since 1970.
    #[must_use]
    pub fn due_ms(&self) -> Option<i64> {
        let timer = self.timers.first().map(|(due, _)| *due);
        let clock = self.clock.due_ms(&self.library);
        [timer, self.journal.due_ms(), clock].into_iter().flatten().min()
    }

    /// Whether nothing is written, waits to be written or runs.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.journal.is_idle() && self.jobs.is_empty() && self.ready.is_empty()
    }

    /// Whether a run is at work.
    #[must_use]
    pub fn is_at_work(&self, run: &str) -> bool {
        self.runs.contains_key(run)
    }

    /// Calls `act` with a run and where it puts what follows.
    fn with_run<R>(
        &mut self,
        id: &RunId,
        now_ms: i64,
        actions: &mut Vec<Action>,
        act: impl FnOnce(&mut Run, &mut Out<'_>) -> R,
    ) -> Option<R> {
        let run = self.runs.get_mut(id)?;
        let mut out = Out {
            now_ms,
            journal: &mut self.journal,
            ready: &mut self.ready,
            timers: &mut self.timers,
            actions,
        };
        Some(act(run, &mut out))
    }

    fn submit(&mut self, ticket: Ticket, runs: Vec<NewRun>, now_ms: i64) {
        let ids: Vec<RunId> = runs.iter().map(|run| Arc::clone(&run.id)).collect();
        for new in runs {
            if self.runs.contains_key(&new.id) {
                continue;
            }
            self.library.keep(&new.graph, &mut self.journal);
            let run = new_run(&new, now_ms);
            self.journal.add(Change::NewRun(Box::new(run.row.clone())));
            self.runs.insert(new.id, run);
        }
        self.journal.then(Effect::Begin(ticket, ids));
    }

    fn cancel(&mut self, ticket: Ticket, id: &RunId, now_ms: i64, actions: &mut Vec<Action>) {
        let stop = |run: &mut Run, out: &mut Out<'_>| run.stop(RunStatus::Cancelled, None, out);
        match self.with_run(id, now_ms, actions, stop) {
            Some(()) => self.journal.then(Effect::Answer(ticket, Arc::clone(id))),
            None => actions.push(Action::Answer(ticket, Err(Refusal::NotAtWork(Arc::clone(id))))),
        }
    }

    fn signal(
        &mut self,
        ticket: Ticket,
        id: &RunId,
        (name, payload): (String, Kept),
        actions: &mut Vec<Action>,
    ) {
        let Some(run) = self.runs.get_mut(id) else {
            actions.push(Action::Answer(ticket, Err(Refusal::NotAtWork(Arc::clone(id)))));
            return;
        };
        if !run.events.iter().any(|(known, _)| *known == name) {
            run.events.push((name.clone(), payload.clone()));
            self.ready.extend(run.wake_for(&name));
            self.journal.add(Change::Event { run: Arc::clone(id), name, payload });
        }
        self.journal.then(Effect::Answer(ticket, Arc::clone(id)));
    }

    fn done(&mut self, job: JobId, report: &Report, now_ms: i64, actions: &mut Vec<Action>) {
        let Some((id, step, part)) = self.jobs.remove(&job) else { return };
        self.free += 1;
        let id_of_part = (Arc::clone(&id), step, part);
        let ended = self.with_run(&id, now_ms, actions, |run, out| {
            run.attempt_done(step, part, report, out);
            run.steps[step].parts[part].phase.clone()
        });
        match ended {
            Some(Phase::Ready) => self.ready.push_back(id_of_part),
            Some(Phase::Due(due)) => _ = self.timers.insert((due, id_of_part)),
            _ => {}
        }
    }

    fn stored(&mut self, existing: &[RunId], now_ms: i64, actions: &mut Vec<Action>) {
        // These were there already, and have ended.
        for id in existing {
            if self.runs.get(id).is_some_and(|run| run.is_new) {
                self.runs.remove(id);
            }
        }
        for effect in self.journal.stored() {
            self.apply(effect, now_ms, actions);
        }
    }

    fn apply(&mut self, effect: Effect, now_ms: i64, actions: &mut Vec<Action>) {
        match effect {
            Effect::Begin(ticket, ids) => {
                for id in &ids {
                    if let Some(run) = self.runs.get_mut(id)
                        && std::mem::take(&mut run.is_new)
                    {
                        run.is_admitted = self.library.admits(run);
                        self.with_run(id, now_ms, actions, Run::begin);
                    }
                }
                actions.push(Action::Answer(ticket, Ok(ids)));
            }
            Effect::Answer(ticket, id) => actions.push(Action::Answer(ticket, Ok(vec![id]))),
            Effect::Start(id, step, part) => self.start(&(id, step, part), now_ms, actions),
            Effect::StepEnded(id, step) => {
                self.with_run(&id, now_ms, actions, |run, out| run.unblock(step, out));
            }
            Effect::RunEnded(id) => {
                if let Some(run) = self.runs.remove(&id) {
                    actions.push(Action::Ended(Box::new(run.row)));
                }
            }
        }
    }

    /// What has come due.
    fn ring(&mut self, now_ms: i64, actions: &mut Vec<Action>) {
        while let Some((due, _)) = self.timers.first()
            && *due <= now_ms
        {
            let Some((due, (id, step, part))) = self.timers.pop_first() else { break };
            let woken = self.with_run(&id, now_ms, actions, |run, out| {
                if step == usize::MAX {
                    let message = "it took longer than its time limit".to_owned();
                    let failure = Failure::new(FailureKind::RunTimedOut, message);
                    run.stop(RunStatus::Failed, Some(failure), out);
                    return false;
                }
                run.wake(step, part, due, out)
            });
            if woken == Some(true) {
                self.ready.push_back((id, step, part));
            }
        }
        for (ticket, run) in self.clock.ring(now_ms, &self.library) {
            self.submit(ticket, vec![run], now_ms);
        }
        for change in self.clock.take_changes() {
            self.journal.add(change);
        }
    }

    /// Starts what can start, and writes what is to be written.
    fn settle(&mut self, now_ms: i64, actions: &mut Vec<Action>) {
        loop {
            while self.free > 0
                && let Some(id) = self.ready.pop_front()
            {
                self.claim(&id, now_ms, actions);
            }
            let (write, effects) = self.journal.flush(now_ms);
            actions.extend(write);
            if effects.is_empty() {
                return;
            }
            for effect in effects {
                self.apply(effect, now_ms, actions);
            }
        }
    }

    /// Takes a worker for a part. One that must not be started twice starts when that is written.
    fn claim(&mut self, id: &PartId, now_ms: i64, actions: &mut Vec<Action>) {
        let (run_id, step, part) = id;
        let Some(run) = self.runs.get_mut(run_id) else { return };
        let Some(ready) = run.steps[*step].parts.get_mut(*part) else { return };
        if ready.phase != Phase::Ready || !run.is_admitted {
            return;
        }
        ready.phase = Phase::Claiming;
        self.free -= 1;
        if run.graph.workflow.tasks[*step].once {
            let row = ready.claimed(now_ms);
            self.journal.add(Change::Step(Arc::clone(run_id), Box::new(row)));
            self.journal.then(Effect::Start(Arc::clone(run_id), *step, *part));
        } else {
            self.start(id, now_ms, actions);
        }
    }

    fn start(&mut self, id: &PartId, now_ms: i64, actions: &mut Vec<Action>) {
        let (run_id, step, part) = id;
        let job = self.last_job + 1;
        let library = &self.library;
        let Some(run) = self.runs.get_mut(run_id) else {
            self.free += 1;
            return;
        };
        if run.stopping.is_some() {
            self.free += 1;
            let (step, part) = (*step, *part);
            self.with_run(run_id, now_ms, actions, |run, out| {
                run.end_part(step, part, Outcome::Cancelled, out);
            });
            return;
        }
        self.last_job = job;
        run.steps[*step].parts[*part].begin(job, now_ms);
        actions.push(Action::Start(Box::new(run.job(job, *step, *part, library))));
        self.jobs.insert(job, id.clone());
        limit::limit(self, id, now_ms);
    }
}

/// Keeps the result of a step inside a task.
fn note(
    engine: &mut Engine,
    (ticket, job): (Ticket, JobId),
    (name, result): (&str, Kept),
    now_ms: i64,
    actions: &mut Vec<Action>,
) {
    let at = engine.jobs.get(&job).cloned();
    let run = at.and_then(|(id, step, part)| Some((engine.runs.get_mut(&id)?, step, part)));
    let Some((run, step, part)) = run else {
        // The task is being stopped, and need not wait.
        actions.push(Action::Answer(ticket, Ok(Vec::new())));
        return;
    };
    let id = Arc::clone(&run.row.id);
    if let Some(part) = run.part_of(step, part, job) {
        let row = part.note(name, result, now_ms);
        engine.journal.add(Change::Step(Arc::clone(&id), Box::new(row)));
    }
    engine.journal.then(Effect::Answer(ticket, id));
}
