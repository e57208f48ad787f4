//! PassThroughNode: gives every item on, untouched and uncopied. It takes any item.

use ipc_protocol::Value;

use crate::error::NodeError;
use crate::node::{Emit, Node, NodeType};

pub(super) static TYPE: NodeType = NodeType {
    name: "PassThroughNode",
    version: "1.0.0",
    summary: "Passes every item on unchanged.",
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

#[cfg(test)]
mod tests {
    use super::{Node, PassThrough, Value};

    #[test]
    fn every_item_comes_out_as_it_went_in() {
        let bytes = bytes::Bytes::from(vec![1, 2, 3]);
        let address = bytes.as_ptr();
        let item = Value::List(vec![Value::Int(1), Value::None, Value::Bytes(bytes.into())]);
        let mut out = Vec::new();
        PassThrough.process(item.clone(), &mut |value| out.push(value)).unwrap();
        assert_eq!(out, [item]);
        let Value::List(items) = &out[0] else { panic!() };
        let Value::Bytes(bytes) = &items[2] else { panic!() };
        assert_eq!(bytes.as_slice().as_ptr(), address);
    }
}
