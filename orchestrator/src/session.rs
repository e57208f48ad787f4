//! One opened run of a pipeline: node instances that live as long as it does, and the one loop
//! that drives them. The caller's own thread drives: it writes, waits in `ppoll`, reads.

mod close;
mod drive;
mod failure;
mod fallback;
mod memory;
mod native;
mod open;
mod options;
mod slot;
mod spin;
mod supply;

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use ipc_protocol::Value;
use ipc_protocol::from_worker::{LogRecord, Moved, Traffic};

use crate::error::Error;
use crate::metrics::RunMetrics;
use crate::plan::Plan;
use crate::runtime::Runtime;
use crate::runtime::caller::Caller;
use crate::schedule::{Core, Event, Round, SlotId, StageId};
use crate::worker::supervisor::Pool;
use crate::worker::waker::Waker;
pub use close::{ClosedSession, WrittenBack};
use fallback::Watched;
use native::NativeStage;
pub use options::{NodeObjects, OpenOptions};
use slot::Slot;
use spin::Spin;
use supply::Shipped;

/// The one who drives a session: a Python thread, the command line.
pub trait Host {
    /// Called before every wait that blocks; what comes from then on interrupts it.
    ///
    /// # Errors
    /// [`Error::Interrupted`] to stop, for what has come already.
    fn before_blocking(&mut self) -> Result<(), Error> {
        Ok(())
    }

    /// A descriptor that becomes readable when a signal has come, for hosts that have one.
    fn interrupt_source(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// Called when a signal interrupted the wait, or the interrupt source is readable.
    ///
    /// # Errors
    /// [`Error::Interrupted`] to stop.
    fn check_interrupt(&mut self) -> Result<(), Error>;

    /// Called with what nodes print and log.
    fn log(&mut self, record: &LogRecord);
}

/// Where the inputs of a run come from.
pub trait Inputs {
    /// The next input; `None` when there is none left.
    ///
    /// # Errors
    /// When it cannot be had, in the caller's words.
    fn next(&mut self) -> Result<Option<Value>, Error>;
}

/// An output of the graph.
#[derive(Debug, Clone, PartialEq)]
pub struct GraphOutput {
    /// Id of the node that it left.
    pub node_id: String,
    /// The value.
    pub value: Value,
}

/// A failed run with the outputs that came before the failure.
#[derive(Debug)]
pub struct RunError {
    /// Why it failed.
    pub error: Error,
    /// What it gave until then.
    pub partial: Vec<GraphOutput>,
}

/// Stops a session from any thread.
#[derive(Debug, Clone)]
pub struct CancelHandle {
    cancelled: Arc<AtomicBool>,
    waker: Waker,
}

impl CancelHandle {
    /// A handle for a session that is yet to be opened.
    ///
    /// # Errors
    /// When no descriptor can be had.
    pub fn new() -> Result<Self, Error> {
        Ok(Self { cancelled: Arc::new(AtomicBool::new(false)), waker: Waker::new()? })
    }

    fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }

    /// Makes the call that is under way, and every later one, fail with [`Error::Cancelled`].
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
        self.waker.wake();
    }
}

/// An open session.
#[derive(Debug)]
pub struct Session {
    runtime: Arc<Runtime>,
    plan: Plan,
    options: OpenOptions,
    core: Core<Value>,
    slots: Vec<Slot>,
    natives: Vec<Option<NativeStage>>,
    /// The first node of each stage: the one that holds the stage's inputs.
    holders: Vec<Arc<str>>,
    /// Nodes whose appetite for shared memory the host has been told of.
    warned: BTreeSet<String>,
    /// What the core is told with the next event: what happened when an interrupt left no time, and
    /// stages that move.
    pending: Vec<Event<Value>>,
    /// The state of stages on RustPython.
    watched: Vec<Option<Watched>>,
    /// Nodes may move from RustPython to CPython.
    fallback: bool,
    /// What was sent of the caller's node objects, to which interpreter.
    shipments: Vec<Shipped>,
    /// What was taken over from the caller's process; made when it is first needed.
    caller: Option<Arc<Caller>>,
    /// The slot that could not be opened.
    failed_slot: Option<SlotId>,
    /// Log records for the host, delivered at the next wait.
    notices: Vec<LogRecord>,
    /// Notices of moved stages, kept until CPython has run them: it may lack the same module.
    deferred_notices: BTreeMap<StageId, LogRecord>,
    /// Number of each stage's first node in the metrics.
    first_node: Vec<usize>,
    cancel: CancelHandle,
    metrics: RunMetrics,
    outputs: Vec<GraphOutput>,
    /// The first failure that the caller has not been told of.
    failure: Option<Error>,
    /// A failure ends the run instead of its item.
    stops_at_failure: bool,
    next_call: u64,
    /// Where the session's workers come from and go back to.
    pool: Option<Arc<Pool>>,
    finished_rounds: Round,
    spin: Spin,
    /// When signals and wake-ups were last looked for.
    looked_up: Instant,
    is_open: bool,
    /// The process that opened the session; a forked child must leave its workers alone.
    owner: u32,
}

impl Session {
    /// A handle that stops the session.
    #[must_use]
    pub fn cancel_handle(&self) -> CancelHandle {
        self.cancel.clone()
    }

    /// What the session has cost so far.
    #[must_use]
    pub fn metrics(&self) -> &RunMetrics {
        &self.metrics
    }

    /// Counts how an input came from the caller's own objects.
    pub fn count_taken(&mut self, traffic: Traffic) {
        let moved = Moved { incoming: traffic, ..Moved::default() };
        let roots = self.plan.stages.iter().enumerate().filter(|(_, s)| s.inputs.is_empty());
        for (stage, _) in roots {
            self.metrics.count_moved(self.first_node[stage], moved);
        }
    }

    /// Counts how an output of a sink reached the caller's own objects.
    pub fn count_delivered(&mut self, node_id: &str, traffic: Traffic) {
        let moved = Moved { outgoing: traffic, ..Moved::default() };
        self.metrics.count_moved_of(node_id, moved);
    }

    /// The plan that the session follows.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Feeds all inputs (`None`: the sources produce), flushes, and gives every output. It stops
    /// at the first failure.
    ///
    /// # Errors
    /// The failure, with the outputs until then.
    pub fn run(
        &mut self,
        inputs: Option<&mut dyn Inputs>,
        host: &mut dyn Host,
    ) -> Result<Vec<GraphOutput>, RunError> {
        let started = Instant::now();
        let result = self.run_to_end(inputs, host);
        self.metrics.finish(started.elapsed());
        let outputs = std::mem::take(&mut self.outputs);
        match result {
            Ok(()) => Ok(outputs),
            Err(error) => Err(RunError { error, partial: outputs }),
        }
    }

    fn run_to_end(
        &mut self,
        inputs: Option<&mut dyn Inputs>,
        host: &mut dyn Host,
    ) -> Result<(), Error> {
        self.check_usable()?;
        self.stops_at_failure = true;
        if let Some(inputs) = inputs {
            while let Some(value) = inputs.next()? {
                self.feed(Event::Input(Some(value)), host)?;
                self.drive(host, |session| session.failed() || session.core.wants_input())?;
                self.hear_all(host)?;
                self.fail_fast()?;
            }
        } else {
            self.check_sources()?;
            self.feed(Event::Input(None), host)?;
            self.fail_fast()?;
        }
        self.feed(Event::Flush, host)?;
        self.drive(host, |session| session.failed() || session.core.open_rounds() == 0)?;
        self.fail_fast()
    }

    /// Feeds one input and gives the outputs that came of it. After a failure the session stays
    /// usable; a node whose worker died begins anew on a fresh one.
    ///
    /// # Errors
    /// The failure of this input, with the outputs that it gave before.
    pub fn process(
        &mut self,
        value: Value,
        host: &mut dyn Host,
    ) -> Result<Vec<GraphOutput>, RunError> {
        self.one_round(Event::Input(Some(value)), host)
    }

    /// Lets every node give what it holds back, as at the end of the input.
    ///
    /// # Errors
    /// Like [`Session::process`].
    pub fn flush(&mut self, host: &mut dyn Host) -> Result<Vec<GraphOutput>, RunError> {
        self.one_round(Event::Flush, host)
    }

    fn one_round(
        &mut self,
        event: Event<Value>,
        host: &mut dyn Host,
    ) -> Result<Vec<GraphOutput>, RunError> {
        let started = Instant::now();
        let result = self
            .check_usable()
            .and_then(|()| self.feed(event, host))
            .and_then(|()| self.drive(host, |session| session.core.open_rounds() == 0))
            .and_then(|()| self.fail_fast());
        self.metrics.finish(started.elapsed());
        let outputs = std::mem::take(&mut self.outputs);
        match result {
            Ok(()) => Ok(outputs),
            Err(error) => Err(RunError { error, partial: outputs }),
        }
    }

    fn check_usable(&self) -> Result<(), Error> {
        if self.is_open && !self.is_inherited() { Ok(()) } else { Err(Error::Closed) }
    }

    fn is_inherited(&self) -> bool {
        self.owner != std::process::id()
    }

    fn check_sources(&self) -> Result<(), Error> {
        let roots = self.plan.stages.iter().enumerate().filter(|(_, s)| s.inputs.is_empty());
        for (id, stage) in roots {
            if !self.core.is_source(id) {
                let node_id = stage.nodes.first().map_or_else(String::new, |n| n.id.clone());
                return Err(Error::NoInput { node_id });
            }
        }
        Ok(())
    }

    fn failed(&self) -> bool {
        self.failure.is_some()
    }

    fn fail_fast(&mut self) -> Result<(), Error> {
        self.failure.take().map_or(Ok(()), Err)
    }
}
