//! A stream: inputs side by side where nodes have replicas. What an input leads to comes before all that the
//! next one leads to, its error too. The core keeps that order; here it meets the caller.

use std::collections::VecDeque;
use std::time::Instant;

use ipc_protocol::Value;

use super::drive::Driver;
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
    pub(super) fn push(&mut self, outcome: Result<GraphOutput, Error>) {
        self.ready.push_back(outcome);
    }

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

impl Session {
    /// The greatest number of replicas of a node in this session's plan.
    #[must_use]
    pub fn replicas(&self) -> u64 {
        self.driver.core.width()
    }

    /// Begins a stream; [`Session::next_of_stream`] says when inputs are wanted.
    ///
    /// # Errors
    /// When the session is closed.
    pub fn begin_stream(&mut self) -> Result<(), Error> {
        check_usable(&self.driver)?;
        self.driver.begin_work();
        self.work = Work::Stream { since: Instant::now() };
        self.driver.core.stop_at_failure(false);
        self.driver.core.keep_rounds_apart(true);
        self.driver.shell.stream = Some(Stream::default());
        Ok(())
    }

    /// Feeds an input; `None`: no input follows, and every node flushes.
    ///
    /// # Errors
    /// When the session is closed.
    pub fn feed_stream(&mut self, input: Option<Value>) -> Result<(), Error> {
        check_usable(&self.driver)?;
        self.driver.obey_interrupt();
        if let Some(stream) = &mut self.driver.shell.stream {
            stream.is_fed = input.is_none();
            self.driver.feed(input.map_or(Event::Flush, |input| Event::Input(Some(input))));
        }
        Ok(())
    }

    /// The next output, or what is to be done for it.
    ///
    /// # Errors
    /// The failure of an input, after all outputs of those before it. The stream goes on.
    pub fn next_of_stream(&mut self, source: Source, host: &mut dyn Host) -> Result<Next, Error> {
        // Replicas that are done get their next items before anything else.
        self.driver.hear_all(host);
        self.driver.tell_rounds(host);
        loop {
            if self.driver.take_dropped() {
                return Ok(Next::Dropped);
            }
            let Driver { core, shell, .. } = &mut self.driver;
            shell.place_failure();
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
            self.driver.drive(None, host, |driver| {
                let stream = driver.shell.stream.as_ref();
                stream.is_none_or(|stream| !stream.ready.is_empty())
                    || driver.shell.failures.first.is_some()
                    || driver.core.open_rounds() == 0
                    || may_take && driver.core.wants_input()
                    || driver.cancel.is_to_look()
            })?;
            if self.driver.cancel.take_look() && source == Source::Empty {
                return Ok(Next::Input);
            }
        }
    }

    /// Ends a stream. What is still under way is dropped.
    pub fn end_stream(&mut self) {
        if self.driver.shell.stream.take().is_some() {
            self.driver.obey_interrupt();
            self.driver.feed(Event::Abandon);
            self.driver.core.keep_rounds_apart(false);
            self.driver.has_dropped = false;
            self.end_work();
        }
    }
}
