//! The session loop: reads messages, drives the guest, writes messages. Sessions follow one another
//! on a connection. Within a session, a call runs until it ends or has no credit left; only then
//! does a call of another stage run.

mod batches;
mod calls;
mod failed;
mod saving;

use std::time::{Duration, Instant};

use ipc_protocol::from_worker::{Closed, Done, Failed, NodeUsage, Output, Traffic};
use ipc_protocol::patience::Report;
use ipc_protocol::to_worker::OpenSession;
use ipc_protocol::version::{Hello, MAGIC, PROTOCOL_VERSION};
use ipc_protocol::{CodecError, Fault, FaultKind, FromWorker, ToWorker};
use thiserror::Error;

use crate::guest::{Begin, Guest, Step};
use crate::link::{Incoming, LinkError, LinkReader, LinkWriter, Prepared, Received};
use crate::process::await_output_read;
use batches::Waiting;
use calls::Calls;
use failed::{protocol_failure, without_call};

/// Why a worker ends without being asked to by its orchestrator.
#[derive(Debug, Error)]
pub enum SessionError {
    /// Reading from or writing to the link failed.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// A message came that the protocol does not allow at this point.
    #[error("the orchestrator broke the protocol: {0}")]
    OutOfOrder(OutOfOrder),
    /// The orchestrator speaks another version.
    #[error(
        "the orchestrator uses protocol version {theirs}, but this worker uses {PROTOCOL_VERSION}"
    )]
    Version {
        /// Protocol version that the orchestrator announced.
        theirs: u32,
    },
}

/// Why a message is not allowed at this point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum OutOfOrder {
    /// The message is not allowed in the current phase of the connection.
    #[error("the message {message} is not allowed {moment}")]
    Message {
        /// Name of the message.
        message: &'static str,
        /// The phase, for instance "outside a session".
        moment: &'static str,
    },
    /// A message for a stage that this worker's part of the session does not have.
    #[error("this worker's session has no stage {stage}")]
    UnknownStage {
        /// Number of the stage.
        stage: u32,
    },
    /// A call for a stage that still has one; a stage takes one call at a time.
    #[error("call {call} was sent to stage {stage} while its call {current} was running")]
    Busy {
        /// The stage.
        stage: u32,
        /// The new call.
        call: u64,
        /// The call that is under way.
        current: u64,
    },
}

/// Performs the handshake, then serves one session after another until the orchestrator ends the
/// worker or closes the connection.
///
/// # Errors
/// When the connection fails or the orchestrator breaks the protocol. If the link still works, the
/// error has been sent to the orchestrator.
pub fn serve<G: Guest>(
    reader: &mut LinkReader,
    writer: &LinkWriter,
    guest: &mut G,
) -> Result<(), SessionError> {
    let calls = Calls::default();
    let works_since = Instant::now();
    let (writer, waiting) = (writer.clone(), Waiting::default());
    let mut server = Server { reader, writer, guest, calls, waiting, works_since };
    let outcome = server.run();
    if let Err(error) = &outcome
        && !matches!(error, SessionError::Link(LinkError::Gone(_)))
    {
        // Sending may fail; the first error is the one that is returned.
        let _unheard = server.writer.send(FromWorker::Failed(protocol_failure(error)));
    }
    outcome
}

/// A step that was quicker has imported nothing worth telling before the session ends.
const IMPORTS_TAKE: Duration = Duration::from_millis(5);

struct Server<'a, G> {
    reader: &'a mut LinkReader,
    writer: LinkWriter,
    guest: &'a mut G,
    calls: Calls,
    /// What follows of a batch whose first calls have begun.
    waiting: Waiting,
    /// When the guest began its current work: the arrival of the last message, or the time at which
    /// the previous output was sent.
    works_since: Instant,
}

impl<G: Guest> Server<'_, G> {
    fn run(&mut self) -> Result<(), SessionError> {
        self.introduce()?;
        while let Some(incoming) = self.next_message()? {
            match incoming.message {
                ToWorker::Open(session) => self.session(*session)?,
                ToWorker::End(patience_ms) => {
                    self.guest.begin_end();
                    // Sending fails if the orchestrator is already gone.
                    let _unheard = self.send(FromWorker::Ending);
                    self.writer.shut_down(Duration::from_millis(patience_ms.into()));
                    return Ok(());
                }
                other => return Err(out_of_order(&other, "outside a session")),
            }
        }
        Ok(())
    }

    fn introduce(&mut self) -> Result<(), SessionError> {
        let interpreter = self.guest.interpreter();
        self.writer.send(Hello {
            magic: MAGIC.to_owned(),
            protocol: PROTOCOL_VERSION,
            interpreter: interpreter.name,
            interpreter_version: interpreter.version,
            package_version: interpreter.package_version,
            pid: std::process::id(),
        })?;
        match self.next_message()?.map(|incoming| incoming.message) {
            Some(ToWorker::Welcome(welcome)) if welcome.protocol == PROTOCOL_VERSION => {
                self.reader.set_limits(welcome.limits);
                self.writer = self.writer.with_limits(welcome.limits);
                Ok(())
            }
            Some(ToWorker::Welcome(welcome)) => {
                Err(SessionError::Version { theirs: welcome.protocol })
            }
            Some(other) => Err(out_of_order(&other, "before Welcome")),
            None => Ok(()),
        }
    }

    /// Serves one session, from `Open` to `Close` or the end of the connection.
    fn session(&mut self, session: OpenSession) -> Result<(), SessionError> {
        let stages: Vec<u32> = session.stages.iter().map(|stage| stage.stage).collect();
        if let Some(exchange) = self.reader.exchange() {
            self.guest.share(exchange);
        }
        match self.guest.open(session) {
            Ok(ready) => {
                self.calls = Calls::new(stages);
                self.report_loaded()?;
                self.send(FromWorker::Opened(ready))?;
            }
            Err(fault) => return self.send(FromWorker::Failed(without_call(fault))),
        }
        loop {
            let next = match self.calls.runnable() {
                Some((stage, call)) => {
                    let began = Instant::now();
                    self.advance(stage, call)?;
                    if began.elapsed() >= IMPORTS_TAKE {
                        self.report_loaded()?;
                    }
                    match self.arrived_meanwhile()? {
                        None => continue,
                        some => some,
                    }
                }
                None => self.next_message()?,
            };
            match next {
                Some(Incoming { message: ToWorker::Close, .. }) => {
                    self.waiting.drop_rest();
                    let closed = self.guest.close();
                    await_output_read();
                    self.report_loaded()?;
                    return self.send_closed(closed);
                }
                Some(incoming) => self.accept(incoming)?,
                None => {
                    // The orchestrator is gone, so failures cannot be reported.
                    let _unheard = self.guest.close();
                    return Ok(());
                }
            }
        }
    }

    fn report_loaded(&mut self) -> Result<(), SessionError> {
        let loaded = self.guest.take_loaded();
        if loaded.is_empty() { Ok(()) } else { self.send(FromWorker::Loaded(loaded)) }
    }

    fn accept(&mut self, incoming: Incoming) -> Result<(), SessionError> {
        self.works_since = Instant::now();
        let (step, begin) = match incoming.message {
            ToWorker::Item(item) => (item.step, Begin::Item(item.value)),
            ToWorker::Batch(items) => return self.begin_batch(items, incoming.traffic),
            ToWorker::Start(step) => (step, Begin::Start),
            ToWorker::Flush(step) => (step, Begin::Flush),
            ToWorker::Credit(credit) => {
                return self
                    .calls
                    .add_credit(credit.stage, credit.outputs)
                    .map_err(SessionError::OutOfOrder);
            }
            ToWorker::Abort(stage) => return self.abort(stage),
            ToWorker::Save(number) => return self.save(number),
            ToWorker::Restore(saved) => return self.restore(saved),
            ToWorker::Retry(stage) => {
                return self.calls.retry(stage).map_err(SessionError::OutOfOrder);
            }
            other => return Err(out_of_order(&other, "inside a session")),
        };
        self.begin(step, begin, incoming.traffic)
    }

    /// Ends a suspended call, unless it has just ended, and the interrupt that came before.
    fn abort(&mut self, stage: u32) -> Result<(), SessionError> {
        self.guest.end_interrupt();
        self.waiting.drop_rest();
        let call = self.calls.call_of(stage).map_err(SessionError::OutOfOrder)?;
        let Some(call) = call else { return Ok(()) };
        let usage = self.guest.abort(stage);
        let done = self.done(stage, call, usage);
        self.send(done)
    }

    /// Runs a call up to its next output.
    fn advance(&mut self, stage: u32, call: u64) -> Result<(), SessionError> {
        match self.guest.step(stage) {
            Step::Output(value) => {
                self.calls.spend_credit(stage);
                let worked = self.worked();
                match self.prepare(FromWorker::Output(Output { stage, call, value, worked }))? {
                    Ok(output) => {
                        self.calls.count_outgoing(stage, output.traffic);
                        let writer = &self.writer;
                        self.guest.unlocked(move || writer.write_soon(output))?;
                        self.works_since = Instant::now();
                        Ok(())
                    }
                    Err(problem) => {
                        let usage = self.guest.abort(stage);
                        self.fail(stage, call, marshal_fault(&problem), usage)
                    }
                }
            }
            Step::Last(value, usage) => {
                let worked = Report::ABSENT;
                match self.prepare(FromWorker::Output(Output { stage, call, value, worked }))? {
                    Ok(output) => {
                        self.calls.count_outgoing(stage, output.traffic);
                        let done = self.done(stage, call, usage);
                        let done = self.writer.prepare(done)?;
                        self.write([output, done])?;
                        self.begin_next(Traffic::default())
                    }
                    Err(problem) => self.fail(stage, call, marshal_fault(&problem), usage),
                }
            }
            Step::Done(usage) => {
                let done = self.done(stage, call, usage);
                self.send(done)?;
                self.begin_next(Traffic::default())
            }
            Step::Failed(fault, usage) => self.fail(stage, call, fault, usage),
        }
    }

    fn fail(
        &mut self,
        stage: u32,
        call: u64,
        fault: Fault,
        usage: Vec<NodeUsage>,
    ) -> Result<(), SessionError> {
        let is_kept = fault.raised.as_ref().is_some_and(|raised| raised.is_kept);
        if !is_kept {
            self.waiting.drop_rest();
        }
        let usage =
            if is_kept { self.calls.keep(stage, usage) } else { self.calls.end(stage, usage) };
        let worked = self.worked();
        self.send(FromWorker::Failed(Failed { stage: Some(stage), call, fault, usage, worked }))
    }

    fn done(&mut self, stage: u32, call: u64, usage: Vec<NodeUsage>) -> FromWorker {
        let usage = self.calls.end(stage, usage);
        FromWorker::Done(Done { stage, call, usage, worked: self.worked() })
    }

    fn worked(&self) -> Report {
        self.works_since.elapsed().into()
    }

    /// Sends the result of closing a session. If the changed node states do not fit into a frame,
    /// the result is sent without them and with a fault that says so.
    fn send_closed(&mut self, closed: Closed) -> Result<(), SessionError> {
        match self.send(FromWorker::Closed(closed.clone())) {
            Err(SessionError::Link(LinkError::Unsendable(problem))) => {
                let mut faults = closed.faults;
                faults.push(marshal_fault(&problem));
                self.send(FromWorker::Closed(Closed {
                    faults,
                    left: closed.left,
                    ..Closed::default()
                }))
            }
            sent => sent,
        }
    }

    fn send(&mut self, message: FromWorker) -> Result<(), SessionError> {
        let writer = &self.writer;
        Ok(self.guest.unlocked(move || writer.send(message))?)
    }

    /// Encodes a message. The inner error says why the message cannot be sent.
    fn prepare(
        &mut self,
        message: FromWorker,
    ) -> Result<Result<Prepared, CodecError>, SessionError> {
        let writer = &self.writer;
        match self.guest.unlocked(move || writer.prepare(message)) {
            Ok(prepared) => Ok(Ok(prepared)),
            Err(LinkError::Unsendable(problem)) => Ok(Err(problem)),
            Err(error) => Err(error.into()),
        }
    }

    fn write<const N: usize>(&mut self, ready: [Prepared; N]) -> Result<(), SessionError> {
        let writer = &self.writer;
        Ok(self.guest.unlocked(move || writer.write(ready))?)
    }

    fn next_message(&mut self) -> Result<Option<Incoming>, SessionError> {
        let mut has_rung = false;
        loop {
            if let Some(incoming) = self.reader.buffered()? {
                return Ok(Some(incoming));
            }
            self.writer.flush()?;
            let alarm = self.guest.attend(has_rung);
            let reader = &mut *self.reader;
            match self.guest.unlocked(move || reader.receive(alarm))? {
                Received::Message(incoming) => return Ok(Some(incoming)),
                Received::Alarm => has_rung = true,
                Received::End => return Ok(None),
            }
        }
    }
}

fn marshal_fault(problem: &CodecError) -> Fault {
    let remote_type = if problem.is_out_of_memory() { "MemoryError" } else { "ValueError" };
    fault(FaultKind::Marshal, remote_type, problem.to_string())
}

/// A fault that the worker itself has found.
fn fault(kind: FaultKind, remote_type: &str, message: String) -> Fault {
    Fault {
        kind,
        node_id: String::new(),
        remote_type: remote_type.to_owned(),
        message,
        traceback: String::new(),
        import: None,
        detail: None,
        raised: None,
    }
}

fn out_of_order(message: &ToWorker, moment: &'static str) -> SessionError {
    SessionError::OutOfOrder(OutOfOrder::Message { message: message.name(), moment })
}
