//! The RustPython guest: moves values in and out of `remotemedia._guest`, which calls the nodes, as
//! the CPython guest does.

mod surroundings;

use std::sync::Arc;
use std::time::{Duration, Instant};

use ipc_protocol::from_worker::{Closed, Moved, NodeReady, NodeState, NodeUsage};
use ipc_protocol::shm::Exchange;
use ipc_protocol::to_worker::{NodeClass, NodeSpec, OpenSession};
use ipc_protocol::{Fault, FaultKind, ImportFault, ImportReason};
use rustpython_vm::builtins::{PyBaseExceptionRef, PyListRef, PyTupleRef};
use rustpython_vm::{AsObject, PyObject, PyObjectRef, PyResult, VirtualMachine};
use worker_shim::{Alarm, Begin, Guest, Interpreter, Stages, Step};

use crate::arguments::python_version;
use crate::convert::Converter;
use crate::deadline;
use crate::native::worker::metered;
use crate::native::{audio, fork};

/// Kinds of steps, as in `remotemedia._guest.session`.
const LAST: u8 = 2;
const DONE: u8 = 3;

/// RustPython with the nodes of one session.
pub(crate) struct RustPython<'vm> {
    vm: &'vm VirtualMachine,
    guest: PyObjectRef,
    /// The methods that every item needs, looked up once.
    first_step: PyObjectRef,
    next_step: PyObjectRef,
    /// The input of a call that has begun and not been stepped, with the call's stage.
    input: Option<(u32, PyObjectRef)>,
    /// Where the guest keeps the event loop of the session, if it has one.
    event_loop: PyObjectRef,
    fault: PyObjectRef,
    converter: Converter,
    stages: Stages,
}

/// An imported module by its full name: what importing gives is the outermost package.
fn module(vm: &VirtualMachine, name: &'static str) -> PyResult {
    vm.import(name, 0)?;
    vm.sys_module.get_attr("modules", vm)?.get_item(name, vm)
}

impl<'vm> RustPython<'vm> {
    /// Makes the guest in an interpreter that is ready.
    ///
    /// # Errors
    /// What importing `remotemedia._guest` raises; that is a fault of the program.
    pub(crate) fn new(vm: &'vm VirtualMachine) -> PyResult<Self> {
        let calls_back = module(vm, "_remotemedia_worker")?;
        let guest_module = module(vm, "remotemedia._guest")?;
        let send = calls_back.get_attr("send", vm)?;
        let guest = guest_module.get_attr("Guest", vm)?.call((calls_back, send), vm)?;
        Ok(Self {
            vm,
            first_step: guest.get_attr("first_step", vm)?,
            next_step: guest.get_attr("step", vm)?,
            input: None,
            event_loop: guest.get_attr("loop", vm)?,
            fault: guest_module.get_attr("Fault", vm)?,
            guest,
            converter: Converter::new(true),
            stages: Stages::default(),
        })
    }

    fn take_usage(&self, stage: u32) -> Vec<NodeUsage> {
        metered(|meter| meter.take(self.stages.nodes_of(stage)))
    }

    fn call(&self, method: &'static str, stage: u32) -> PyResult {
        self.vm.call_method(&self.guest, method, (stage,))
    }

    /// Id of the node that a method of the guest names.
    fn named_node(&self, method: &'static str, stage: u32) -> String {
        let node = self.call(method, stage).and_then(|node| node.try_into_value(self.vm));
        node.unwrap_or_default()
    }

    fn open_session(&mut self, session: OpenSession) -> PyResult<Vec<NodeReady>> {
        let vm = self.vm;
        self.converter = Converter::new(session.allow_pickle);
        let spec = self.session_spec(session)?;
        let ready: PyListRef = vm.call_method(&self.guest, "open", (spec,))?.try_into_value(vm)?;
        let node = |entry: &PyObjectRef| {
            let entry: PyTupleRef = entry.clone().try_into_value(vm)?;
            let (node_id, is_source, is_streaming, is_async) = entry.extract_tuple(vm)?;
            Ok(NodeReady { node_id, is_source, is_streaming, is_async })
        };
        ready.borrow_vec().to_vec().iter().map(node).collect()
    }

    /// The session in the words of `remotemedia._guest.session`.
    fn session_spec(&mut self, session: OpenSession) -> PyResult {
        let vm = self.vm;
        let module = module(vm, "remotemedia._guest.session")?;
        let node_class = module.get_attr("NodeSpec", vm)?;
        let mut stages = Vec::new();
        self.stages = Stages::of(&session);
        for stage in session.stages {
            let nodes: PyResult<Vec<_>> =
                stage.nodes.into_iter().map(|node| self.node_spec(&node_class, node)).collect();
            let nodes = vm.ctx.new_list(nodes?);
            stages.push(vm.new_tuple((stage.stage, nodes)).into());
        }
        metered(|meter| meter.reset(self.stages.node_count()));
        let instances: PyObjectRef = match session.instances {
            Some(pickle) => vm.ctx.new_bytes(pickle.as_slice().to_vec()).into(),
            None => vm.ctx.none(),
        };
        let around = session.surroundings.map(|around| surroundings::to_object(vm, *around));
        let arguments =
            (vm.ctx.new_list(stages), instances, around.transpose()?, session.write_back_max_bytes);
        module.get_attr("SessionSpec", vm)?.call(arguments, vm)
    }

    fn node_spec(&self, class: &PyObjectRef, node: NodeSpec) -> PyResult {
        let vm = self.vm;
        let (module, name, instance) = match node.class {
            NodeClass::Import { module, name } => (module, name, None),
            NodeClass::Instance(index) => (String::new(), String::new(), Some(index)),
        };
        let params = self.converter.to_object(vm, node.params)?;
        class.call((node.node_id, module, name, instance, params, node.is_streaming), vm)
    }

    fn begin_call(&mut self, stage: u32, begin: Begin) -> PyResult<()> {
        match begin {
            Begin::Item(value) => {
                let started = Instant::now();
                let object = self.converter.to_object(self.vm, value)?;
                let incoming = self.converter.take_traffic();
                let moved = Moved { incoming, ..Moved::default() };
                count_marshal(self.stages.nodes_of(stage).start, started.elapsed(), moved);
                self.input = Some((stage, object));
            }
            Begin::Start => {
                self.call("begin_start", stage)?;
            }
            Begin::Flush => {
                self.call("begin_flush", stage)?;
            }
        }
        Ok(())
    }

    fn step_call(&mut self, stage: u32) -> Result<Step, Fault> {
        let vm = self.vm;
        let stepped = match self.input.take_if(|(waiting, _)| *waiting == stage) {
            Some((stage, input)) => self.first_step.call((stage, input), vm),
            None => self.next_step.call((stage,), vm),
        };
        deadline::end_if_overdue();
        let pair = stepped.and_then(|pair| pair.try_into_value::<PyTupleRef>(vm));
        let extracted = pair.and_then(|pair| pair.extract_tuple::<(u8, PyObjectRef)>(vm));
        let (kind, object) = extracted.map_err(|raised| self.fault(&raised))?;
        if kind == DONE {
            return Ok(Step::Done(self.take_usage(stage)));
        }
        let last = self.stages.nodes_of(stage).end.saturating_sub(1);
        let started = Instant::now();
        let value = self.converter.to_value(vm, &object);
        // An output that nobody else holds may leave as it is.
        drop(object);
        let outgoing = self.converter.take_traffic();
        count_marshal(last, started.elapsed(), Moved { outgoing, ..Moved::default() });
        let value = value.map_err(|raised| {
            let mut fault = self.marshal_fault(&raised);
            fault.node_id = self.named_node("output_failed", stage);
            fault
        })?;
        Ok(if kind == LAST {
            Step::Last(value, self.take_usage(stage))
        } else {
            Step::Output(value)
        })
    }

    fn close_session(&self) -> PyResult<Closed> {
        let vm = self.vm;
        let closed: PyTupleRef = vm.call_method(&self.guest, "close", ())?.try_into_value(vm)?;
        let (states, faults) = closed.extract_tuple::<(PyListRef, PyListRef)>(vm)?;
        let state = |entry: &PyObjectRef| {
            let entry: PyTupleRef = entry.clone().try_into_value(vm)?;
            let (node_id, attributes, kept) =
                entry.extract_tuple::<(String, rustpython_vm::builtins::PyBytesRef, PyListRef)>(
                    vm,
                )?;
            let reason = |entry: &PyObjectRef| {
                entry.clone().try_into_value::<PyTupleRef>(vm)?.extract_tuple(vm)
            };
            let kept: PyResult<Vec<_>> = kept.borrow_vec().iter().map(reason).collect();
            let attributes = attributes.as_bytes().to_vec().into();
            Ok(NodeState { node_id, attributes, kept: kept? })
        };
        let states: PyResult<Vec<_>> = states.borrow_vec().iter().map(state).collect();
        let raised = |fault: &PyObjectRef| fault.clone().try_into_value::<PyBaseExceptionRef>(vm);
        let faults: PyResult<Vec<_>> = faults.borrow_vec().iter().map(raised).collect();
        let faults = faults?.iter().map(|raised| self.fault(raised)).collect();
        Ok(Closed { states: states?, faults })
    }

    /// What Python code raised, as data: a fault of a node, or a failure of the guest itself.
    fn fault(&self, raised: &PyBaseExceptionRef) -> Fault {
        let vm = self.vm;
        if !raised.as_object().is_instance(&self.fault, vm).unwrap_or(false) {
            return self.marshal_fault(raised);
        }
        let text = |name: &'static str| -> String {
            let found = raised.as_object().get_attr(name, vm);
            found.and_then(|text| text.try_into_value(vm)).unwrap_or_default()
        };
        Fault {
            kind: FaultKind::from_name(&text("kind")),
            node_id: text("node_id"),
            remote_type: text("remote_type"),
            message: text("message"),
            traceback: text("traceback"),
            import: self.import_fault(raised.as_object()).map(Box::new),
        }
    }

    /// What the interpreter lacks, as `remotemedia._guest.faults` tells it; `None` when it lacks
    /// nothing.
    fn import_fault(&self, fault: &PyObject) -> Option<ImportFault> {
        let found = fault.get_attr("import_info", self.vm).ok()?;
        let text = |name: &str| -> Option<String> {
            found.get_item(name, self.vm).ok()?.try_into_value(self.vm).ok()
        };
        Some(ImportFault {
            reason: ImportReason::from_name(&text("reason")?)?,
            module: text("module")?,
            root_package: text("root_package")?,
            path: text("path").unwrap_or_default(),
            suggestion: text("suggestion").unwrap_or_default(),
        })
    }

    /// A value that could not be turned into or out of its wire form.
    fn marshal_fault(&self, raised: &PyBaseExceptionRef) -> Fault {
        let vm = self.vm;
        let describe = || -> PyResult<(String, String)> {
            let faults = module(vm, "remotemedia._guest.faults")?;
            let kind = raised.class().to_owned();
            let name = vm.call_method(&faults, "type_name", (kind,))?.try_into_value(vm)?;
            let text = vm.call_method(&faults, "formatted", (raised.clone(),))?;
            Ok((name, text.try_into_value(vm)?))
        };
        let (remote_type, traceback) = describe().unwrap_or_default();
        let message = raised.as_object().str(vm);
        let message = message.map(|text| text.to_string_lossy().into_owned()).unwrap_or_default();
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

fn count_marshal(node: usize, time: Duration, moved: Moved) {
    metered(|meter| {
        meter.count_marshal(node, time);
        meter.count_moved(node, moved);
    });
}

impl Guest for RustPython<'_> {
    fn interpreter(&self) -> Interpreter {
        Interpreter {
            name: "rustpython".to_owned(),
            version: python_version(),
            package_version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    fn share(&mut self, exchange: &Arc<Exchange>) {
        audio::serve(exchange);
        fork::serve(exchange);
    }

    fn open(&mut self, session: OpenSession) -> Result<Vec<NodeReady>, Fault> {
        let opened = self.open_session(session).map_err(|raised| self.fault(&raised));
        deadline::end_if_overdue();
        // What opening cost is not what calls cost.
        metered(|meter| meter.reset(self.stages.node_count()));
        if opened.is_err() {
            fork::end_of_session();
        }
        opened
    }

    fn begin(&mut self, stage: u32, begin: Begin) -> Result<(), Fault> {
        self.begin_call(stage, begin).map_err(|raised| {
            let mut fault = self.fault(&raised);
            fault.node_id = self.named_node("first_node", stage);
            fault
        })
    }

    fn step(&mut self, stage: u32) -> Step {
        let stepped = self.step_call(stage);
        stepped.unwrap_or_else(|fault| Step::Failed(fault, self.take_usage(stage)))
    }

    fn abort(&mut self, stage: u32) -> Vec<NodeUsage> {
        self.input = None;
        // Nothing is left that could fail; the call is over either way.
        let _over = self.call("abort", stage);
        deadline::end_if_overdue();
        self.take_usage(stage)
    }

    fn close(&mut self) -> Closed {
        self.input = None;
        let closed = self.close_session();
        fork::end_of_session();
        deadline::end_if_overdue();
        closed.unwrap_or_else(|raised| Closed {
            states: Vec::new(),
            faults: vec![self.fault(&raised)],
        })
    }

    fn attend(&mut self, has_rung: bool) -> Option<Alarm> {
        let vm = self.vm;
        let made = self.event_loop.get_attr("made", vm).ok()?;
        if vm.is_none(&made) {
            return None;
        }
        // A loop that the node has closed has nothing to do.
        let called = vm.call_method(&self.guest, "attend", (has_rung,)).ok()?;
        let called: PyTupleRef = called.try_into_value(vm).ok()?;
        let (descriptor, after, is_quiet) =
            called.extract_tuple::<(i32, Option<f64>, bool)>(vm).ok()?;
        let after = after.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        Some(Alarm { descriptor, after, is_quiet })
    }

    fn unlocked<T: Send>(&mut self, blocking: impl FnOnce() -> T + Send) -> T {
        self.vm.allow_threads(blocking)
    }
}
