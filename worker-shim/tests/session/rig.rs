//! A guest controlled by its inputs, and the orchestrator's end of its connection.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should say where")]
use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::thread::JoinHandle;
use std::time::Duration;

use ipc_protocol::codec;
use ipc_protocol::frame::{FrameReader, ReadOutcome};
use ipc_protocol::from_worker::{Closed, NodeReady, NodeUsage};
use ipc_protocol::patience::Report;
use ipc_protocol::to_worker::{
    Credit, Item, NodeClass, NodeSpec, OpenSession, SavedState, StageSpec, Step as Address, Welcome,
};
use ipc_protocol::version::{Hello, PROTOCOL_VERSION};
use ipc_protocol::visit::Message;
use ipc_protocol::{Fault, FaultKind, FromWorker, Limits, Payload, Raised, ToWorker, Value};
use worker_shim::link::link;
use worker_shim::{Alarm, Begin, Guest, Interpreter, LinkWriter, SessionError, Step, serve};

/// A guest whose inputs say what to do. A list: outputs its elements one by one. `"fail"`: fails at
/// its step. `"refuse"`: fails when the call begins. `"grow"`: outputs a large text. Bytes: keeps
/// them. Any other value: outputs it as the last output.
#[derive(Debug, Default)]
pub(crate) struct Script {
    calls: HashMap<u32, Vec<Value>>,
    /// The calls of the guest's methods, in order.
    pub(crate) events: Vec<String>,
    pub(crate) bell: Option<Bell>,
    /// The modules that a session with the instances `LOADS` has loaded.
    loads: Vec<&'static str>,
    /// The received bytes; dropped when the bell rings.
    kept: Vec<Payload>,
}

/// Instances of a session that loads modules.
pub(crate) const LOADS: &[u8] = b"loads";

/// The guest's alarm. The guest answers each ring with a byte.
#[derive(Debug)]
pub(crate) struct Bell {
    pub(crate) wire: UnixStream,
    /// Time until the bell rings by itself, once.
    pub(crate) after: Option<Duration>,
}

impl Bell {
    fn alarm(&mut self, has_rung: bool) -> Alarm {
        if has_rung {
            if self.after.take().is_none() {
                self.wire.read_exact(&mut [0]).unwrap();
            }
            self.wire.write_all(b"!").unwrap();
        }
        Alarm { descriptor: self.wire.as_raw_fd(), after: self.after, is_quiet: true }
    }
}

pub(crate) fn fault(message: &str) -> Fault {
    Fault {
        kind: FaultKind::Process,
        node_id: "n".to_owned(),
        remote_type: "ValueError".to_owned(),
        message: message.to_owned(),
        traceback: String::new(),
        import: None,
        detail: None,
        raised: None,
    }
}

/// A fault after which the call waits for another try.
fn kept() -> Fault {
    let types = vec!["ConnectionError".to_owned()];
    let raised = Raised { types, is_kept: true, described: String::new() };
    Fault { raised: Some(Box::new(raised)), ..fault("not now") }
}

/// The value itself, or a text of 5000 bytes for `"grow"`.
fn grown(value: Value) -> Value {
    if value == Value::from("grow") { Value::Str("x".repeat(5000)) } else { value }
}

fn usage(calls: u64) -> Vec<NodeUsage> {
    vec![NodeUsage { calls, ..NodeUsage::default() }]
}

impl Guest for Script {
    fn interpreter(&self) -> Interpreter {
        let text = |text: &str| text.to_owned();
        Interpreter { name: text("script"), version: text("1.2.3"), package_version: text("4.5") }
    }

    fn open(&mut self, session: OpenSession) -> Result<Vec<NodeReady>, Fault> {
        self.events.push("open".to_owned());
        if session.instances == Some(LOADS.to_vec().into()) {
            self.loads = vec!["scipy", "scipy.signal"];
        } else if session.instances.is_some() {
            return Err(fault("cannot open"));
        }
        let nodes = session.stages.into_iter().flat_map(|stage| stage.nodes);
        let ready = |node: NodeSpec| NodeReady {
            node_id: node.node_id,
            is_source: false,
            is_streaming: false,
            is_async: false,
            flushes: true,
            saves: false,
        };
        Ok(nodes.map(ready).collect())
    }

    fn begin(&mut self, stage: u32, begin: Begin) -> Result<(), Fault> {
        let mut outputs = match begin {
            Begin::Item(Value::Str(text)) if text == "refuse" => return Err(fault("refused")),
            Begin::Item(Value::List(values)) => values,
            Begin::Item(Value::Bytes(bytes)) => {
                self.kept.push(bytes);
                Vec::new()
            }
            Begin::Item(value) => vec![Value::Tuple(vec![value])],
            Begin::Start => vec![Value::from("started")],
            Begin::Flush => vec![Value::from("flushed")],
        };
        outputs.reverse();
        self.calls.insert(stage, outputs);
        Ok(())
    }

    fn step(&mut self, stage: u32) -> Step {
        self.events.push(format!("step {stage}"));
        match self.calls.get_mut(&stage).and_then(Vec::pop) {
            None => Step::Done(usage(1)),
            Some(Value::Str(text)) if text == "fail" => Step::Failed(fault("failed"), usage(2)),
            Some(Value::Str(text)) if text == "keep" => Step::Failed(kept(), usage(2)),
            Some(Value::Tuple(mut only)) => Step::Last(grown(only.remove(0)), usage(1)),
            Some(value) => Step::Output(grown(value)),
        }
    }

    fn abort(&mut self, stage: u32) -> Vec<NodeUsage> {
        self.events.push(format!("abort {stage}"));
        self.calls.remove(&stage);
        usage(7)
    }

    fn save(&mut self) -> Result<Vec<SavedState>, Fault> {
        self.events.push("save".to_owned());
        Ok(vec![SavedState { node_id: "a".to_owned(), state: b"state".to_vec().into() }])
    }

    fn restore(&mut self, saved: Vec<SavedState>) -> Result<(), Fault> {
        self.events.push(format!("restore {}", saved.len()));
        if saved.is_empty() { Err(fault("nothing to restore")) } else { Ok(()) }
    }

    fn attend(&mut self, has_rung: bool) -> Option<Alarm> {
        if has_rung {
            self.kept.clear();
        }
        self.bell.as_mut().map(|bell| bell.alarm(has_rung))
    }

    fn take_loaded(&mut self) -> Vec<String> {
        std::mem::take(&mut self.loads).into_iter().map(str::to_owned).collect()
    }

    fn begin_end(&mut self) {
        self.events.push("begin_end".to_owned());
    }

    fn close(&mut self) -> Closed {
        self.events.push("close".to_owned());
        Closed { faults: vec![fault("of cleanup")], ..Closed::default() }
    }
}

/// The orchestrator's end of the connection.
pub(crate) struct Orchestrator {
    pub(crate) socket: UnixStream,
    pub(crate) writer: LinkWriter,
    frames: FrameReader,
    worker: JoinHandle<(Script, Result<(), SessionError>)>,
}

impl Orchestrator {
    /// Starts a worker that has received no message.
    pub(crate) fn start() -> Self {
        Self::start_with(None)
    }

    /// Starts a worker that has received no message and whose guest has this bell.
    pub(crate) fn start_with(bell: Option<Bell>) -> Self {
        let mut script = Script { bell, ..Script::default() };
        let (socket, theirs) = UnixStream::pair().unwrap();
        let (mut reader, writer) = link(theirs).unwrap();
        let other_writer = writer.clone();
        let worker = std::thread::spawn(move || {
            let outcome = serve(&mut reader, &other_writer, &mut script);
            (script, outcome)
        });
        Self { socket, writer, frames: FrameReader::new(Limits::default()), worker }
    }

    /// Starts a worker with an open session of two stages, 3 and 5.
    pub(crate) fn in_session() -> Self {
        let mut orchestrator = Self::welcomed(Limits::default());
        orchestrator.send(open());
        assert!(matches!(orchestrator.receive(), FromWorker::Opened(_)));
        orchestrator
    }

    /// Starts a worker and completes the handshake with these limits.
    pub(crate) fn welcomed(limits: Limits) -> Self {
        Self::start().welcome(limits)
    }

    /// Completes the handshake with these limits.
    pub(crate) fn welcome(mut self, limits: Limits) -> Self {
        let _: Hello = self.receive();
        self.send(ToWorker::Welcome(Welcome { protocol: PROTOCOL_VERSION, limits }));
        self
    }

    pub(crate) fn send(&self, message: ToWorker) {
        codec::encode(message).unwrap().write_to(&mut &self.socket).unwrap();
    }

    pub(crate) fn send_bytes(&self, bytes: &[u8]) {
        (&self.socket).write_all(bytes).unwrap();
    }

    pub(crate) fn receive<M: Message>(&mut self) -> M {
        match self.frames.read_from(&mut &self.socket).unwrap() {
            ReadOutcome::Frame(frame) => codec::decode(frame, &Limits::default()).unwrap(),
            other => panic!("no message but {other:?}"),
        }
    }

    /// Receives the next message, which must be an output of this stage and call.
    pub(crate) fn output(&mut self, stage: u32, call: u64) -> Value {
        match self.receive() {
            FromWorker::Output(output) if (output.stage, output.call) == (stage, call) => {
                output.value
            }
            other => panic!("no output of {stage}/{call} but {other:?}"),
        }
    }

    /// Receives the next message, which must be the `Done` of this call.
    pub(crate) fn done(&mut self, stage: u32, call: u64) {
        self.done_with(stage, call, usage(1));
    }

    /// The next message, which ends this call that was aborted.
    pub(crate) fn aborted(&mut self, stage: u32, call: u64) {
        self.done_with(stage, call, usage(7));
    }

    fn done_with(&mut self, stage: u32, call: u64, usage: Vec<NodeUsage>) {
        match self.receive() {
            FromWorker::Done(done) => {
                assert_eq!((done.stage, done.call, done.usage), (stage, call, usage));
            }
            other => panic!("{stage}/{call} is not done but {other:?}"),
        }
    }

    /// Closes the sending direction of the connection; returns the guest and the worker's result.
    pub(crate) fn hang_up(self) -> (Script, Result<(), SessionError>) {
        self.socket.shutdown(Shutdown::Write).unwrap();
        self.join()
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.worker.is_finished()
    }

    /// Closes both directions of the connection; returns the worker's result.
    pub(crate) fn close(self) -> Result<(), SessionError> {
        drop(self.socket);
        self.worker.join().unwrap().1
    }

    /// Waits until the worker has ended; returns the guest and the worker's result.
    pub(crate) fn join(self) -> (Script, Result<(), SessionError>) {
        let outcome = self.worker.join().unwrap();
        let mut rest = Vec::new();
        drop(self.writer);
        (&self.socket).read_to_end(&mut rest).unwrap();
        assert!(rest.is_empty(), "nobody read {} bytes", rest.len());
        outcome
    }
}

pub(crate) fn open() -> ToWorker {
    let node = |name: &str| NodeSpec {
        node_id: name.to_owned(),
        class: NodeClass::Import { module: "m".to_owned(), name: name.to_owned() },
        params: Value::Dict(Vec::new()),
        is_streaming: false,
        keeps_failed: false,
    };
    ToWorker::Open(Box::new(OpenSession {
        stages: vec![
            StageSpec { stage: 3, nodes: vec![node("a")] },
            StageSpec { stage: 5, nodes: vec![node("b")] },
        ],
        instances: None,
        sys_path: Vec::new(),
        working_directory: None,
        surroundings: None,
        buffers: Vec::new(),
        saved: Vec::new(),
        capture: None,
        write_back_max_bytes: 0,
        allow_pickle: true,
    }))
}

pub(crate) fn address(stage: u32, call: u64, window: u32) -> Address {
    Address { stage, call, window, took: Report::ABSENT }
}

pub(crate) fn item(stage: u32, call: u64, window: u32, value: Value) -> ToWorker {
    ToWorker::Item(Item { step: address(stage, call, window), value })
}

pub(crate) fn credit(stage: u32, outputs: u32) -> ToWorker {
    ToWorker::Credit(Credit { stage, outputs, took: Report::ABSENT })
}

pub(crate) fn ints(values: std::ops::Range<i64>) -> Value {
    Value::List(values.map(Value::Int).collect())
}
