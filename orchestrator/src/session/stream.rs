//! A stream: inputs side by side where nodes have replicas. What an input leads to comes before all that the
//! next one leads to, its error too. The core keeps that order; here it meets the caller.

use std::collections::VecDeque;
use std::time::Instant;

use ipc_protocol::Value;

use super::drive::Driver;
use super::shell::Shell;
use super::{GraphOutput, Host, Session, Work, check_usable};
use crate::error::Error;
use crate::schedule::Event;

/// Outputs that may wait for the caller while it is asked for inputs.
const READY_MAX: usize = 64;

/// What a stream has for its caller, in order.
#[derive(Debug, Default)]
pub(super) struct Stream {
    ready: VecDeque<Result<GraphOutput, Error>>,
    /// No input follows.
    is_fed: bool,
}

impl Stream {
    pub(super) fn clear(&mut self) {
        self.ready.clear();
    }
}

/// Where the inputs of a stream come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// There is none now. [`crate::options::CancelHandle::look_again`] says when there may be one.
    Empty,
    /// To take the next one may take long: what is ready comes first.
    Slow,
    /// The next one is there.
    Quick,
}

/// What the caller of a stream gets or is to do.
#[derive(Debug)]
pub enum Next {
    /// An output.
    Output(GraphOutput),
    /// The next input is wanted, or the source is to be looked at again.
    Input,
    /// Nothing is under way, and the source was empty.
    Idle,
    /// All that was under way has been dropped, as the caller has asked.
    Dropped,
    /// There are no further outputs.
    End,
}

/// Hands an output to the stream, or to the caller of a round if there is no stream.
pub(super) fn deliver(shell: &mut Shell, output: GraphOutput) {
    match &mut shell.stream {
        Some(stream) => stream.ready.push_back(Ok(output)),
        None => shell.outputs.push_back(output),
    }
}

/// Puts a failure among the outputs of a stream, behind those that came before it.
pub(super) fn place_failure(shell: &mut Shell) {
    if let Some(stream) = &mut shell.stream
        && let Some(error) = shell.failures.first.take()
    {
        stream.ready.push_back(Err(error));
    }
}

/// A session as the caller of a stream sees it.
#[derive(Debug)]
pub struct Streaming<'a>(&'a mut Session);

impl<'a> Streaming<'a> {
    /// The stream of a session.
    pub fn of(session: &'a mut Session) -> Self {
        Self(session)
    }

    /// The greatest number of replicas of a node in the session's plan.
    #[must_use]
    pub fn replicas(&self) -> u64 {
        self.0.driver.core.width()
    }

    /// Begins a stream; [`Streaming::next`] says when inputs are wanted.
    ///
    /// # Errors
    /// When the session is closed.
    pub fn begin(&mut self) -> Result<(), Error> {
        check_usable(&self.0.driver)?;
        self.0.driver.begin_work();
        self.0.work = Work::Stream { since: Instant::now() };
        self.0.driver.core.stop_at_failure(false);
        self.0.driver.core.keep_rounds_apart(true);
        self.0.driver.shell.stream = Some(Stream::default());
        Ok(())
    }

    /// Feeds an input; `None`: no input follows, and every node flushes.
    ///
    /// # Errors
    /// When the session is closed.
    pub fn feed(&mut self, input: Option<Value>) -> Result<(), Error> {
        check_usable(&self.0.driver)?;
        self.0.driver.obey_interrupt();
        if let Some(stream) = &mut self.0.driver.shell.stream {
            stream.is_fed = input.is_none();
            self.0.driver.feed(input.map_or(Event::Flush, |input| Event::Input(Some(input))));
        }
        Ok(())
    }

    /// The next output, or what is to be done for it.
    ///
    /// # Errors
    /// The failure of an input, after all outputs of those before it. The stream goes on.
    pub fn next(&mut self, source: Source, host: &mut dyn Host) -> Result<Next, Error> {
        // Replicas that are done get their next items before anything else.
        self.0.driver.hear_all(host);
        self.0.driver.tell_rounds(host);
        loop {
            if self.0.driver.take_dropped() {
                return Ok(Next::Dropped);
            }
            let Driver { core, shell, .. } = &mut self.0.driver;
            place_failure(shell);
            let Some(stream) = &mut shell.stream else { return Ok(Next::End) };
            let wants_input = !stream.is_fed && source != Source::Empty && core.wants_input();
            let is_quick = source == Source::Quick && stream.ready.len() < READY_MAX;
            if wants_input && (stream.ready.is_empty() || is_quick && core.is_hungry()) {
                return Ok(Next::Input);
            }
            if let Some(outcome) = stream.ready.pop_front() {
                return outcome.map(Next::Output);
            }
            if core.open_rounds() == 0 {
                return Ok(if stream.is_fed { Next::End } else { Next::Idle });
            }
            let may_take = !stream.is_fed && source != Source::Empty;
            self.0.driver.drive(None, host, |driver| {
                let stream = driver.shell.stream.as_ref();
                stream.is_none_or(|stream| !stream.ready.is_empty())
                    || driver.shell.failures.first.is_some()
                    || driver.core.open_rounds() == 0
                    || may_take && driver.core.wants_input()
                    || driver.cancel.is_to_look()
            })?;
            if self.0.driver.cancel.take_look() && source == Source::Empty {
                return Ok(Next::Input);
            }
        }
    }

    /// Ends a stream. What is still under way is dropped.
    pub fn end(&mut self) {
        if self.0.driver.shell.stream.take().is_some() {
            self.0.driver.obey_interrupt();
            self.0.driver.feed(Event::Abandon);
            self.0.driver.core.keep_rounds_apart(false);
            self.0.driver.has_dropped = false;
            self.0.end_work();
        }
    }
}
