//! The guest for Python, the same for all interpreters. It passes values to and from the Python
//! package `remotemedia._guest`, which calls the nodes; it counts their costs and turns exceptions
//! into faults. A [`PythonHost`] does everything that differs between interpreters.

mod answers;
mod spec;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use ipc_protocol::exchange::Exchange;
use ipc_protocol::from_worker::{Closed, Moved, NodeReady, NodeUsage};
use ipc_protocol::to_worker::{OpenSession, SavedState};
use ipc_protocol::{Fault, Value};

use crate::guest::{Begin, Guest, Interpreter, Step};
use crate::link::Alarm;
use crate::meter::SharedMeter;
use crate::python_host::{Arguments, PythonHost};
use crate::stages::Stages;

/// Kinds of steps: the same numbers as in `remotemedia._guest.session`.
const LAST: Value = Value::Int(2);
const DONE: Value = Value::Int(3);
/// What is left of a session whose end has failed, so that the worker is replaced.
const UNKNOWN: &str = "interpreter";

/// A Python interpreter with the nodes of one session.
#[derive(Debug)]
pub struct PythonGuest<H: PythonHost> {
    host: H,
    methods: Methods<H::Object>,
    /// A `LazyLoop` of `remotemedia._guest.streams`: its attribute `made` is the session's event
    /// loop, or `None` if no node has needed one.
    event_loop: H::Object,
    made: H::Name,
    /// Stage and input of a call that has begun and whose first step has not run yet.
    input: Option<(u32, H::Object)>,
    meter: SharedMeter,
    stages: Stages,
}

/// The bound methods of a `remotemedia._guest.Guest`, looked up once for speed.
#[derive(Debug)]
struct Methods<O> {
    open: O,
    begin_start: O,
    begin_flush: O,
    first_step: O,
    step: O,
    first_node: O,
    output_failed: O,
    abort: O,
    end_interrupt: O,
    attend: O,
    save: O,
    restore: O,
    close: O,
    loaded: O,
    facts: O,
}

impl<H: PythonHost> PythonGuest<H> {
    /// Wraps `guest`, an instance of `remotemedia._guest.Guest` that reports costs to `meter`.
    ///
    /// # Errors
    /// `AttributeError` when `guest` lacks a method, which is a bug in the package.
    pub fn new(host: H, guest: &H::Object, meter: SharedMeter) -> Result<Self, H::Raised> {
        let (methods, event_loop, made) = host.attach(|py| {
            let attr = |name| host.attr(py, guest, &host.name(py, name));
            let methods = Methods {
                open: attr("open_session")?,
                begin_start: attr("begin_start")?,
                begin_flush: attr("begin_flush")?,
                first_step: attr("first_step")?,
                step: attr("step")?,
                first_node: attr("first_node")?,
                output_failed: attr("output_failed")?,
                abort: attr("abort")?,
                end_interrupt: attr("end_interrupt")?,
                attend: attr("attend")?,
                save: attr("save")?,
                restore: attr("restore")?,
                close: attr("close")?,
                loaded: attr("loaded")?,
                facts: attr("facts")?,
            };
            Ok((methods, attr("loop")?, host.name(py, "made")))
        })?;
        let (input, stages) = (None, Stages::default());
        Ok(Self { host, methods, event_loop, made, input, meter, stages })
    }

    /// Calls a method of the guest and converts its result to a value.
    fn ask(
        &self,
        py: H::Python<'_>,
        method: &H::Object,
        arguments: Arguments<H::Object>,
    ) -> Result<Value, Fault> {
        let answer = self.host.call(py, method, arguments);
        let value = answer.and_then(|answer| self.host.to_value(py, answer));
        value.map_err(|raised| self.fault(py, raised))
    }

    /// Begins a call that has no input. Otherwise returns the input as an object for `first_step`,
    /// which begins the call.
    fn begin_call(
        &self,
        py: H::Python<'_>,
        stage: u32,
        begin: Begin,
    ) -> Result<Option<H::Object>, H::Raised> {
        let method = match begin {
            Begin::Item(value) => {
                let started = Instant::now();
                let object = self.host.to_object(py, value);
                let moved = Moved { incoming: self.host.take_traffic(), ..Moved::default() };
                self.count_marshal(self.stages.nodes_of(stage).start, started.elapsed(), moved);
                return object.map(Some);
            }
            Begin::Start => &self.methods.begin_start,
            Begin::Flush => &self.methods.begin_flush,
        };
        self.host.call(py, method, Arguments::Stage(stage)).map(|_| None)
    }

    fn step_call(
        &self,
        py: H::Python<'_>,
        stage: u32,
        input: Option<H::Object>,
    ) -> Result<Step, Fault> {
        let stepped = match input {
            Some(input) => {
                self.host.call(py, &self.methods.first_step, Arguments::Item(stage, input))
            }
            None => self.host.call(py, &self.methods.step, Arguments::Stage(stage)),
        };
        let taken = stepped.and_then(|stepped| {
            let [kind, object] = self.host.unpack(py, stepped)?;
            Ok((self.host.to_value(py, kind)?, object))
        });
        let (kind, object) = taken.map_err(|raised| self.fault(py, raised))?;
        if kind == DONE {
            return Ok(Step::Done(self.take_usage(stage)));
        }
        let last = self.stages.nodes_of(stage).end.saturating_sub(1);
        let started = Instant::now();
        let value = self.host.to_value(py, object);
        let moved = Moved { outgoing: self.host.take_traffic(), ..Moved::default() };
        self.count_marshal(last, started.elapsed(), moved);
        let value = value
            .map_err(|raised| self.fault_at(py, &self.methods.output_failed, stage, raised))?;
        Ok(if kind == LAST {
            Step::Last(value, self.take_usage(stage))
        } else {
            Step::Output(value)
        })
    }

    /// Converts an exception to a fault.
    fn fault(&self, py: H::Python<'_>, raised: H::Raised) -> Fault {
        let exception = self.host.exception(py, raised);
        let facts = self.host.call(py, &self.methods.facts, Arguments::One(exception));
        let facts = facts.and_then(|facts| self.host.to_value(py, facts)).ok();
        facts.and_then(answers::fault).unwrap_or_else(answers::unknown_fault)
    }

    /// Converts an exception to a fault of the node whose id `method` returns.
    fn fault_at(
        &self,
        py: H::Python<'_>,
        method: &H::Object,
        stage: u32,
        raised: H::Raised,
    ) -> Fault {
        let fault = self.fault(py, raised);
        let node_id = match self.ask(py, method, Arguments::Stage(stage)) {
            Ok(Value::Str(node_id)) => node_id,
            _ => String::new(),
        };
        Fault { node_id, ..fault }
    }

    fn take_usage(&self, stage: u32) -> Vec<NodeUsage> {
        let nodes = self.stages.nodes_of(stage);
        let mut usage = self.meter.lock().take(nodes.clone());
        for (node, usage) in nodes.zip(usage.iter_mut()) {
            let arrays = self.host.take_arrays(node);
            usage.memory.array_private_bytes = arrays.private_bytes;
            usage.memory.array_shared_bytes = arrays.shared_bytes;
        }
        usage
    }

    fn count_marshal(&self, node: usize, time: Duration, moved: Moved) {
        let mut meter = self.meter.lock();
        meter.count_marshal(node, time);
        meter.count_moved(node, moved);
    }
}

impl<H: PythonHost> Guest for PythonGuest<H> {
    fn interpreter(&self) -> Interpreter {
        self.host.interpreter()
    }

    fn share(&mut self, exchange: &Arc<Exchange>) {
        self.host.share(exchange);
    }

    fn open(&mut self, session: OpenSession) -> Result<Vec<NodeReady>, Fault> {
        self.stages = Stages::of(&session);
        {
            let mut meter = self.meter.lock();
            meter.reset(self.stages.node_count());
            meter.record_death();
        }
        self.host.begin_session(session.allow_pickle);
        let fields = spec::fields(session);
        let opened = self.host.attach(|py| match self.host.to_object(py, fields) {
            Ok(fields) => self.ask(py, &self.methods.open, Arguments::One(fields)),
            Err(raised) => Err(self.fault(py, raised)),
        });
        let opened = opened.and_then(answers::ready);
        // The cost of opening does not count as the cost of calls.
        self.meter.lock().reset(self.stages.node_count());
        self.host.take_traffic();
        if opened.is_err() {
            self.host.end_session();
        }
        opened
    }

    fn begin(&mut self, stage: u32, begin: Begin) -> Result<(), Fault> {
        let input = self.host.attach(|py| {
            let begun = self.begin_call(py, stage, begin);
            begun.map_err(|raised| self.fault_at(py, &self.methods.first_node, stage, raised))
        })?;
        if let Some(input) = input {
            self.input = Some((stage, input));
        }
        Ok(())
    }

    fn step(&mut self, stage: u32) -> Step {
        let input = self.input.take_if(|(waiting, _)| *waiting == stage);
        let input = input.map(|(_, object)| object);
        let stepped = self.host.attach(|py| self.step_call(py, stage, input));
        stepped.unwrap_or_else(|fault| Step::Failed(fault, self.take_usage(stage)))
    }

    fn abort(&mut self, stage: u32) -> Vec<NodeUsage> {
        self.input = None;
        // An error is ignored: the call is over either way.
        let abort = &self.methods.abort;
        let _over = self.host.attach(|py| self.ask(py, abort, Arguments::Stage(stage)));
        self.take_usage(stage)
    }

    fn end_interrupt(&mut self) {
        let end = &self.methods.end_interrupt;
        let _ended = self.host.attach(|py| self.ask(py, end, Arguments::None));
    }

    fn save(&mut self) -> Result<Vec<SavedState>, Fault> {
        let saved = self.host.attach(|py| self.ask(py, &self.methods.save, Arguments::None));
        self.host.take_traffic();
        saved.and_then(answers::saved)
    }

    fn restore(&mut self, saved: Vec<SavedState>) -> Result<(), Fault> {
        let states = spec::saved(saved);
        self.host.attach(|py| {
            let states = self.host.to_object(py, states);
            let states = states.map_err(|raised| self.fault(py, raised))?;
            self.ask(py, &self.methods.restore, Arguments::One(states)).map(|_| ())
        })
    }

    fn close(&mut self) -> Closed {
        self.input = None;
        let close = &self.methods.close;
        let closed = self.host.attach(|py| self.ask(py, close, Arguments::None));
        self.host.end_session();
        let closed = closed.and_then(answers::closed);
        closed.unwrap_or_else(|fault| Closed {
            faults: vec![fault],
            left: vec![UNKNOWN.to_owned()],
            ..Closed::default()
        })
    }

    fn take_loaded(&mut self) -> Vec<String> {
        let loaded = &self.methods.loaded;
        let names = self.host.attach(|py| self.ask(py, loaded, Arguments::None));
        self.host.take_traffic();
        names.ok().and_then(answers::names).unwrap_or_default()
    }

    fn begin_end(&mut self) {
        self.host.begin_end();
    }

    fn attend(&mut self, has_rung: bool) -> Option<Alarm> {
        let host = &self.host;
        host.attach(|py| {
            let made = host.attr(py, &self.event_loop, &self.made).ok()?;
            if host.is_none(py, &made) {
                return None;
            }
            let has_rung = host.to_object(py, Value::Bool(has_rung)).ok()?;
            // This fails if a node has closed the loop; then the loop cannot wake up any more.
            let called = host.call(py, &self.methods.attend, Arguments::One(has_rung)).ok()?;
            let parts: [H::Object; 3] = host.unpack(py, called).ok()?;
            answers::alarm(parts.map(|part| host.to_value(py, part).ok()))
        })
    }

    fn unlocked<T: Send>(&mut self, blocking: impl FnOnce() -> T + Send) -> T {
        self.host.unlocked(blocking)
    }
}
