//! A worker whose nodes run well as CPython and not as RustPython, each in the way that its class is
//! named for. It is what its file is called: `remotemedia-rustpython` or anything else. Every node
//! adds its id and the interpreter to the list that is its input.

#![expect(clippy::unwrap_used, reason = "a program of the tests ends where it cannot go on")]

use std::time::Instant;

use ipc_protocol::from_worker::{Closed, NodeReady, NodeUsage};
use ipc_protocol::to_worker::{NodeClass, OpenSession};
use ipc_protocol::{Fault, FaultKind, ImportFault, ImportReason, Value};
use worker_shim::blackbox::{Blackbox, Operation};
use worker_shim::{Begin, Guest, Interpreter, Step};

#[derive(Default)]
struct Fickle {
    is_rustpython: bool,
    /// Per stage its number, and ids and classes of its nodes.
    stages: Vec<(u32, Vec<(String, String)>)>,
    inputs: Vec<(u32, Begin)>,
    calls: u64,
    recorder: Option<Blackbox>,
}

fn main() {
    let program = std::env::args().next().unwrap_or_default();
    let recorder = std::env::var("REMOTEMEDIA_BLACKBOX_FD").unwrap();
    let mut guest = Fickle {
        is_rustpython: program.ends_with("remotemedia-rustpython"),
        recorder: Some(Blackbox::open(recorder.parse().unwrap()).unwrap()),
        ..Fickle::default()
    };
    let socket = worker_shim::process::take_link().unwrap();
    let (mut reader, writer) = worker_shim::link::link(socket).unwrap();
    worker_shim::serve(&mut reader, &writer, &mut guest).unwrap();
}

impl Fickle {
    fn name(&self) -> &'static str {
        if self.is_rustpython { "rustpython" } else { "cpython" }
    }

    /// Notes in the flight recorder which node runs.
    fn note(&mut self, node: usize) {
        if let Some(recorder) = &mut self.recorder {
            recorder.enter(node, Operation::Process, Instant::now());
        }
    }

    /// What a node's class makes of RustPython, at this moment of its life.
    fn trouble(&self, moment: FaultKind, id: &str, class: &str) -> Option<Fault> {
        let fault = |import: Option<ImportFault>| Fault {
            kind: moment,
            node_id: id.to_owned(),
            remote_type: "ValueError".to_owned(),
            message: format!("{class} fails"),
            traceback: String::new(),
            import: import.map(Box::new),
            detail: None,
            raised: None,
        };
        let lacks = ImportFault {
            module: "numpy".to_owned(),
            root_package: "numpy".to_owned(),
            reason: ImportReason::CExtension,
            path: String::new(),
            suggestion: "numpy is compiled; runtime_hint \"cpython\" runs it".to_owned(),
            is_told: false,
        };
        let trouble = match (class, moment) {
            ("ImportsAtLoad", FaultKind::Load) => Some(fault(Some(lacks))),
            ("ImportsInCall", FaultKind::Process) => Some(fault(Some(lacks))),
            ("ImportsLater", FaultKind::Process) if self.calls > 1 => Some(fault(Some(lacks))),
            ("Fails", FaultKind::Process) => Some(fault(None)),
            ("DiesAtLoad", FaultKind::Load) | ("Dies", FaultKind::Process)
                if self.is_rustpython =>
            {
                std::process::abort()
            }
            _ => None,
        };
        trouble.filter(|_| self.is_rustpython)
    }

    fn usage(nodes: usize, errors: u64) -> Vec<NodeUsage> {
        vec![NodeUsage { calls: 1, errors, ..NodeUsage::default() }; nodes]
    }
}

impl Guest for Fickle {
    fn interpreter(&self) -> Interpreter {
        let version = if self.is_rustpython { "3.14.0" } else { "3.11.7" };
        Interpreter {
            name: self.name().to_owned(),
            version: version.to_owned(),
            package_version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    fn open(&mut self, session: OpenSession) -> Result<Vec<NodeReady>, Fault> {
        self.calls = 0;
        self.stages.clear();
        let mut ready = Vec::new();
        for stage in session.stages {
            let mut nodes = Vec::new();
            for node in stage.nodes {
                self.note(ready.len());
                let NodeClass::Import { name, .. } = node.class else { continue };
                if let Some(fault) = self.trouble(FaultKind::Load, &node.node_id, &name) {
                    return Err(fault);
                }
                ready.push(NodeReady {
                    node_id: node.node_id.clone(),
                    is_source: false,
                    is_streaming: false,
                    is_async: false,
                    flushes: true,
                    saves: false,
                });
                nodes.push((node.node_id, name));
            }
            self.stages.push((stage.stage, nodes));
        }
        Ok(ready)
    }

    fn begin(&mut self, stage: u32, begin: Begin) -> Result<(), Fault> {
        self.inputs.push((stage, begin));
        Ok(())
    }

    fn step(&mut self, stage: u32) -> Step {
        let nodes = self.stages.iter().find(|(number, _)| *number == stage);
        let nodes = nodes.map(|(_, nodes)| nodes.clone()).unwrap_or_default();
        let at = self.inputs.iter().position(|(number, _)| *number == stage).unwrap();
        let (_, Begin::Item(Value::List(mut trace))) = self.inputs.remove(at) else {
            return Step::Done(Self::usage(nodes.len(), 0));
        };
        self.calls += 1;
        let before = self.stages.iter().take_while(|(number, _)| *number != stage);
        let first: usize = before.map(|(_, nodes)| nodes.len()).sum();
        for (offset, (id, class)) in nodes.iter().enumerate() {
            self.note(first + offset);
            if let Some(fault) = self.trouble(FaultKind::Process, id, class) {
                return Step::Failed(fault, Self::usage(nodes.len(), 1));
            }
            trace.push(format!("{id} {}", self.name()).as_str().into());
        }
        Step::Last(Value::List(trace), Self::usage(nodes.len(), 0))
    }

    fn abort(&mut self, stage: u32) -> Vec<NodeUsage> {
        self.inputs.retain(|(number, _)| *number != stage);
        Vec::new()
    }

    fn close(&mut self) -> Closed {
        Closed::default()
    }
}
