//! A world without processes: tasks are closures, the store is in memory, time is a number.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde_json::json;

use crate::engine::{
    Action, AttemptResult, Engine, Event, Graph, Job, JobId, NewRun, Refusal, Report, StoreTrouble,
    Ticket,
};
use crate::failure::{Failure, FailureKind};
use crate::record::{Change, FoundRun, RunId, RunRow};
use crate::store::{MemoryStore, Store};
use crate::value::{Blobs, Kept};
use crate::workflow::Workflow;

pub(super) struct World {
    pub(super) engine: Engine,
    pub(super) store: MemoryStore,
    pub(super) now_ms: i64,
    /// Attempts that run, in the order of their starts.
    pub(super) running: Vec<Job>,
    pub(super) writing: Option<Arc<Vec<Change>>>,
    pub(super) stops: Vec<JobId>,
    pub(super) answers: BTreeMap<Ticket, Result<Vec<RunId>, Refusal>>,
    pub(super) ended: Vec<RunRow>,
    pub(super) troubles: Vec<String>,
    pub(super) halted: Option<String>,
    /// Names of the steps that were started, with their runs.
    pub(super) started: Vec<(String, String)>,
    pub(super) most_running: usize,
    next_ticket: Ticket,
}

/// A workflow of tasks that can be imported.
pub(super) fn graph(mut tasks: serde_json::Value) -> Arc<Graph> {
    for task in tasks.as_array_mut().unwrap() {
        task["function"] = json!("m:f");
    }
    graph_of(json!({"name": "w", "hash": "h1", "tasks": tasks}))
}

pub(super) fn graph_of(workflow: serde_json::Value) -> Arc<Graph> {
    let json = workflow.to_string();
    let (workflow, layout) = Workflow::parse(&json).unwrap();
    Arc::new(Graph { workflow, layout, json })
}

pub(super) fn kept(value: impl Into<ipc_protocol::Value>) -> Kept {
    Kept::new(value.into(), "value", &*blobs()).unwrap()
}

fn blobs() -> Arc<dyn Blobs> {
    MemoryStore::default().blobs()
}

pub(super) fn returned(value: impl Into<ipc_protocol::Value>) -> AttemptResult {
    AttemptResult::Returned(kept(value))
}

pub(super) fn failed(kind: FailureKind) -> AttemptResult {
    let failure = Failure::new(kind, "it failed".to_owned());
    AttemptResult::Failed(Failure { classes: vec!["ValueError".to_owned()], ..failure })
}

pub(super) fn report(result: AttemptResult, now_ms: i64) -> Box<Report> {
    Box::new(Report { result, pid: Some(1), signal: None, tail: None, started_ms: now_ms })
}

impl World {
    pub(super) fn new(workers: usize) -> Self {
        Self {
            engine: Engine::new(workers),
            store: MemoryStore::default(),
            now_ms: 1_000_000,
            running: Vec::new(),
            writing: None,
            stops: Vec::new(),
            answers: BTreeMap::new(),
            ended: Vec::new(),
            troubles: Vec::new(),
            halted: None,
            started: Vec::new(),
            most_running: 0,
            next_ticket: 1,
        }
    }

    pub(super) fn hear(&mut self, event: Event) {
        let actions = self.engine.handle(self.now_ms, event);
        self.act(actions);
    }

    fn act(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Write(changes) => {
                    assert!(self.writing.is_none(), "two writes at a time");
                    self.writing = Some(changes);
                }
                Action::Start(job) => {
                    self.started.push((job.run.to_string(), job.step.clone()));
                    self.running.push(*job);
                    self.most_running = self.most_running.max(self.running.len());
                }
                Action::Stop(job) => self.stops.push(job),
                Action::Answer(ticket, answer) => {
                    if ticket != 0 {
                        assert!(self.answers.insert(ticket, answer).is_none(), "two answers");
                    }
                }
                Action::Ended(row) => self.ended.push(*row),
                Action::Trouble(trouble) => self.troubles.push(trouble),
                Action::Halt(reason) => self.halted = Some(reason),
            }
        }
    }

    pub(super) fn ticket(&mut self) -> Ticket {
        self.next_ticket += 1;
        self.next_ticket
    }

    pub(super) fn submit(&mut self, id: &str, graph: &Arc<Graph>, input: Kept) -> Ticket {
        let ticket = self.ticket();
        self.hear(Event::Register(Arc::clone(graph)));
        if self.next_ticket == 2 {
            self.store_now();
        }
        let run = NewRun { id: id.into(), graph: Arc::clone(graph), input };
        self.hear(Event::Submit(ticket, vec![run]));
        ticket
    }

    /// Carries out the write that is under way.
    pub(super) fn store_now(&mut self) -> bool {
        let Some(changes) = self.writing.take() else { return false };
        let existing = self.store.write(&changes).unwrap();
        self.hear(Event::Stored(existing));
        true
    }

    pub(super) fn store_all(&mut self) {
        while self.store_now() {}
    }

    pub(super) fn fail_store(&mut self, is_final: bool) -> bool {
        if self.writing.take().is_none() {
            return false;
        }
        self.hear(Event::StoreFailed(StoreTrouble { reason: "disk full".to_owned(), is_final }));
        true
    }

    pub(super) fn end_job(&mut self, index: usize, result: AttemptResult) {
        let job = self.running.remove(index);
        self.hear(Event::Done(job.id, report(result, self.now_ms)));
    }

    /// Runs until nothing more happens without time passing.
    pub(super) fn settle(&mut self, body: &mut dyn FnMut(&Job) -> AttemptResult) {
        loop {
            if self.store_now() {
                continue;
            }
            if self.running.is_empty() {
                return;
            }
            let stopped = self.stops.contains(&self.running[0].id);
            let result = if stopped { AttemptResult::Stopped } else { body(&self.running[0]) };
            self.end_job(0, result);
        }
    }

    /// Runs until every run is at its end or waits for an event, letting time pass.
    pub(super) fn run(&mut self, body: &mut dyn FnMut(&Job) -> AttemptResult) {
        self.settle(body);
        while let Some(due) = self.engine.due_ms() {
            self.now_ms = self.now_ms.max(due);
            self.hear(Event::Tick);
            self.settle(body);
        }
    }

    /// The engine dies, and another one goes on with what is in the store.
    pub(super) fn restart(&mut self, graphs: &[Arc<Graph>]) {
        self.engine = Engine::new(2);
        (self.writing, self.running) = (None, Vec::new());
        self.stops.clear();
        for graph in graphs {
            self.hear(Event::Register(Arc::clone(graph)));
        }
        let found = self.store.unfinished().unwrap();
        let actions = self.engine.recover(self.now_ms, found);
        self.act(actions);
    }

    pub(super) fn found(&mut self, run: &str) -> FoundRun {
        self.store.find(run).unwrap().unwrap()
    }

    /// The status of each step of a run, by name.
    pub(super) fn steps(&mut self, run: &str) -> BTreeMap<String, String> {
        let steps = self.found(run).steps.into_iter();
        steps.map(|row| (row.name, row.status.to_string())).collect()
    }
}

/// Results by the name of the step, in turn; others return None.
pub(super) fn script(
    mut results: BTreeMap<&'static str, VecDeque<AttemptResult>>,
) -> impl FnMut(&Job) -> AttemptResult {
    move |job| {
        let next = results.get_mut(job.step.as_str()).and_then(VecDeque::pop_front);
        next.unwrap_or_else(|| AttemptResult::Returned(Kept::none()))
    }
}
