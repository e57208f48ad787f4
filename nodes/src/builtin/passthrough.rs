//! PassThroughNode: gives every item on, untouched and uncopied.

use ipc_protocol::Value;

use crate::error::NodeError;
use crate::node::{Emit, Node, NodeType};

pub(super) static TYPE: NodeType = NodeType {
    name: "PassThroughNode",
    version: "1.0.0",
    summary: "Gives every item on unchanged.",
    aliases: &["PassThrough"],
    capabilities: &[],
    params: &[],
    exclusive: &[],
    build: |_| Ok(Box::new(PassThrough)),
};

struct PassThrough;

impl Node for PassThrough {
    fn process(&mut self, input: Value, emit: Emit<'_>) -> Result<(), NodeError> {
        emit(input);
        Ok(())
    }
}
