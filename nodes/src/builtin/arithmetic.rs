//! AddNode and MultiplyNode: one operation with a fixed number on numbers, lists of numbers and
//! arrays. The rules are in [`number`](super::number) and [`number_array`](super::number_array).
//!
//! NaN and infinity are numbers like others, and a float result may overflow to infinity, as in numpy.
//! An output has at most eight times the bytes of its input (int8 and a float make float64); an
//! integer grows by the bits of the parameter.

#[cfg(test)]
mod tests;

use ipc_protocol::Value;

use super::audio_item::mismatch;
use super::number::{self, Operation};
use super::number_array::{self, ArrayOperation};
use crate::error::NodeError;
use crate::node::{Emit, Node, NodeType};
use crate::params::{Number, ParamDefault, ParamKind, ParamSpec};

pub(super) static ADD: NodeType = NodeType {
    name: "AddNode",
    version: "1.0.0",
    summary: "Adds a number to a number, to each number of a list, or to each element of an array.",
    aliases: &[],
    capabilities: &[],
    params: &[ParamSpec {
        name: "addend",
        aliases: &[],
        kind: ParamKind::Number,
        default: ParamDefault::Float(0.0),
        range: None,
        unit: "",
        doc: "The number to add; an int plus an int stays an int.",
    }],
    exclusive: &[],
    build: |params| Ok(Box::new(Arithmetic::Add(params.number("addend")?))),
};

pub(super) static MULTIPLY: NodeType = NodeType {
    name: "MultiplyNode",
    version: "1.0.0",
    summary: "Multiplies a number, each number of a list, or each element of an array.",
    aliases: &[],
    capabilities: &[],
    params: &[ParamSpec {
        name: "factor",
        aliases: &["multiplier"],
        kind: ParamKind::Number,
        default: ParamDefault::Float(2.0),
        range: None,
        unit: "",
        doc: "The number to multiply by; an int times an int stays an int.",
    }],
    exclusive: &[],
    build: |params| Ok(Box::new(Arithmetic::Multiply(params.number("factor")?))),
};

enum Arithmetic {
    Add(Number),
    Multiply(Number),
}

impl Node for Arithmetic {
    fn process(&mut self, input: Value, emit: Emit<'_>) -> Result<(), NodeError> {
        let output = match input {
            Value::Array(array) => {
                let (operation, number) = match self {
                    Self::Add(number) => (ArrayOperation::Add, number),
                    Self::Multiply(number) => (ArrayOperation::Multiply, number),
                };
                Value::Array(number_array::apply(operation, &array, number)?)
            }
            Value::List(items) => {
                Value::List(items.iter().map(|item| self.number(item)).collect::<Result<_, _>>()?)
            }
            other => self.number(&other)?,
        };
        emit(output);
        Ok(())
    }
}

impl Arithmetic {
    fn number(&self, value: &Value) -> Result<Value, NodeError> {
        let given = number::from_value(value)
            .ok_or_else(|| mismatch("a number, a list of numbers or a numpy array", value))?;
        let result = match self {
            Self::Add(number) => Operation::Add.apply(&given, number),
            Self::Multiply(number) => Operation::Multiply.apply(&given, number),
        };
        result.map(number::to_value)
    }
}
