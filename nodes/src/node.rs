//! The trait of native nodes, and the description of a node type. [`crate::params`] checks the
//! parameters; the orchestrator decides when a node runs.

use ipc_protocol::Value;
use serde_json::{Map, Value as Json};

use crate::error::NodeError;
use crate::params::{self, ParamProblem, ParamSpec, Params};

/// Function that takes a node's outputs, in order.
pub type Emit<'a> = &'a mut dyn FnMut(Value);

/// One instance of a native node. It lives as long as its session and gets its items in order.
pub trait Node: Send {
    /// Processes one item and emits any number of outputs.
    ///
    /// # Errors
    /// The item cannot be processed. Outputs emitted before the error remain valid, and the node
    /// can take the next item.
    fn process(&mut self, input: Value, emit: Emit<'_>) -> Result<(), NodeError>;

    /// Emits the outputs that the node still holds back, and resets it: the next item starts a new
    /// stream.
    ///
    /// # Errors
    /// The data that the node held back cannot become outputs; it is dropped.
    fn flush(&mut self, _emit: Emit<'_>) -> Result<(), NodeError> {
        Ok(())
    }

    /// What the user must know about the calls so far, once; the caller shows it as a warning.
    fn take_notice(&mut self) -> Option<String> {
        None
    }
}

/// A kind of node: its names, its parameters and how to make one.
#[derive(Debug, Clone, Copy)]
pub struct NodeType {
    /// The name used in manifests.
    pub name: &'static str,
    /// Version of the node's behaviour, `major.minor.patch`.
    pub version: &'static str,
    /// One sentence that describes the node to users.
    pub summary: &'static str,
    /// Further names under which the same node is found.
    pub aliases: &'static [&'static str],
    /// What the node needs or offers, in lower case (`audio`).
    pub capabilities: &'static [&'static str],
    /// Every parameter that the node accepts.
    pub params: &'static [ParamSpec],
    /// Pairs of canonical parameter names of which at most one may be given.
    pub exclusive: &'static [(&'static str, &'static str)],
    /// Makes an instance from checked parameters.
    pub build: fn(&Params) -> Result<Box<dyn Node>, ParamProblem>,
}

impl NodeType {
    /// Checks `given` against the parameters of this type and fills in the defaults. A JSON `null`
    /// means that the parameter is not given.
    ///
    /// # Errors
    /// Every problem found: unknown names, wrong types, values out of range, a parameter given under
    /// two names, two parameters that exclude each other.
    pub fn check_params(&self, given: &Map<String, Json>) -> Result<Params, Vec<ParamProblem>> {
        params::check(self.name, self.params, self.exclusive, given)
    }
}
