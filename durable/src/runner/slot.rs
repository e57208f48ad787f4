//! One worker's thread: it drives the session in which tasks run, one task at a time.

use std::collections::VecDeque;
use std::io::Write;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use ipc_protocol::from_worker::LogRecord;
use orchestrator::options::{CancelHandle, OpenOptions};
use orchestrator::session::Host;
use orchestrator::{Error, Manifest, Runtime, Session};
use serde_json::json;

use super::call::{self, Came};
use super::drive::{Message, Shared, Watch, new_ticket};
use super::lock;
use super::patient::PatientBlobs;
use crate::engine::{AttemptResult, Event, Job, JobId, Report};
use crate::failure::{Failure, FailureKind};
use crate::value::Kept;
use crate::workflow::{GraphError, Workflow};

/// The node that calls tasks.
const HOST: &str = "remotemedia._task_host:TaskHost";
/// Lines and bytes of output that are kept of an attempt.
const TAIL_LINES: usize = 20;
const TAIL_BYTES: usize = 4096;

/// What the slots have in common.
#[derive(Debug)]
pub(super) struct SlotContext {
    pub(super) runtime: Arc<Runtime>,
    pub(super) session: OpenOptions,
    pub(super) shared: Shared,
    pub(super) messages: Sender<Message>,
    pub(super) watch: Watch,
}

impl SlotContext {
    /// Keeps the result of an inner step. It is durable when this returns, unless the runner ends.
    fn keep(&self, job: JobId, name: String, result: Kept) {
        let (answer, answered) = mpsc::channel();
        let ticket = new_ticket();
        let noted = Event::Noted(ticket, job, name, result);
        if self.messages.send(Message::Call(ticket, noted, answer)).is_ok() {
            let _ended = answered.recv();
        }
    }
}

/// What decides whether a session suits a job: limits and time limit count when a worker is taken.
#[derive(Debug, Clone, PartialEq)]
struct Terms {
    timeout_ms: Option<u64>,
    limits: serde_json::Map<String, serde_json::Value>,
}

/// The arguments of tasks that set limits of other names.
const OPTIONS: [(&str, &str); 2] = [("memory_hard", "memory"), ("cpu_time", "cpu")];

/// Checks the limits of all tasks, before a worker is to have them.
///
/// # Errors
/// [`GraphError::Limit`] for the first one with a wrong value.
pub fn check_limits(workflow: &Workflow) -> Result<(), GraphError> {
    for task in &workflow.tasks {
        let terms = Terms { timeout_ms: task.timeout_ms, limits: task.limits.clone() };
        let Err(error) = Manifest::parse(&terms.manifest()) else { continue };
        let Some(problem) = error.problems.first() else { continue };
        let limit = problem.path.rsplit('.').next().unwrap_or_default();
        let option = OPTIONS.iter().find(|(name, _)| *name == limit).map_or(limit, |known| known.1);
        return Err(GraphError::Limit {
            task: task.name.clone(),
            option: option.to_owned(),
            problem: problem.kind.to_string(),
        });
    }
    Ok(())
}

impl Terms {
    fn of(job: &Job) -> Self {
        Self { timeout_ms: job.timeout_ms, limits: job.limits.clone() }
    }

    fn manifest(&self) -> String {
        // Functions travel as CPython's bytecode.
        let hint = "cpython";
        let mut node = json!({"id": "task", "node_type": HOST, "params": {}, "runtime_hint": hint});
        if let Some(timeout) = self.timeout_ms {
            node["timeout_ms"] = timeout.into();
        }
        if !self.limits.is_empty() {
            node["limits"] = self.limits.clone().into();
            node["isolated"] = true.into();
        }
        json!({"version": "v1", "metadata": {"name": "tasks"}, "nodes": [node], "connections": []})
            .to_string()
    }
}

/// What other threads may ask of a slot.
#[derive(Debug, Default)]
struct Control {
    terms: Option<Terms>,
    job: Option<JobId>,
    handle: Option<CancelHandle>,
    /// A job that is to be stopped: the one that runs, or one that has not begun yet.
    stopped: Option<JobId>,
    is_ending: bool,
}

/// A handle to the thread.
#[derive(Debug)]
pub(super) struct Slot {
    jobs: Option<Sender<Box<Job>>>,
    control: Arc<Mutex<Control>>,
    thread: Option<JoinHandle<()>>,
}

impl Slot {
    /// Starts the thread. Its session opens with its first job.
    pub(super) fn new(number: usize, context: Arc<SlotContext>) -> Self {
        let (jobs, received) = mpsc::channel();
        let control = Arc::new(Mutex::new(Control::default()));
        let worker = Worker { context, control: Arc::clone(&control), open: None };
        let name = format!("remotemedia-task-{number}");
        let thread = thread::Builder::new().name(name).spawn(move || worker.run(&received));
        Self { jobs: Some(jobs), control, thread: thread.ok() }
    }

    pub(super) fn suits(&self, job: &Job) -> bool {
        lock(&self.control).terms.as_ref() == Some(&Terms::of(job))
    }

    pub(super) fn run(&self, job: Box<Job>) {
        if let Some(jobs) = &self.jobs {
            let _ended = jobs.send(job);
        }
    }

    pub(super) fn cancel(&self, job: JobId) {
        let mut control = lock(&self.control);
        control.stopped = Some(job);
        if control.job == Some(job)
            && let Some(handle) = &control.handle
        {
            handle.cancel();
        }
    }

    /// Gives up what runs. Nothing is reported any more.
    pub(super) fn stop(&self) {
        let mut control = lock(&self.control);
        control.is_ending = true;
        if let Some(handle) = &control.handle {
            handle.cancel();
        }
    }

    pub(super) fn join(mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

/// The thread itself.
#[derive(Debug)]
struct Worker {
    context: Arc<SlotContext>,
    control: Arc<Mutex<Control>>,
    open: Option<Session>,
}

impl Worker {
    fn run(mut self, jobs: &Receiver<Box<Job>>) {
        for job in jobs {
            let Some(report) = self.attempt(&job) else { break };
            let done = Message::Event(Event::Done(job.id, Box::new(report)));
            if self.context.messages.send(done).is_err() {
                break;
            }
            if lock(&self.control).handle.is_none() {
                self.close();
            }
        }
        self.close();
    }

    fn close(&mut self) {
        lock(&self.control).terms = None;
        if let Some(mut session) = self.open.take() {
            // A task has no `cleanup` that could fail.
            let _closed = session.close(&mut TaskHost::default());
        }
    }

    /// Runs a job. `None` when the runner ends.
    fn attempt(&mut self, job: &Job) -> Option<Report> {
        let mut host = TaskHost { task: job.task.clone(), tail: VecDeque::new() };
        let mut report = Report {
            result: AttemptResult::Stopped,
            pid: None,
            signal: None,
            tail: None,
            started_ms: self.context.watch.now_ms(),
        };
        if self.begin(job) {
            match self.session(job, &mut host).and_then(|()| self.call(job, &mut host)) {
                Ok(came) => (report.result, report.pid) = (came.result, came.pid),
                Err(error) => call::failed(error, &mut report),
            }
        }
        report.tail = report.tail.or_else(|| host.tail());
        let mut control = lock(&self.control);
        control.job = None;
        if control.stopped == Some(job.id) {
            // The session is of no more use once its handle has been cancelled.
            (control.stopped, control.handle) = (None, None);
            if !matches!(report.result, AttemptResult::Returned(_)) {
                report.result = AttemptResult::Stopped;
            }
        }
        (!control.is_ending).then_some(report)
    }

    /// Whether the job is to begin: it may have been stopped before.
    fn begin(&mut self, job: &Job) -> bool {
        let terms = Terms::of(job);
        if lock(&self.control).terms.as_ref() != Some(&terms) {
            self.close();
        }
        let mut control = lock(&self.control);
        if control.is_ending || control.stopped == Some(job.id) {
            return false;
        }
        control.job = Some(job.id);
        if control.handle.is_none() {
            control.handle = CancelHandle::new().ok();
        }
        control.terms = Some(terms);
        true
    }

    /// Opens a session, if none is open.
    fn session(&mut self, job: &Job, host: &mut TaskHost) -> Result<(), Error> {
        if self.open.is_some() {
            return Ok(());
        }
        let manifest = Manifest::parse(&Terms::of(job).manifest())?;
        let cancel = lock(&self.control).handle.clone();
        let options = OpenOptions { cancel, ..self.context.session.clone() };
        let opened = Session::open(&self.context.runtime, &manifest, options, host);
        if opened.is_err() {
            lock(&self.control).terms = None;
        }
        self.open = Some(opened?);
        Ok(())
    }

    /// Calls the task in the worker.
    fn call(&mut self, job: &Job, host: &mut TaskHost) -> Result<Came, Error> {
        let shared = &self.context.shared;
        let is_wanted = || {
            let control = lock(&self.control);
            !control.is_ending && control.stopped != Some(job.id)
        };
        let blobs = PatientBlobs { shared, is_wanted: &is_wanted };
        let failed = |reason: &str| {
            let failure = Failure::new(FailureKind::NotStarted, reason.to_owned());
            Ok(Came { result: AttemptResult::Failed(failure), pid: None })
        };
        let mut item = match call::item(job, shared, &blobs) {
            Ok(item) => item,
            Err(error) => return failed(&error.to_string()),
        };
        let Some(session) = &mut self.open else { return Err(Error::Closed) };
        loop {
            session.begin(Some(item))?;
            let mut heard = None;
            while let Some(output) = session.next(host)? {
                heard = Some(call::read(output.value, &blobs));
            }
            match heard {
                None => return failed("it gave no result"),
                Some(call::Heard::End(end)) => return Ok(*end),
                Some(call::Heard::Note(name, result)) => self.context.keep(job.id, name, result),
            }
            item = call::go_on();
        }
    }
}

/// What a task prints and logs goes to stdout and stderr of this process; the last lines are kept.
#[derive(Debug, Default)]
struct TaskHost {
    task: String,
    tail: VecDeque<String>,
}

impl TaskHost {
    fn tail(&self) -> Option<String> {
        let mut text = self.tail.iter().map(String::as_str).collect::<Vec<_>>().join("\n");
        if text.len() > TAIL_BYTES {
            let at = (text.len() - TAIL_BYTES..text.len()).find(|at| text.is_char_boundary(*at));
            text = text.split_off(at.unwrap_or(0));
        }
        (!text.is_empty()).then_some(text)
    }
}

impl Host for TaskHost {
    fn check_interrupt(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn log(&mut self, record: &LogRecord) {
        let LogRecord { logger, message, level, .. } = record;
        if self.tail.len() == TAIL_LINES {
            self.tail.pop_front();
        }
        self.tail.push_back(message.clone());
        // A closed stdout or stderr of the caller must not fail the task.
        let _shown = match (record.is_stream, logger.as_str()) {
            (true, "stdout") => writeln!(std::io::stdout(), "{message}"),
            (true, _) => writeln!(std::io::stderr(), "{message}"),
            (false, _) if *level >= 30 => {
                writeln!(std::io::stderr(), "{}: {logger}: {message}", self.task)
            }
            (false, _) => Ok(()),
        };
    }
}
