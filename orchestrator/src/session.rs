//! One opened run of a pipeline: node instances that live as long as it does. The caller's own
//! thread drives it: that thread writes to the workers, waits in `ppoll` and reads.
//!
//! The core (`crate::schedule`) decides, and the shell carries its decisions out. The shell has
//! four parts: `workers` (links and waiting), `layout` (where nodes run, and with `fallback` which
//! of them move from RustPython to CPython), `outfit` (what workers get at opening) and `journal`
//! (metrics, log records, notices). The loop between core and shell is in `drive`.

mod batch;
mod close;
mod crash;
mod drive;
mod failure;
mod failures;
mod fallback;
mod hear;
mod heard;
mod journal;
mod layout;
mod native;
mod open;
mod outfit;
mod quota;
mod saved;
mod shell;
mod stream;
mod tune;
mod workers;

use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use ipc_protocol::Value;
use ipc_protocol::from_worker::{LogRecord, Moved, Traffic};

use crate::error::Error;
use crate::metrics::RunMetrics;
use crate::options::CancelHandle;
use crate::plan::Plan;
use crate::schedule::Event;
use crate::trace::{Due, Trace};
pub use batch::Processed;
pub use close::{ClosedSession, WrittenBack};
use drive::Driver;
pub use stream::{Next, Source, Streaming};

/// The program that drives a session: a Python thread or the command line.
pub trait Host {
    /// Called before a wait that may last for longer than 10 ms. Signals that arrive from then on
    /// must interrupt the wait.
    ///
    /// # Errors
    /// [`Error::Interrupted`] to stop, for a signal that has already arrived.
    fn before_blocking(&mut self) -> Result<(), Error> {
        Ok(())
    }

    /// A descriptor that becomes readable when a signal has arrived, for hosts that have one.
    fn interrupt_source(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// Called when a signal interrupted the wait, or the interrupt source is readable.
    ///
    /// # Errors
    /// [`Error::Interrupted`] to stop.
    fn check_interrupt(&mut self) -> Result<(), Error>;

    /// Called with the number of inputs and flushes that have passed through the whole graph.
    fn rounds_done(&mut self, _count: u64) {}
    /// Called with each line that a node prints and each record that it logs.
    fn log(&mut self, record: &LogRecord);
    /// Called when lines about crossings wait to be shown: at once, or soon.
    fn show_lines(&mut self, trace: &Trace, _due: Due) {
        journal::tracing::crossings(trace).iter().for_each(|record| self.log(record));
    }
}

/// The source of a run's inputs.
pub trait Inputs {
    /// The next input; `None` when there is none left.
    ///
    /// # Errors
    /// When the caller's source of inputs fails, with its own error.
    fn next(&mut self) -> Result<Option<Value>, Error>;
}

/// An output of the graph.
#[derive(Debug, Clone, PartialEq)]
pub struct GraphOutput {
    /// Id of the node that gave it.
    pub node_id: String,
    /// The value.
    pub value: Value,
}

/// A failed run with the outputs that came before the failure.
#[derive(Debug)]
pub struct RunError {
    /// Why it failed.
    pub error: Error,
    /// The outputs before the failure.
    pub partial: Vec<GraphOutput>,
}

/// The work that a session has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    /// Nothing: no work was begun, or all its outputs have been returned.
    Nothing,
    /// One round: an input or a flush.
    Round { since: Instant },
    /// A run: all inputs, then a flush. `is_fed`: no input is left to take.
    Run { since: Instant, is_fed: bool },
    /// A stream.
    Stream { since: Instant },
}

/// An open session.
#[derive(Debug)]
pub struct Session {
    driver: Driver,
    work: Work,
}

impl Session {
    /// A handle that stops the session.
    #[must_use]
    pub fn cancel_handle(&self) -> CancelHandle {
        self.driver.cancel.clone()
    }

    /// The metrics of the session so far.
    #[must_use]
    pub fn metrics(&self) -> RunMetrics {
        self.driver.shell.journal.metrics().clone()
    }

    /// The metrics of the session, readable while another thread drives the session.
    #[must_use]
    pub fn shared_metrics(&self) -> Arc<Mutex<RunMetrics>> {
        self.driver.shell.journal.shared_metrics()
    }

    /// Adds to the metrics what was copied or shared to convert an input from the caller's objects.
    pub fn count_taken(&mut self, traffic: Traffic) {
        self.driver.shell.journal.count_taken(traffic);
    }

    /// Adds to the metrics what was copied or shared to convert a sink's output to the caller's
    /// objects.
    pub fn count_delivered(&mut self, node_id: &str, traffic: Traffic) {
        let moved = Moved { outgoing: traffic, ..Moved::default() };
        self.driver.shell.journal.metrics().count_moved_of(node_id, moved);
    }

    /// The plan that the session follows.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.driver.shell.layout.plan
    }

    /// Feeds all inputs (`None`: the sources produce), flushes, and returns every output.
    ///
    /// # Errors
    /// The first failure, with the outputs until then.
    pub fn run(
        &mut self,
        mut inputs: Option<&mut (dyn Inputs + '_)>,
        host: &mut dyn Host,
    ) -> Result<Vec<GraphOutput>, RunError> {
        let begun = self.begin_run(inputs.is_none());
        self.collect(begun, |session| session.next_of_run(inputs.as_deref_mut(), host))
    }

    /// Feeds one input and returns its outputs. A node whose worker has died is made again in another.
    ///
    /// # Errors
    /// The failure of this input, with the outputs before it.
    pub fn process(
        &mut self,
        value: Value,
        host: &mut dyn Host,
    ) -> Result<Vec<GraphOutput>, RunError> {
        let begun = self.begin(Some(value));
        self.collect(begun, |session| session.next(host))
    }

    /// Feeds one input, and returns its outputs as far as they are there when it is due; true if that is
    /// all of them. Otherwise the item is late: the work on it goes on, for the state of its nodes, and its
    /// further outputs are dropped. If there is no room for the input until it is due, it is dropped.
    ///
    /// # Errors
    /// Like [`Session::process`]. The failure may be that of an earlier, late item.
    pub fn process_until(
        &mut self,
        value: Value,
        due: Instant,
        host: &mut dyn Host,
    ) -> Result<(Vec<GraphOutput>, bool), RunError> {
        let mut partial = Vec::new();
        let begun = check_usable(&self.driver);
        self.work = Work::Round { since: Instant::now() };
        let done = begun.and_then(|()| self.driver.process_until(value, due, &mut partial, host));
        self.end_work();
        match done {
            Ok(is_done) => Ok((partial, is_done)),
            Err(error) => Err(RunError { error, partial }),
        }
    }

    /// Flushes every node, as at the end of the input, and returns the outputs.
    ///
    /// # Errors
    /// Like [`Session::process`].
    pub fn flush(&mut self, host: &mut dyn Host) -> Result<Vec<GraphOutput>, RunError> {
        let begun = self.begin(None);
        self.collect(begun, |session| session.next(host))
    }

    fn collect(
        &mut self,
        begun: Result<(), Error>,
        mut next: impl FnMut(&mut Self) -> Result<Option<GraphOutput>, Error>,
    ) -> Result<Vec<GraphOutput>, RunError> {
        let mut partial = Vec::new();
        if let Err(error) = begun {
            return Err(RunError { error, partial });
        }
        loop {
            match next(self) {
                Ok(Some(output)) => partial.push(output),
                Ok(None) => return Ok(partial),
                Err(error) => return Err(RunError { error, partial }),
            }
        }
    }

    /// Begins with one input, or with a flush; [`Session::next`] returns the outputs.
    ///
    /// # Errors
    /// When the session is closed.
    pub fn begin(&mut self, input: Option<Value>) -> Result<(), Error> {
        check_usable(&self.driver)?;
        self.driver.begin_work();
        self.work = Work::Round { since: Instant::now() };
        self.driver.core.stop_at_failure(false);
        self.driver.feed(input.map_or(Event::Flush, |input| Event::Input(Some(input))));
        Ok(())
    }

    /// Begins to process inputs, or to take what the sources produce; [`Session::next_of_run`]
    /// returns the outputs.
    ///
    /// # Errors
    /// When the session is closed, or `sources_produce` is set and an entry node is no source.
    pub fn begin_run(&mut self, sources_produce: bool) -> Result<(), Error> {
        check_usable(&self.driver)?;
        self.work = Work::Run { since: Instant::now(), is_fed: sources_produce };
        self.driver.core.stop_at_failure(true);
        if sources_produce {
            self.driver.check_sources()?;
            self.driver.feed(Event::Input(None));
            self.driver.feed(Event::Flush);
        }
        Ok(())
    }

    /// The next output, as soon as it is made; `None` when there are no more.
    ///
    /// # Errors
    /// The failure of the work that was begun, after the outputs that came before it.
    pub fn next(&mut self, host: &mut dyn Host) -> Result<Option<GraphOutput>, Error> {
        self.next_of_run(None, host)
    }

    /// Like [`Session::next`], for a run whose inputs are taken when there is room for them.
    ///
    /// # Errors
    /// Like [`Session::next`]; also when the source of inputs fails.
    pub fn next_of_run(
        &mut self,
        inputs: Option<&mut (dyn Inputs + '_)>,
        host: &mut dyn Host,
    ) -> Result<Option<GraphOutput>, Error> {
        let result = self.advance(inputs, host);
        if !matches!(result, Ok(Some(_))) {
            self.end_work();
        }
        result
    }

    /// All outputs that are ready, waiting for the first, and whether they are the last. For
    /// callers to which each call is costly.
    ///
    /// # Errors
    /// Like [`Session::next_of_run`].
    pub fn next_batch(
        &mut self,
        inputs: Option<&mut (dyn Inputs + '_)>,
        host: &mut dyn Host,
    ) -> Result<(Vec<GraphOutput>, bool), Error> {
        let Some(first) = self.next_of_run(inputs, host)? else { return Ok((Vec::new(), true)) };
        let mut batch = vec![first];
        batch.extend(self.driver.shell.outputs.drain(..));
        let is_fed = matches!(self.work, Work::Round { .. } | Work::Run { is_fed: true, .. });
        let is_last = is_fed
            && self.driver.core.open_rounds() == 0
            && self.driver.shell.failures.first.is_none();
        if is_last {
            self.end_work();
        }
        Ok((batch, is_last))
    }

    /// Gives up the work that was begun, when the caller cannot use an output of it. The session
    /// stays usable.
    pub fn abandon(&mut self) {
        if !matches!(self.work, Work::Nothing) {
            self.driver.feed(Event::Abandon);
            self.end_work();
        }
    }

    fn end_work(&mut self) {
        let ended = std::mem::replace(&mut self.work, Work::Nothing);
        if let Work::Round { since } | Work::Run { since, .. } | Work::Stream { since } = ended {
            self.driver.shell.journal.metrics().finish(since.elapsed());
        }
    }

    fn advance(
        &mut self,
        mut inputs: Option<&mut (dyn Inputs + '_)>,
        host: &mut dyn Host,
    ) -> Result<Option<GraphOutput>, Error> {
        loop {
            if self.driver.take_dropped() {
                return Ok(None);
            }
            if let Some(output) = self.driver.shell.outputs.pop_front() {
                return Ok(Some(output));
            }
            let is_fed = match self.work {
                Work::Nothing | Work::Stream { .. } => return Ok(None),
                Work::Round { .. } => true,
                Work::Run { is_fed, .. } => is_fed,
            };
            if let Some(failure) = self.driver.shell.failures.first.take() {
                // The caller gets the failure at once; its next input need not wait for this work.
                self.driver.feed(Event::Abandon);
                return Err(failure);
            }
            if is_fed && self.driver.core.open_rounds() == 0 {
                return Ok(None);
            }
            if !is_fed && self.driver.core.wants_input() {
                self.take_input(inputs.as_deref_mut())?;
                self.driver.tell_rounds(host);
                self.driver.hear_all(host);
                continue;
            }
            self.driver.drive(None, host, |driver| {
                !driver.shell.outputs.is_empty()
                    || driver.shell.failures.first.is_some()
                    || if is_fed {
                        driver.core.open_rounds() == 0
                    } else {
                        driver.core.wants_input()
                    }
            })?;
        }
    }

    fn take_input(&mut self, inputs: Option<&mut (dyn Inputs + '_)>) -> Result<(), Error> {
        match inputs.map_or(Ok(None), |inputs| inputs.next())? {
            Some(input) => self.driver.feed(Event::Input(Some(input))),
            None => {
                if let Work::Run { is_fed, .. } = &mut self.work {
                    *is_fed = true;
                }
                self.driver.feed(Event::Flush);
            }
        }
        Ok(())
    }
}

fn check_usable(driver: &Driver) -> Result<(), Error> {
    let is_usable = driver.shell.closed.is_none() && !driver.shell.workers.is_inherited();
    if is_usable { Ok(()) } else { Err(Error::Closed) }
}
