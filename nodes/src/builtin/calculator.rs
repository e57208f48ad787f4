//! CalculatorNode: arithmetic on two numbers, in the three forms that pipelines use.
//!
//! | item | output |
//! |---|---|
//! | a number | `number operation operand`, with the parameters `operation` and `operand` |
//! | `{operation, args: [a, b]}` | `{operation, args, result, processed_by, node_config}`; when it cannot be computed, `error` in the place of `result` |
//! | `{operation, operands: [a, b]}` | `{result, operation, operands}`; when it cannot be computed, an error |
//!
//! NaN and infinity are computed with as Python does. Integers have at most a million bits, inputs
//! and results of `power`.

#[cfg(test)]
mod tests;

use ipc_protocol::Value;
use serde_json::{Map, Value as Json};

use super::audio_item::{brief, mismatch};
use super::number::{self, OPERATIONS, Operation};
use crate::error::{NodeError, NodeErrorKind};
use crate::node::{Emit, Node, NodeType};
use crate::params::{
    Number, ParamDefault, ParamKind, ParamProblem, ParamSpec, Params, read_number,
};

pub(super) static TYPE: NodeType = NodeType {
    name: "CalculatorNode",
    version: "1.0.0",
    summary: "Computes with two numbers: a number and the operand, or the two of a dict.",
    aliases: &[],
    capabilities: &[],
    params: &[
        ParamSpec {
            name: "operation",
            aliases: &[],
            kind: ParamKind::Choice(OPERATIONS),
            default: ParamDefault::Text("add"),
            range: None,
            unit: "",
            doc: "What to do with a number; a dict names its own operation. Integers have up to \
                  1,000,000 bits.",
        },
        ParamSpec {
            name: "operand",
            aliases: &[],
            kind: ParamKind::Number,
            default: ParamDefault::Int(0),
            range: None,
            unit: "",
            doc: "The second number, for items that are a number.",
        },
    ],
    exclusive: &[],
    build,
};

fn build(params: &Params) -> Result<Box<dyn Node>, ParamProblem> {
    let name = params.text("operation")?;
    Ok(Box::new(Calculator {
        // The name is one of the choices, so it exists.
        operation: Operation::from_name(name).unwrap_or(Operation::Add),
        operand: params.number("operand")?,
        config: config(params.given()),
    }))
}

struct Calculator {
    operation: Operation,
    operand: Number,
    /// The given parameters, for the key `node_config` of the output.
    config: Value,
}

const EXPECTED: &str =
    "a number, or a dict with 'operation' and 'args' or 'operands' (two numbers)";

impl Node for Calculator {
    fn process(&mut self, input: Value, emit: Emit<'_>) -> Result<(), NodeError> {
        let output = match (&input, input.get("args"), input.get("operands")) {
            (Value::Dict(_), Some(args), _) => self.with_args(input.get("operation"), args),
            (Value::Dict(_), None, Some(operands)) => {
                let operation = name_of(input.get("operation"))?;
                let result = compute(operation, operands)?;
                dict([
                    ("result", result),
                    ("operation", Value::from(operation)),
                    ("operands", operands.clone()),
                ])
            }
            (Value::Dict(_), None, None) => {
                let needed = "'operation' and 'args' or 'operands'";
                return Err(NodeErrorKind::MissingKey { key: "args", needed }.into());
            }
            (number, ..) => {
                let given = number::from_value(number).ok_or_else(|| mismatch(EXPECTED, number))?;
                number::to_value(self.operation.apply(&given, &self.operand)?)
            }
        };
        emit(output);
        Ok(())
    }
}

impl Calculator {
    /// Computes the form with `args`, which never fails: an error becomes the key `error` of the
    /// output.
    fn with_args(&self, operation: Option<&Value>, args: &Value) -> Value {
        let outcome = name_of(operation).and_then(|name| compute(name, args));
        let (key, value) = match outcome {
            Ok(result) => ("result", result),
            Err(error) => ("error", Value::Str(error.to_string())),
        };
        dict([
            ("operation", operation.cloned().unwrap_or_default()),
            ("args", args.clone()),
            (key, value),
            ("processed_by", Value::from("CalculatorNode")),
            ("node_config", self.config.clone()),
        ])
    }
}

fn name_of(operation: Option<&Value>) -> Result<&str, NodeError> {
    match operation {
        Some(Value::Str(name)) => Ok(name),
        Some(other) => Err(mismatch("'operation' to be a string", other)),
        None => Err(NodeErrorKind::MissingKey {
            key: "operation",
            needed: "'operation' and 'args' or 'operands'",
        }
        .into()),
    }
}

fn compute(operation: &str, numbers: &Value) -> Result<Value, NodeError> {
    let operation = Operation::from_name(operation)?;
    let (Value::List(pair) | Value::Tuple(pair)) = numbers else {
        return Err(mismatch("a list of two numbers", numbers));
    };
    let [a, b] = pair.as_slice() else {
        return Err(NodeErrorKind::BadValue {
            what: "the list of numbers",
            expected: "of length 2".to_owned(),
            got: format!("length {}", pair.len()),
        }
        .into());
    };
    let number = |value: &Value| {
        number::from_value(value).ok_or_else(|| {
            NodeError::from(NodeErrorKind::TypeMismatch {
                expected: "two numbers",
                got: brief(value),
            })
        })
    };
    operation.apply(&number(a)?, &number(b)?).map(number::to_value)
}

fn dict<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::Dict(entries.into_iter().map(|(key, value)| (Value::from(key), value)).collect())
}

fn config(given: &Map<String, Json>) -> Value {
    let value = |json: &Json| match json {
        Json::Number(n) => read_number(n).map(number::to_value).unwrap_or_default(),
        Json::String(text) => Value::Str(text.clone()),
        _ => Value::None,
    };
    Value::Dict(given.iter().map(|(key, json)| (Value::from(key.as_str()), value(json))).collect())
}
