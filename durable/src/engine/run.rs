//! One run: its steps, and the rules by which they begin and end. Pure.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use super::event::{Action, Graph, JobId, Report};
use super::gate::{self, Parts};
use super::journal::{Effect, Journal};
use super::limit::end_overdue;
use super::part::{Part, Phase, attempt_row};
use crate::failure::Failure;
use crate::record::{Change, Outcome, RunId, RunRow, RunStatus, StepRow, StepStatus};
use crate::value::Kept;

/// A part of a step of a run.
pub(super) type PartId = (RunId, usize, usize);

/// Where the rules put what follows from them.
#[derive(Debug)]
pub(super) struct Out<'a> {
    pub(super) now_ms: i64,
    pub(super) journal: &'a mut Journal,
    /// Parts that wait for a worker, in their order.
    pub(super) ready: &'a mut VecDeque<PartId>,
    pub(super) timers: &'a mut BTreeSet<(i64, PartId)>,
    pub(super) actions: &'a mut Vec<Action>,
}

/// One run at work.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) row: RunRow,
    pub(super) graph: Arc<Graph>,
    pub(super) steps: Vec<Step>,
    pub(super) events: Vec<(String, Kept)>,
    /// Rows from the database, of parts that are yet to be made.
    pub(super) found: HashMap<String, StepRow>,
    /// How the run ends because it was stopped, once all that runs has ended.
    pub(super) stopping: Option<(RunStatus, Option<Failure>)>,
    /// Whether its code is there.
    pub(super) is_admitted: bool,
    /// Whether it is yet to be written for the first time.
    pub(super) is_new: bool,
}

/// One task of a run.
#[derive(Debug)]
pub(super) struct Step {
    /// One part, or one for each element of a mapped task.
    pub(super) parts: Vec<Part>,
    /// The element of each part of a mapped task.
    pub(super) elements: Vec<Kept>,
    pub(super) outcome: Option<Outcome>,
    /// Number of tasks before it that have not ended.
    pub(super) waits_for: usize,
}

/// Name of a part: that of its task, with an index where the task is mapped.
pub(super) fn part_name(task: &str, index: Option<usize>) -> String {
    index.map_or_else(|| task.to_owned(), |index| format!("{task}[{index}]"))
}

impl Run {
    /// Whether it is at work, but not with a worker before its code is registered.
    pub(super) fn waits_for_code(&self) -> bool {
        !self.is_new && !self.is_admitted
    }

    /// Opens every step that waits for no other, when the run begins or goes on.
    pub(super) fn begin(&mut self, out: &mut Out<'_>) {
        if let Some(timeout) = self.graph.workflow.timeout_ms {
            let due = self.row.created_ms.saturating_add_unsigned(timeout);
            out.timers.insert((due, (Arc::clone(&self.row.id), usize::MAX, 0)));
        }
        for step in 0..self.steps.len() {
            if self.steps[step].waits_for == 0 && self.steps[step].outcome.is_none() {
                self.open(step, out);
            }
        }
        self.end_if_done(out);
    }

    /// Takes note that a step has ended durably: others may begin.
    pub(super) fn unblock(&mut self, step: usize, out: &mut Out<'_>) {
        let graph = Arc::clone(&self.graph);
        for child in &graph.layout.children[step] {
            let waiting = &mut self.steps[*child];
            waiting.waits_for = waiting.waits_for.saturating_sub(1);
            if waiting.waits_for == 0 && waiting.outcome.is_none() && waiting.parts.is_empty() {
                self.open(*child, out);
            }
        }
    }

    /// Decides whether a step runs, and makes its parts.
    fn open(&mut self, step: usize, out: &mut Out<'_>) {
        if self.stopping.is_some() {
            self.end_step(step, Outcome::Cancelled, None, out);
            return;
        }
        let count = match gate::parts_of(self, step) {
            Ok(Parts::One) => 1,
            Ok(Parts::Each(elements)) => {
                self.steps[step].elements = elements;
                self.steps[step].elements.len()
            }
            Ok(Parts::Skipped) => {
                self.end_step(step, Outcome::Skipped, None, out);
                return;
            }
            Err(failure) => {
                self.end_step(step, Outcome::Failed, Some(failure), out);
                return;
            }
        };
        let name = self.graph.workflow.tasks[step].name.clone();
        let mut inner_rows = inner_rows(&self.found, &name);
        for part in 0..count {
            let row_name = part_name(&name, self.is_mapped(step).then_some(part));
            let row = self.found.remove(&row_name).unwrap_or_else(|| StepRow::new(row_name));
            let inner = inner_rows.remove(&row.name).unwrap_or_default();
            let was_started = row.status == StepStatus::Started;
            let made = Part::restored(row, inner, &self.events);
            if was_started {
                let row = Box::new(made.row.clone());
                out.journal.add(Change::Step(Arc::clone(&self.row.id), row));
            }
            let id = (Arc::clone(&self.row.id), step, part);
            match &made.phase {
                Phase::Ready => out.ready.push_back(id),
                Phase::Due(due) => _ = out.timers.insert((*due, id)),
                _ => {}
            }
            self.steps[step].parts.push(made);
        }
        if self.is_mapped(step) {
            self.forget_parts(&name, count, out);
        }
        self.end_step_if_done(step, out);
    }

    /// Forgets the parts of a mapped task that its list, which may have been made again, does not have.
    fn forget_parts(&mut self, task: &str, count: usize, out: &mut Out<'_>) {
        let is_gone = |row: &str| {
            let index = row.strip_prefix(task).and_then(|rest| rest.strip_prefix('['));
            let index = index.and_then(|rest| rest.split(']').next()?.parse::<usize>().ok());
            index.is_some_and(|index| index >= count)
        };
        let gone: Vec<String> = self.found.keys().filter(|row| is_gone(row)).cloned().collect();
        for row in gone {
            self.found.remove(&row);
            out.journal.add(Change::ForgetStep(Arc::clone(&self.row.id), row));
        }
    }

    /// The outputs of a step: one, or one for each part of a mapped one.
    pub(super) fn outputs(&self, step: usize) -> Vec<Kept> {
        let parts = self.steps[step].parts.iter();
        parts.map(|part| part.row.output.clone().unwrap_or_else(Kept::none)).collect()
    }

    pub(super) fn is_mapped(&self, step: usize) -> bool {
        self.graph.workflow.tasks[step].map.is_some()
    }

    /// Ends the step if all its parts have ended.
    pub(super) fn end_step_if_done(&mut self, step: usize, out: &mut Out<'_>) {
        let parts = &self.steps[step].parts;
        // From the end, where those are that have not begun: the parts may be many.
        if parts.iter().rev().any(|part| part.phase.outcome().is_none()) {
            return;
        }
        let outcomes: Vec<Outcome> = parts.iter().filter_map(|part| part.phase.outcome()).collect();
        let worst = |outcome| outcomes.contains(&outcome);
        let outcome = match () {
            () if worst(Outcome::Cancelled) => Outcome::Cancelled,
            () if worst(Outcome::Failed) => Outcome::Failed,
            () => Outcome::Completed,
        };
        let failure = parts.iter().find_map(|part| part.row.failure.clone());
        self.end_step(step, outcome, failure, out);
    }

    fn end_step(
        &mut self,
        step: usize,
        outcome: Outcome,
        failure: Option<Failure>,
        out: &mut Out<'_>,
    ) {
        let task = self.graph.workflow.tasks[step].name.clone();
        if self.is_mapped(step) || self.steps[step].parts.is_empty() {
            let mut row = StepRow::new(task.clone());
            row.status = StepStatus::Ended(outcome);
            row.failure = failure.clone();
            row.ended_ms = Some(out.now_ms);
            out.journal.add(Change::Step(Arc::clone(&self.row.id), Box::new(row)));
        }
        self.steps[step].outcome = Some(outcome);
        if self.row.failure.is_none()
            && let Some(failure) = failure
        {
            self.row.failure = Some(Failure { task, ..failure });
        }
        out.journal.then(Effect::StepEnded(Arc::clone(&self.row.id), step));
        self.end_if_done(out);
    }

    /// Ends the run if all its steps have ended.
    fn end_if_done(&mut self, out: &mut Out<'_>) {
        let is_done = self.steps.iter().all(|step| step.outcome.is_some());
        if !is_done || self.row.status != RunStatus::Running {
            return;
        }
        let has_failed = self.steps.iter().any(|step| step.outcome == Some(Outcome::Failed));
        let (status, failure) = match self.stopping.take() {
            Some((status, failure)) => (status, failure.or_else(|| self.row.failure.clone())),
            None if has_failed => (RunStatus::Failed, self.row.failure.clone()),
            None => (RunStatus::Completed, None),
        };
        self.row.status = status;
        self.row.failure = failure;
        self.row.ended_ms = Some(out.now_ms);
        out.journal.add(Change::Run {
            id: Arc::clone(&self.row.id),
            status,
            failure: self.row.failure.clone(),
            ended_ms: self.row.ended_ms,
        });
        out.journal.then(Effect::RunEnded(Arc::clone(&self.row.id)));
    }

    /// Stops the run: what runs is ended, nothing else begins.
    pub(super) fn stop(&mut self, status: RunStatus, failure: Option<Failure>, out: &mut Out<'_>) {
        if self.stopping.is_some() || self.row.status != RunStatus::Running {
            return;
        }
        self.stopping = Some((status, failure));
        for step in 0..self.steps.len() {
            if self.steps[step].outcome.is_some() {
                continue;
            }
            for part in &mut self.steps[step].parts {
                match part.phase {
                    Phase::Running(job) => out.actions.push(Action::Stop(job)),
                    Phase::Claiming | Phase::Ended(_) => {}
                    Phase::Ready | Phase::Due(_) | Phase::Event(_) => {
                        part.end(Outcome::Cancelled, None, out.now_ms);
                        let row = Box::new(part.row.clone());
                        out.journal.add(Change::Step(Arc::clone(&self.row.id), row));
                    }
                }
            }
            if self.steps[step].parts.is_empty() {
                self.end_step(step, Outcome::Cancelled, None, out);
            } else {
                self.end_step_if_done(step, out);
            }
        }
    }

    /// Takes note of the end of an attempt.
    pub(super) fn attempt_done(
        &mut self,
        step: usize,
        part: usize,
        report: &Report,
        out: &mut Out<'_>,
    ) {
        let id = Arc::clone(&self.row.id);
        let task = &self.graph.workflow.tasks[step];
        let ended = &mut self.steps[step].parts[part];
        let report = &ended.outcome_of(report, task);
        let seed = seed_of(&id, &ended.row.name, ended.row.attempts);
        ended.done(report, task, seed, out.now_ms);
        let attempt = attempt_row(&ended.row, report, out.now_ms);
        out.journal.add(Change::Attempt(Arc::clone(&id), Box::new(attempt)));
        if self.stopping.is_some() && ended.phase.outcome().is_none() {
            ended.end(Outcome::Cancelled, None, out.now_ms);
        }
        if let Phase::Event(name) = &ended.phase
            && self.events.iter().any(|(known, _)| known == name)
        {
            ended.phase = Phase::Ready;
        }
        if let Some(row) = ended.pause_row(out.now_ms) {
            out.journal.add(Change::Step(Arc::clone(&id), Box::new(row)));
        }
        out.journal.add(Change::Step(id, Box::new(ended.row.clone())));
        self.end_step_if_done(step, out);
    }

    /// Ends a part that does not run.
    pub(super) fn end_part(
        &mut self,
        step: usize,
        part: usize,
        outcome: Outcome,
        out: &mut Out<'_>,
    ) {
        let ended = &mut self.steps[step].parts[part];
        ended.end(outcome, None, out.now_ms);
        let row = Box::new(ended.row.clone());
        out.journal.add(Change::Step(Arc::clone(&self.row.id), row));
        self.end_step_if_done(step, out);
    }

    /// Takes note that the time of a part has come. True if it is to run now.
    pub(super) fn wake(&mut self, step: usize, part: usize, due: i64, out: &mut Out<'_>) -> bool {
        let Some(woken) = self.steps[step].parts.get_mut(part) else { return false };
        if woken.phase != Phase::Due(due) {
            end_overdue(self, (step, part), due, out);
            return false;
        }
        woken.phase = Phase::Ready;
        if let Some(name) = woken.pause.take() {
            let row = woken.note(&name, Kept::none(), out.now_ms);
            out.journal.add(Change::Step(Arc::clone(&self.row.id), Box::new(row)));
        }
        true
    }

    /// The parts that an event lets run.
    pub(super) fn wake_for(&mut self, event: &str) -> Vec<PartId> {
        let id = &self.row.id;
        let mut woken = Vec::new();
        for (step, waiting) in self.steps.iter_mut().enumerate() {
            for (part, waiting) in waiting.parts.iter_mut().enumerate() {
                if matches!(&waiting.phase, Phase::Event(name) if name == event) {
                    waiting.phase = Phase::Ready;
                    woken.push((Arc::clone(id), step, part));
                }
            }
        }
        woken
    }

    /// The parts that wait for a worker.
    pub(super) fn all_ready(&self) -> Vec<PartId> {
        let parts = self.steps.iter().enumerate().flat_map(|(step, waiting)| {
            let is_ready = |(_, part): &(usize, &Part)| part.phase == Phase::Ready;
            let ready = waiting.parts.iter().enumerate().filter(is_ready);
            ready.map(move |(part, _)| (Arc::clone(&self.row.id), step, part))
        });
        parts.collect()
    }

    /// Whether none of its parts runs or is about to.
    pub(super) fn is_quiet(&self) -> bool {
        let mut parts = self.steps.iter().flat_map(|step| &step.parts);
        !parts.any(|part| matches!(part.phase, Phase::Running(_) | Phase::Claiming))
    }

    /// The part that runs a job.
    pub(super) fn part_of(&mut self, step: usize, part: usize, job: JobId) -> Option<&mut Part> {
        let part = self.steps.get_mut(step)?.parts.get_mut(part)?;
        (part.phase == Phase::Running(job)).then_some(part)
    }
}

/// A number that differs between attempts, and is the same each time it is computed.
fn seed_of(run: &str, step: &str, attempt: u32) -> u64 {
    let bytes = run.bytes().chain([0]).chain(step.bytes());
    // FNV-1a.
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    hash ^ u64::from(attempt)
}

/// The rows of the steps inside a task, by its parts.
fn inner_rows(found: &HashMap<String, StepRow>, task: &str) -> HashMap<String, Vec<StepRow>> {
    let mut inner: HashMap<String, Vec<StepRow>> = HashMap::new();
    for row in found.values().filter(|row| task_of(&row.name) == task) {
        if let Some((part, _)) = row.name.split_once('/') {
            inner.entry(part.to_owned()).or_default().push(row.clone());
        }
    }
    inner
}

/// The task of a step row: without the index of a part and the name of an inner step.
pub(super) fn task_of(step: &str) -> &str {
    step.split(['[', '/']).next().unwrap_or(step)
}
