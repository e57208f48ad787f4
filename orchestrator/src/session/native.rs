//! Native stages: chains of Rust nodes, run on the thread that drives the session.

use std::sync::Arc;
use std::time::Instant;

use ipc_protocol::from_worker::NodeUsage;
use ipc_protocol::{FaultKind, Value};
use nodes::ParamProblem;
use nodes::node::Node;
use nodes::{NodeError, NodeErrorKind, panics};

use super::heard::Heard;
use crate::error::Error;
use crate::failure::{Kept, NodeFailure};
use crate::metrics::probe::NativeProbe;
use crate::options::{OpenOptions, Opener};
use crate::plan::PlannedNode;
use crate::schedule::Work;

/// The nodes of one native stage.
pub(super) struct NativeStage {
    nodes: Vec<NativeNode>,
}

struct NativeNode {
    planned: PlannedNode,
    node: Box<dyn Node>,
    usage: NodeUsage,
    /// Its calls, if failing items are captured.
    heard: Option<Heard>,
    opener: Option<Arc<dyn Opener>>,
}

/// The result of a call of a native stage.
pub(super) struct NativeOutcome {
    pub(super) usage: Vec<NodeUsage>,
    pub(super) failure: Option<Box<NodeFailure>>,
    /// What users must know, with the id of the node.
    pub(super) notices: Vec<(String, String)>,
}

impl std::fmt::Debug for NativeStage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.nodes.iter().map(|node| &node.planned.id)).finish()
    }
}

impl NativeStage {
    /// Makes the nodes of a stage.
    ///
    ///
    /// # Errors
    /// When one of them rejects its parameters.
    pub(super) fn new(nodes: &[PlannedNode], options: &OpenOptions) -> Result<Self, Error> {
        let make = |planned: &PlannedNode| {
            let node = build(planned)?;
            let (planned, usage) = (planned.clone(), NodeUsage::default());
            let terms = options.capture.as_ref();
            let heard = terms.map(|terms| Heard::new(is_streaming(&planned), terms.max_bytes));
            Ok(NativeNode { planned, node, usage, heard, opener: options.opener.clone() })
        };
        Ok(Self { nodes: nodes.iter().map(make).collect::<Result<_, Error>>()? })
    }

    /// Runs one call depth first: each output of a node goes through the rest of the chain before
    /// the node goes on.
    pub(super) fn run(&mut self, work: Work<Value>, emit: &mut dyn FnMut(Value)) -> NativeOutcome {
        let result = match work {
            Work::Item(value) => process(&mut self.nodes, value, emit),
            Work::Zip(values) => process(&mut self.nodes, Value::Tuple(values), emit),
            Work::Start => process(&mut self.nodes, Value::None, emit),
            Work::Flush => self.flush(emit),
        };
        let usage = self.nodes.iter_mut().map(|node| std::mem::take(&mut node.usage)).collect();
        let notices = self
            .nodes
            .iter_mut()
            .filter_map(|node| node.node.take_notice().map(|text| (node.planned.id.clone(), text)));
        NativeOutcome { usage, failure: result.err(), notices: notices.collect() }
    }

    /// Flushes node by node: what one node gives passes through the nodes behind it before they are
    /// flushed.
    fn flush(&mut self, emit: &mut dyn FnMut(Value)) -> Result<(), Box<NodeFailure>> {
        for first in 0..self.nodes.len() {
            step(&mut self.nodes[first..], FaultKind::Flush, None, emit)?;
        }
        Ok(())
    }
}

fn process(
    chain: &mut [NativeNode],
    value: Value,
    emit: &mut dyn FnMut(Value),
) -> Result<(), Box<NodeFailure>> {
    if chain.is_empty() {
        emit(value);
        return Ok(());
    }
    step(chain, FaultKind::Process, Some(value), emit)
}

/// Calls the first node of a chain; its outputs go through the rest of the chain.
fn step(
    chain: &mut [NativeNode],
    operation: FaultKind,
    value: Option<Value>,
    emit: &mut dyn FnMut(Value),
) -> Result<(), Box<NodeFailure>> {
    let Some((first, rest)) = chain.split_first_mut() else { return Ok(()) };
    let mut below = Ok(());
    let mut below_ns = 0;
    if let Some(heard) = &mut first.heard {
        heard.begin(value.as_ref());
    }
    let probe = NativeProbe::start();
    let mut pass_on = |output: Value| {
        if rest.is_empty() {
            // Reading the clock twice costs more than to hand the output over.
            if !matches!(output, Value::None) {
                emit(output);
            }
            return;
        }
        let entered = Instant::now();
        if below.is_ok() && !matches!(output, Value::None) {
            below = process(rest, output, emit);
        }
        below_ns += nanoseconds(entered);
    };
    let opener = first.opener.as_deref();
    let result = panics::catch(|| match value {
        Some(value) => process_plain(first.node.as_mut(), value, opener, &mut pass_on),
        None => first.node.flush(&mut pass_on),
    });
    let result = result.unwrap_or_else(|panic| {
        // A panic may leave the node in any state, so a new one takes its place.
        if let Ok(fresh) = build(&first.planned) {
            first.node = fresh;
        }
        Err(NodeError::from(NodeErrorKind::Panicked(panic)))
    });
    let mut kept = None;
    if let Some(heard) = &mut first.heard {
        let failed = result.is_err().then(|| heard.failed(operation));
        kept = failed.map(|failed| Kept::Call(Box::new(failed)));
        heard.end();
    }
    let mut cost = probe.finish(result.is_err());
    cost.busy_ns = cost.busy_ns.saturating_sub(below_ns);
    if operation == FaultKind::Flush {
        // The metrics count calls of `process`; a flush only adds to the time.
        cost.calls = 0;
    }
    add(&mut first.usage, &cost);
    if let Err(error) = result {
        return Err(Box::new(NodeFailure {
            node_id: first.planned.id.clone(),
            operation,
            remote_type: error.type_name().to_owned(),
            message: error.to_string(),
            traceback: String::new(),
            import: None,
            detail: None,
            advice: None,
            tries: 1,
            kept,
            described: String::new(),
        }));
    }
    below
}

/// Has a node process an item. One that it refuses is given again with plain arrays, if it has others.
fn process_plain(
    node: &mut dyn Node,
    value: Value,
    opener: Option<&dyn Opener>,
    emit: &mut dyn FnMut(Value),
) -> Result<(), NodeError> {
    let opener = opener.filter(|_| value.has_opaque_part());
    let Some(opener) = opener else { return node.process(value, emit) };
    let mut has_given = false;
    let refused = node.process(value.clone(), &mut |output| {
        has_given = true;
        emit(output);
    });
    let Err(error) = refused else { return Ok(()) };
    match opener.plain(value) {
        Ok(Some(plain)) if !has_given => node.process(plain, emit),
        Ok(_) => Err(error),
        Err(told) => Err(NodeErrorKind::NoPlainForm { told }.into()),
    }
}

/// Adds the cost of one call of a node. In one call of the stage there may be several.
fn add(usage: &mut NodeUsage, cost: &NodeUsage) {
    usage.calls += cost.calls;
    usage.errors += cost.errors;
    usage.busy_ns += cost.busy_ns;
    usage.peak_memory_bytes = usage.peak_memory_bytes.max(cost.peak_memory_bytes);
    usage.peak_delta_bytes = usage.peak_delta_bytes.max(cost.peak_delta_bytes);
}

fn nanoseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// Whether a node takes its items as pieces of one stream, and keeps something from one to the next.
fn is_streaming(node: &PlannedNode) -> bool {
    node.params.get("streaming").and_then(serde_json::Value::as_bool) == Some(true)
}

/// Makes a native node. Parsing a manifest has made these checks already; a manifest that was built
/// in code may fail them.
fn build(node: &PlannedNode) -> Result<Box<dyn Node>, Error> {
    let failed = |problems: Vec<ParamProblem>| Error::Params {
        node_id: node.id.clone(),
        problems: problems.iter().map(ToString::to_string).collect(),
    };
    let Some(node_type) = nodes::registry::builtin().get(&node.node_type) else {
        return Err(failed(Vec::new()));
    };
    let params = node_type.check_params(&node.params).map_err(failed)?;
    (node_type.build)(&params).map_err(|problem| failed(vec![problem]))
}

#[cfg(test)]
mod tests {
    use nodes::node::Emit;

    use super::*;
    use crate::graph::Graph;
    use crate::model::Manifest;
    use crate::plan::{Plan, PlanOptions};

    struct Panics;

    impl Node for Panics {
        fn process(&mut self, _: Value, emit: Emit<'_>) -> Result<(), NodeError> {
            emit(Value::Int(1.into()));
            panic!("no sound")
        }
    }

    #[test]
    fn a_panic_is_the_error_of_its_node_and_the_next_call_finds_a_fresh_one() {
        // spec: CARD-02
        let node = r#"{"id": "a", "node_type": "PassThroughNode"}"#;
        let text = format!(r#"{{"version": "v1", "nodes": [{node}], "connections": []}}"#);
        let graph = Graph::new(&Manifest::parse(&text).unwrap()).unwrap();
        let plan = Plan::new(&graph, &PlanOptions::default()).unwrap();
        let mut stage = NativeStage::new(&plan.stages[0].nodes, &OpenOptions::default()).unwrap();
        stage.nodes[0].node = Box::new(Panics);
        let mut outputs = Vec::new();
        let call = |stage: &mut NativeStage, outputs: &mut Vec<Value>| {
            stage.run(Work::Item(Value::None), &mut |output| outputs.push(output)).failure
        };
        let failure = call(&mut stage, &mut outputs).unwrap();
        assert_eq!((failure.node_id.as_str(), failure.remote_type.as_str()), ("a", "RuntimeError"));
        assert!(failure.message.contains("no sound"), "{}", failure.message);
        assert!(failure.message.contains("native.rs:"), "{}", failure.message);
        assert_eq!(outputs.len(), 1, "what came before it");
        assert_eq!(call(&mut stage, &mut outputs), None);
    }
}
