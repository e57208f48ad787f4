//! Runs made of rows: after a start, to go on with one that has failed, and to fork one. Also which
//! runs may go on with which code. Pure.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::event::{Action, Fork, Graph, NewRun, Refusal, Ticket};
use super::journal::{Effect, Journal};
use super::run::{Run, Step, part_name, task_of};
use super::{Engine, Out};
use crate::record::{Change, FoundRun, Outcome, RunId, RunRow, RunStatus, StepRow, StepStatus};
use crate::workflow::{OnChange, Task, Workflow};

/// The workflows whose code is there.
#[derive(Debug, Default)]
pub struct Library {
    /// By digest.
    registered: HashMap<String, Arc<Graph>>,
    /// Digest of the last one that was registered, by name and version.
    latest: HashMap<(String, String), String>,
    /// Digests of the graphs that are in the database.
    kept: HashSet<String>,
}

impl Library {
    fn latest_of(&self, workflow: &Workflow) -> Option<&Arc<Graph>> {
        let key = (workflow.name.clone(), workflow.version.clone());
        self.registered.get(self.latest.get(&key)?)
    }

    /// Adds the graph to the database, unless it is there.
    pub(super) fn keep(&mut self, graph: &Graph, journal: &mut Journal) {
        let workflow = &graph.workflow;
        if self.kept.insert(workflow.hash.clone()) {
            journal.add(Change::Workflow {
                name: workflow.name.clone(),
                version: workflow.version.clone(),
                hash: workflow.hash.clone(),
                graph: graph.json.clone(),
            });
        }
    }

    /// The registered workflow with this digest.
    #[must_use]
    pub fn get(&self, hash: &str) -> Option<&Arc<Graph>> {
        self.registered.get(hash)
    }

    /// Whether a run has the code that it needs.
    pub(super) fn admits(&self, run: &Run) -> bool {
        let workflow = &run.graph.workflow;
        if self.registered.contains_key(&workflow.hash) {
            return true;
        }
        let is_importable = || workflow.tasks.iter().all(|task| task.function.is_some());
        match (workflow.on_change, self.latest_of(workflow)) {
            (OnChange::Pin, _) => false,
            (OnChange::Continue | OnChange::Restart, None) => is_importable(),
            (OnChange::Continue | OnChange::Restart, Some(_)) => true,
        }
    }

    /// Digest of the registered workflow whose code runs a task, and the function's name.
    pub(super) fn code_of(
        &self,
        workflow: &Workflow,
        task: &Task,
    ) -> (Option<String>, Option<String>) {
        let own = self.registered.get(&workflow.hash);
        let Some(graph) = own.or_else(|| self.latest_of(workflow)) else {
            return (None, task.function.clone());
        };
        let found = graph.workflow.tasks.iter().find(|known| known.name == task.name);
        (Some(graph.workflow.hash.clone()), found.unwrap_or(task).function.clone())
    }
}

/// The graph of a run from the database.
///
/// # Errors
/// When it cannot be read.
pub fn graph_of(found: &FoundRun) -> Result<Arc<Graph>, Refusal> {
    let (workflow, layout) = Workflow::parse(&found.graph).map_err(|error| Refusal::Graph {
        run: Arc::clone(&found.run.id),
        reason: error.to_string(),
    })?;
    Ok(Arc::new(Graph { workflow, layout, json: found.graph.clone() }))
}

/// A run that begins.
pub(super) fn new_run(new: &NewRun, now_ms: i64) -> Run {
    let workflow = &new.graph.workflow;
    let row = RunRow {
        id: Arc::clone(&new.id),
        workflow: workflow.name.clone(),
        version: workflow.version.clone(),
        hash: workflow.hash.clone(),
        status: RunStatus::Running,
        input: new.input.clone(),
        failure: None,
        parent: None,
        created_ms: now_ms,
        ended_ms: None,
    };
    let (steps, graph) = (Vec::new(), new.graph.json.clone());
    let found = FoundRun { run: row, graph, steps, events: Vec::new() };
    Run { is_new: true, is_admitted: false, ..restored(Arc::clone(&new.graph), found) }
}

/// A run as its rows say.
pub(super) fn restored(graph: Arc<Graph>, found: FoundRun) -> Run {
    let rows: HashMap<String, StepRow> =
        found.steps.into_iter().map(|row| (row.name.clone(), row)).collect();
    let mut run = Run {
        row: found.run,
        steps: Vec::new(),
        events: found.events,
        found: rows,
        stopping: None,
        is_admitted: true,
        is_new: false,
        graph,
    };
    for task in &run.graph.workflow.tasks {
        let ended = run.found.get(&task.name).and_then(|row| match row.status {
            StepStatus::Ended(outcome) => Some(outcome),
            _ => None,
        });
        let (parts, elements) = (Vec::new(), Vec::new());
        run.steps.push(Step { parts, elements, outcome: ended, waits_for: 0 });
    }
    for step in 0..run.steps.len() {
        let parents = &run.graph.layout.parents[step];
        let waits = parents.iter().filter(|p| run.steps[**p].outcome.is_none()).count();
        run.steps[step].waits_for = waits;
        if run.steps[step].outcome.is_some() {
            restore_parts(&mut run, step);
        }
    }
    run
}

/// The parts of a step that has ended, with what they have returned.
fn restore_parts(run: &mut Run, step: usize) {
    let task = &run.graph.workflow.tasks[step];
    let mut rows = Vec::new();
    if task.map.is_none() {
        rows.extend(run.found.remove(&task.name));
    } else {
        while let Some(row) = run.found.remove(&part_name(&task.name, Some(rows.len()))) {
            rows.push(row);
        }
    }
    let parts = rows.into_iter().map(|row| super::part::Part::restored(row, Vec::new(), &[]));
    run.steps[step].parts = parts.collect();
}

/// Names of a step and of all that follow from it.
fn followers(graph: &Graph, from: usize) -> HashSet<usize> {
    let mut found = HashSet::from([from]);
    let mut walk = vec![from];
    while let Some(at) = walk.pop() {
        walk.extend(graph.layout.children[at].iter().filter(|child| found.insert(**child)));
    }
    found
}

/// The rows with which a run goes on: those of steps that have completed, unless they run again. All
/// others are forgotten, but for the number of their attempts.
fn kept_rows(
    journal: &mut Journal,
    graph: &Graph,
    (id, steps): (&RunId, Vec<StepRow>),
    again: Option<&HashSet<usize>>,
) -> Vec<StepRow> {
    let mut kept = Vec::new();
    for mut row in steps {
        let task = graph.workflow.index(task_of(&row.name));
        let is_again = task.is_some_and(|t| again.is_some_and(|a| a.contains(&t)));
        let is_inner = row.name.contains('/');
        // A pause that has not ended begins again.
        let is_done = row.status == StepStatus::Ended(Outcome::Completed);
        if !is_again && is_done {
            kept.push(row);
            continue;
        }
        journal.add(Change::ForgetStep(Arc::clone(id), row.name.clone()));
        if !is_inner && row.attempts > 0 {
            row = StepRow { attempts: row.attempts, ..StepRow::new(row.name) };
            journal.add(Change::Step(Arc::clone(id), Box::new(row.clone())));
            kept.push(row);
        }
    }
    kept
}

/// A run that takes over what another one has completed, but for some tasks.
fn forked(
    journal: &mut Journal,
    new: &NewRun,
    (found, again): (FoundRun, &HashSet<usize>),
    now_ms: i64,
) -> Run {
    let mut run = new_run(new, now_ms);
    run.row.parent = Some(found.run.id);
    journal.add(Change::NewRun(Box::new(run.row.clone())));
    let is_kept = |row: &StepRow| {
        let task = new.graph.workflow.index(task_of(&row.name));
        let is_done = row.status == StepStatus::Ended(Outcome::Completed);
        is_done && task.is_some_and(|task| !again.contains(&task))
    };
    let steps: Vec<StepRow> = found.steps.into_iter().filter(is_kept).collect();
    for row in &steps {
        journal.add(Change::Step(Arc::clone(&new.id), Box::new(row.clone())));
    }
    let graph = new.graph.json.clone();
    let found = FoundRun { run: run.row, graph, steps, events: Vec::new() };
    Run { is_new: true, ..restored(Arc::clone(&new.graph), found) }
}

/// A run that begins again with another graph.
fn restarted(run: Run, graph: &Arc<Graph>) -> Run {
    let row = RunRow { hash: graph.workflow.hash.clone(), failure: None, ..run.row };
    let (steps, json) = (Vec::new(), graph.json.clone());
    let found = FoundRun { run: row, graph: json, steps, events: run.events };
    restored(Arc::clone(graph), found)
}

impl Engine {
    /// Takes note that a program has the code of a workflow, and lets runs go on that have waited
    /// for it.
    pub(super) fn register(&mut self, graph: &Arc<Graph>, now_ms: i64, actions: &mut Vec<Action>) {
        let workflow = &graph.workflow;
        let key = (workflow.name.clone(), workflow.version.clone());
        self.library.latest.insert(key, workflow.hash.clone());
        self.library.registered.insert(workflow.hash.clone(), Arc::clone(graph));
        self.library.keep(graph, &mut self.journal);
        let is_of_it = |run: &&Run| {
            run.row.workflow == workflow.name && run.row.version == workflow.version && !run.is_new
        };
        let ids: Vec<_> =
            self.runs.values().filter(is_of_it).map(|run| Arc::clone(&run.row.id)).collect();
        for id in ids {
            let Some(run) = self.runs.get(&id) else { continue };
            let differs = run.graph.workflow.hash != workflow.hash;
            if differs && run.graph.workflow.on_change == OnChange::Restart && run.is_quiet() {
                let Some(run) = self.runs.remove(&id) else { continue };
                let hash = workflow.hash.clone();
                self.journal.add(Change::Restart { id, hash });
                self.take_over(restarted(run, graph), now_ms, actions);
            } else if !run.is_admitted && self.library.admits(run) {
                let Some(run) = self.runs.get_mut(&id) else { continue };
                run.is_admitted = true;
                self.ready.extend(run.all_ready());
            }
        }
    }

    /// Lets a run go on.
    pub(super) fn take_over(&mut self, mut run: Run, now_ms: i64, actions: &mut Vec<Action>) {
        let id = Arc::clone(&run.row.id);
        self.library.kept.insert(run.graph.workflow.hash.clone());
        run.is_admitted = self.library.admits(&run);
        self.runs.insert(Arc::clone(&id), run);
        self.with_run(&id, now_ms, actions, |run: &mut Run, out: &mut Out<'_>| run.begin(out));
    }

    /// Lets a run go on that has failed or was cancelled, with a step from which all is run again.
    pub(super) fn resume(
        &mut self,
        ticket: Ticket,
        (mut found, from): (FoundRun, Option<&str>),
        now_ms: i64,
        actions: &mut Vec<Action>,
    ) {
        let id = Arc::clone(&found.run.id);
        let is_at_work = self.runs.contains_key(&id).then(|| Refusal::AtWork(Arc::clone(&id)));
        let (graph, again) = match is_at_work.map_or_else(|| prepared(&found, from), Err) {
            Ok(prepared) => prepared,
            Err(refusal) => return actions.push(Action::Answer(ticket, Err(refusal))),
        };
        let steps = std::mem::take(&mut found.steps);
        found.steps = kept_rows(&mut self.journal, &graph, (&id, steps), again.as_ref());
        found.run = reopened(&mut self.journal, found.run, now_ms);
        self.journal.then(Effect::Answer(ticket, id));
        self.take_over(restored(graph, found), now_ms, actions);
    }

    /// Begins a run with what another one has done before a step.
    pub(super) fn fork(
        &mut self,
        ticket: Ticket,
        fork: Fork,
        now_ms: i64,
        actions: &mut Vec<Action>,
    ) {
        let (id, found) = (Arc::clone(&fork.id), fork.source);
        let is_taken = self.runs.contains_key(&id).then(|| Refusal::Taken(Arc::clone(&id)));
        let prepared = is_taken.map_or_else(|| prepared(&found, Some(&fork.from)), Err);
        let (graph, again) = match prepared {
            Ok((graph, again)) => (graph, again.unwrap_or_default()),
            Err(refusal) => return actions.push(Action::Answer(ticket, Err(refusal))),
        };
        let input = fork.input.unwrap_or_else(|| found.run.input.clone());
        let new = NewRun { id: Arc::clone(&id), graph, input };
        let run = forked(&mut self.journal, &new, (found, &again), now_ms);
        self.runs.insert(Arc::clone(&id), run);
        self.journal.then(Effect::Begin(ticket, vec![id]));
    }
}

/// The graph of a run that goes on or is forked, and the tasks that run again.
fn prepared(
    found: &FoundRun,
    from: Option<&str>,
) -> Result<(Arc<Graph>, Option<HashSet<usize>>), Refusal> {
    let graph = graph_of(found)?;
    let missing =
        |step: &str| Refusal::NoStep { run: Arc::clone(&found.run.id), step: step.to_owned() };
    let again = from.map(|step| {
        graph.workflow.index(step).map(|from| followers(&graph, from)).ok_or_else(|| missing(step))
    });
    let again = again.transpose()?;
    Ok((graph, again))
}

/// The row of a run that goes on. Its time limit counts from now.
fn reopened(journal: &mut Journal, run: RunRow, now_ms: i64) -> RunRow {
    let status = RunStatus::Running;
    let id = Arc::clone(&run.id);
    journal.add(Change::Run { id, status, failure: None, ended_ms: None });
    RunRow { status, failure: None, ended_ms: None, created_ms: now_ms, ..run }
}
