//! The CPython guest: moves values in and out of `remotemedia._guest`, which calls the nodes, and
//! the entry point of the worker process around it.

mod fault;
mod probe;
mod surroundings;

use std::sync::Arc;
use std::time::{Duration, Instant};

use ipc_protocol::from_worker::{Closed, Moved, NodeReady, NodeState, NodeUsage};
use ipc_protocol::shm::Exchange;
use ipc_protocol::to_worker::{NodeClass, NodeSpec, OpenSession};
use ipc_protocol::{Fault, FaultKind};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};
use worker_shim::blackbox::Blackbox;
use worker_shim::link::link;
use worker_shim::process::{take_link, watch_hangup};
use worker_shim::{Alarm, Begin, Guest, Interpreter, LinkWriter, Meter, Stages, Step};

use crate::convert::{Converter, Memory, Pickling, into_pyerr, to_value};
use crate::numpy_memory::{self, Outbound};
use fault::import_fault;
use probe::{Log, Probe, SharedMeter};

/// Serves the orchestrator until it closes the connection. `recorder` is the number of the flight
/// recorder's descriptor. Gives the exit code.
#[pyfunction]
#[pyo3(signature = (recorder=None))]
pub(crate) fn worker_main(py: Python<'_>, recorder: Option<&str>) -> PyResult<i32> {
    let socket = take_link()?;
    watch_hangup(&socket)?;
    let recorder: Option<i32> = recorder.and_then(|number| number.parse().ok());
    let blackbox = recorder.and_then(|descriptor| Blackbox::open(descriptor).ok());
    prepare_interpreter(py, recorder)?;
    let (mut reader, writer) = link(socket)?;
    let mut guest = CPython::new(py, Meter::new(blackbox), &writer)?;
    let served = py.detach(|| worker_shim::serve(&mut reader, &writer, &mut guest));
    match served {
        Ok(()) => Ok(0),
        Err(error) => {
            py.import("sys")?
                .getattr("__stderr__")?
                .call_method1("write", (format!("{error}\n"),))?;
            Ok(1)
        }
    }
}

/// Crashes leave the Python stack in the recorder, and Ctrl-C is the orchestrator's business.
fn prepare_interpreter(py: Python<'_>, recorder: Option<i32>) -> PyResult<()> {
    let prepare = py.import("remotemedia._guest.process")?;
    prepare.call_method1("prepare", (recorder,))?;
    Ok(())
}

/// CPython with the nodes of one session.
#[derive(Debug)]
struct CPython {
    guest: Py<PyAny>,
    /// The method that every item needs, looked up once.
    first_step: Py<PyAny>,
    /// The input of a call that has begun and not been stepped, with the call's stage.
    input: Option<(u32, Py<PyAny>)>,
    /// Where the guest keeps the event loop of the session, if it has one.
    event_loop: Py<PyAny>,
    fault: Py<PyAny>,
    probe: Py<Probe>,
    meter: SharedMeter,
    converter: Converter,
    /// The shared memory of the connection, if it has some.
    outbound: Option<&'static Outbound>,
    stages: Stages,
}

impl CPython {
    fn new(py: Python<'_>, meter: Meter, writer: &LinkWriter) -> PyResult<Self> {
        let meter = Arc::new(std::sync::Mutex::new(meter));
        let module = py.import("remotemedia._guest")?;
        let probe = Py::new(py, Probe::new(Arc::clone(&meter)))?;
        let log = Py::new(py, Log::new(writer.clone()))?;
        let guest = module.getattr("Guest")?.call1((&probe, log))?;
        let first_step = guest.getattr("first_step")?.unbind();
        let event_loop = guest.getattr("loop")?.unbind();
        let fault = module.getattr("Fault")?.unbind();
        let converter = Converter::new("output", Memory::Borrow, Pickling::Default);
        Ok(Self {
            guest: guest.unbind(),
            first_step,
            input: None,
            event_loop,
            fault,
            probe,
            meter,
            converter,
            outbound: None,
            stages: Stages::default(),
        })
    }

    fn take_usage(&self, stage: u32) -> Vec<NodeUsage> {
        probe::lock(&self.meter).take(self.stages.nodes_of(stage))
    }

    fn count_marshal(&self, node: usize, time: Duration, moved: Moved) {
        let mut meter = probe::lock(&self.meter);
        meter.count_marshal(node, time);
        meter.count_moved(node, moved);
    }

    fn open_session(&mut self, py: Python<'_>, session: OpenSession) -> PyResult<Vec<NodeReady>> {
        let pickling = if session.allow_pickle { Pickling::Default } else { Pickling::Forbidden };
        let converter = Converter::new("output", Memory::Borrow, pickling);
        self.converter = match self.outbound {
            Some(outbound) => converter.in_worker(outbound),
            None => converter.with_inline_max(None),
        };
        let spec = self.session_spec(py, session)?;
        let ready = self.guest.bind(py).call_method1(intern!(py, "open"), (spec,))?;
        let ready: Vec<(String, bool, bool, bool)> = ready.extract()?;
        let node = |(node_id, is_source, is_streaming, is_async)| NodeReady {
            node_id,
            is_source,
            is_streaming,
            is_async,
        };
        Ok(ready.into_iter().map(node).collect())
    }

    /// The session in the words of `remotemedia._guest.session`.
    fn session_spec<'py>(
        &mut self,
        py: Python<'py>,
        session: OpenSession,
    ) -> PyResult<Bound<'py, PyAny>> {
        let module = py.import(intern!(py, "remotemedia._guest.session"))?;
        let node_class = module.getattr("NodeSpec")?;
        let stages = PyList::empty(py);
        self.stages = Stages::of(&session);
        for stage in session.stages {
            let nodes = PyList::empty(py);
            for node in stage.nodes {
                nodes.append(self.node_spec(&node_class, node)?)?;
            }
            stages.append((stage.stage, nodes))?;
        }
        probe::lock(&self.meter).reset(self.stages.node_count());
        let instances = session.instances.map(|pickle| PyBytes::new(py, pickle.as_slice()));
        module.getattr("SessionSpec")?.call1((
            stages,
            instances,
            session.surroundings.map(|a| surroundings::to_object(py, *a)).transpose()?,
            session.write_back_max_bytes,
        ))
    }

    fn node_spec<'py>(
        &self,
        class: &Bound<'py, PyAny>,
        node: NodeSpec,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (module, name, instance) = match node.class {
            NodeClass::Import { module, name } => (module, name, None),
            NodeClass::Instance(index) => (String::new(), String::new(), Some(index)),
        };
        let params = self.converter.to_object(class.py(), node.params)?;
        class.call1((node.node_id, module, name, instance, params, node.is_streaming))
    }

    fn begin_call(&mut self, py: Python<'_>, stage: u32, begin: Begin) -> PyResult<()> {
        match begin {
            Begin::Item(value) => {
                let started = Instant::now();
                let object = self.converter.to_object(py, value)?;
                let incoming = self.converter.take_traffic();
                let moved = Moved { incoming, ..Moved::default() };
                self.count_marshal(self.stages.nodes_of(stage).start, started.elapsed(), moved);
                self.input = Some((stage, object.unbind()));
            }
            Begin::Start => {
                self.guest.bind(py).call_method1(intern!(py, "begin_start"), (stage,))?;
            }
            Begin::Flush => {
                self.guest.bind(py).call_method1(intern!(py, "begin_flush"), (stage,))?;
            }
        }
        Ok(())
    }

    fn step_call(&mut self, py: Python<'_>, stage: u32) -> Result<Step, Fault> {
        let stepped = match self.input.take_if(|(waiting, _)| *waiting == stage) {
            Some(input) => self.first_step.bind(py).call1(input),
            None => self.guest.bind(py).call_method1(intern!(py, "step"), (stage,)),
        };
        let extracted = stepped.and_then(|pair| pair.extract::<(u8, Bound<'_, PyAny>)>());
        let (kind, object) = extracted.map_err(|error| self.fault(py, &error))?;
        if kind == DONE {
            return Ok(Step::Done(self.take_usage(stage)));
        }
        let last = self.stages.nodes_of(stage).end.saturating_sub(1);
        let started = Instant::now();
        let value = to_value(&object, &self.converter);
        let outgoing = self.converter.take_traffic();
        self.count_marshal(last, started.elapsed(), Moved { outgoing, ..Moved::default() });
        let value = value.map_err(|error| {
            let mut fault = self.marshal_fault(py, &into_pyerr(error));
            let abort = self.guest.bind(py).call_method1(intern!(py, "output_failed"), (stage,));
            fault.node_id = abort.and_then(|node| node.extract()).unwrap_or_default();
            fault
        })?;
        Ok(if kind == LAST {
            Step::Last(value, self.take_usage(stage))
        } else {
            Step::Output(value)
        })
    }

    fn close_session(&self, py: Python<'_>) -> PyResult<Closed> {
        type State = (String, Vec<u8>, Vec<(String, String)>);
        let closed = self.guest.bind(py).call_method0(intern!(py, "close"))?;
        let (states, faults): (Vec<State>, Vec<Bound<'_, PyAny>>) = closed.extract()?;
        let state = |(node_id, attributes, kept): State| NodeState {
            node_id,
            attributes: attributes.into(),
            kept,
        };
        let faults = faults.into_iter().map(|fault| self.fault(py, &PyErr::from_value(fault)));
        Ok(Closed { states: states.into_iter().map(state).collect(), faults: faults.collect() })
    }

    /// What Python code raised, as data: a fault of a node, or a failure of the guest itself.
    fn fault(&self, py: Python<'_>, error: &PyErr) -> Fault {
        let value = error.value(py);
        if !error.matches(py, self.fault.bind(py)).unwrap_or(false) {
            return self.marshal_fault(py, error);
        }
        let text = |name: &str| -> String {
            value.getattr(name).and_then(|text| text.extract()).unwrap_or_default()
        };
        Fault {
            kind: FaultKind::from_name(&text("kind")),
            node_id: text("node_id"),
            remote_type: text("remote_type"),
            message: text("message"),
            traceback: text("traceback"),
            import: value
                .getattr("import_info")
                .ok()
                .and_then(|info| import_fault(&info))
                .map(Box::new),
        }
    }

    /// A value that could not be turned into or out of its wire form.
    fn marshal_fault(&self, py: Python<'_>, error: &PyErr) -> Fault {
        let describe = || -> PyResult<(String, String)> {
            let faults = py.import(intern!(py, "remotemedia._guest.faults"))?;
            let name = faults.call_method1("type_name", (error.get_type(py),))?.extract()?;
            let text = faults.call_method1("formatted", (error.value(py),))?.extract()?;
            Ok((name, text))
        };
        let (remote_type, traceback) = describe().unwrap_or_default();
        let message = error.value(py).to_string();
        Fault {
            kind: FaultKind::Marshal,
            node_id: String::new(),
            remote_type,
            message,
            traceback,
            import: None,
        }
    }
}

/// Kinds of steps, as in `remotemedia._guest.session`.
const LAST: u8 = 2;
const DONE: u8 = 3;

impl Guest for CPython {
    fn interpreter(&self) -> Interpreter {
        let version = Python::attach(|py| {
            let info = py.version_info();
            format!("{}.{}.{}", info.major, info.minor, info.patch)
        });
        Interpreter {
            name: "cpython".to_owned(),
            version,
            package_version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    fn share(&mut self, exchange: &Arc<Exchange>) {
        self.outbound = Some(numpy_memory::serve(exchange));
    }

    fn open(&mut self, session: OpenSession) -> Result<Vec<NodeReady>, Fault> {
        let opened = Python::attach(|py| {
            self.open_session(py, session).map_err(|error| self.fault(py, &error))
        });
        // What opening cost is not what calls cost.
        probe::lock(&self.meter).reset(self.stages.node_count());
        if opened.is_err() {
            numpy_memory::end_of_session();
        }
        opened
    }

    fn begin(&mut self, stage: u32, begin: Begin) -> Result<(), Fault> {
        Python::attach(|py| {
            self.begin_call(py, stage, begin).map_err(|error| {
                let mut fault = self.fault(py, &error);
                let first = self.guest.bind(py).call_method1(intern!(py, "first_node"), (stage,));
                fault.node_id = first.and_then(|node| node.extract()).unwrap_or_default();
                fault
            })
        })
    }

    fn step(&mut self, stage: u32) -> Step {
        let stepped = Python::attach(|py| self.step_call(py, stage));
        stepped.unwrap_or_else(|fault| Step::Failed(fault, self.take_usage(stage)))
    }

    fn abort(&mut self, stage: u32) -> Vec<NodeUsage> {
        self.input = None;
        let aborted = Python::attach(|py| {
            self.guest.bind(py).call_method1(intern!(py, "abort"), (stage,)).map(|_| ())
        });
        // Nothing is left that could fail; the call is over either way.
        drop(aborted);
        self.take_usage(stage)
    }

    fn close(&mut self) -> Closed {
        self.input = None;
        let closed = Python::attach(|py| {
            let closed = self.close_session(py).unwrap_or_else(|error| Closed {
                states: Vec::new(),
                faults: vec![self.fault(py, &error)],
            });
            self.probe.get().rest(py);
            closed
        });
        numpy_memory::end_of_session();
        closed
    }

    fn attend(&mut self, has_rung: bool) -> Option<Alarm> {
        Python::attach(|py| {
            if self.event_loop.bind(py).getattr(intern!(py, "made")).ok()?.is_none() {
                return None;
            }
            let called = self.guest.bind(py).call_method1(intern!(py, "attend"), (has_rung,));
            // A loop that the node has closed has nothing to do.
            let (descriptor, after, is_quiet): (_, Option<f64>, _) = called.ok()?.extract().ok()?;
            let after = after.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
            Some(Alarm { descriptor, after, is_quiet })
        })
    }
}
