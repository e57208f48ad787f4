//! Tests of CalculatorNode.

use ipc_protocol::Value;
use num_bigint::BigInt;
use serde_json::json;

use crate::node::Node;
use crate::{NodeError, NodeErrorKind, registry};

fn node(params: serde_json::Value) -> Box<dyn Node> {
    let node_type = registry::builtin().get("CalculatorNode").unwrap();
    (node_type.build)(&node_type.check_params(params.as_object().unwrap()).unwrap()).unwrap()
}

fn run(params: serde_json::Value, input: Value) -> Result<Value, NodeError> {
    let mut out = Vec::new();
    node(params).process(input, &mut |value| out.push(value))?;
    Ok(out.remove(0))
}

fn on_number(operation: &str, number: Value, operand: serde_json::Value) -> Value {
    run(json!({"operation": operation, "operand": operand}), number).unwrap()
}

fn request(operation: &str, key: &str, numbers: [Value; 2]) -> Value {
    Value::Dict(vec![
        (Value::from("operation"), Value::from(operation)),
        (Value::from(key), Value::List(numbers.to_vec())),
    ])
}

#[test]
fn numbers_follow_python() {
    let int = Value::Int;
    let float = Value::Float;
    assert_eq!(on_number("add", int(2), json!(3)), int(5));
    assert_eq!(on_number("Subtract", int(2), json!(3)), int(-1));
    assert_eq!(on_number("multiply", int(2), json!(1.5)), float(3.0));
    assert_eq!(on_number("divide", int(7), json!(2)), float(3.5));
    assert_eq!(on_number("divide", int(6), json!(2)), float(3.0));
    assert_eq!(on_number("modulo", int(-7), json!(3)), int(2));
    assert_eq!(on_number("modulo", int(7), json!(-3)), int(-2));
    assert_eq!(on_number("modulo", float(-7.5), json!(3)), float(1.5));
    assert_eq!(on_number("power", int(2), json!(10)), int(1024));
    assert_eq!(on_number("power", int(2), json!(-1)), float(0.5));
    assert_eq!(on_number("power", int(-1), json!(10_000_000_001_u64)), int(-1));
    let wanted = BigInt::from(10).pow(30);
    assert_eq!(on_number("power", int(10), json!(30)), Value::BigInt(wanted));
    assert_eq!(run(json!({}), int(4)).unwrap(), int(4));
}

#[test]
fn true_division_is_right_for_ints_beyond_floats() {
    let big = |exponent| Value::BigInt(BigInt::from(10).pow(exponent));
    let divide = |a, b| {
        let out = run(json!({}), request("divide", "operands", [a, b])).unwrap();
        out.get("result").cloned().unwrap()
    };
    assert_eq!(divide(big(400), big(399)), Value::Float(10.0));
    assert_eq!(divide(Value::Int(1), big(400)), Value::Float(0.0));
    assert_eq!(divide(Value::Int(-1), big(320)), Value::Float(-1e-320));
    assert_eq!(divide(Value::Int(1), Value::Int(3)), Value::Float(1.0 / 3.0));
    // A float cannot hold 2^53 + 1, but it can hold a third of it.
    let odd = 9_007_199_254_740_993_i64;
    assert_eq!(divide(Value::Int(odd), Value::Int(3)), Value::Float(3_002_399_751_580_331.0));
    let largest = Value::BigInt(BigInt::from(10).pow(307) * 17);
    assert_eq!(divide(largest, Value::Int(1)), Value::Float(1.7e308));
    let error = run(json!({}), request("divide", "operands", [big(400), Value::Int(1)]));
    assert_eq!(error.unwrap_err().type_name(), "OverflowError");
}

#[test]
fn errors_carry_pythons_types() {
    let fails = |operation, number, operand| {
        let params = json!({"operation": operation, "operand": operand});
        let error = run(params, number).unwrap_err();
        (error.type_name(), error.to_string())
    };
    let division = ("ZeroDivisionError", "Division by zero".to_owned());
    assert_eq!(fails("divide", Value::Int(1), json!(0)), division);
    assert_eq!(fails("modulo", Value::Float(1.0), json!(0.0)), division);
    assert_eq!(fails("power", Value::Int(0), json!(-1)).0, "ZeroDivisionError");
    assert_eq!(fails("power", Value::Float(10.0), json!(400)).0, "OverflowError");
    assert_eq!(fails("power", Value::Int(-8), json!(0.5)).0, "ValueError");
    assert_eq!(fails("add", Value::Bool(true), json!(1)).0, "TypeError");
    let (kind, text) = fails("power", Value::Int(10), json!(10_000_000));
    assert_eq!(kind, "OverflowError");
    assert!(text.contains("1000000 bits"), "{text}");
}

#[test]
fn dict_with_args_answers_as_the_python_node_does() {
    let item = request("add", "args", [Value::Int(2), Value::Int(3)]);
    let out = run(json!({"operand": 9}), item).unwrap();
    let Value::Dict(entries) = &out else { panic!() };
    let keys: Vec<&Value> = entries.iter().map(|(key, _)| key).collect();
    let wanted = ["operation", "args", "result", "processed_by", "node_config"].map(Value::from);
    assert_eq!(keys, wanted.iter().collect::<Vec<_>>());
    assert_eq!(out.get("result"), Some(&Value::Int(5)));
    assert_eq!(out.get("node_config").unwrap().get("operand"), Some(&Value::Int(9)));
    let failed = run(json!({}), request("divide", "args", [Value::Int(2), Value::Int(0)])).unwrap();
    assert_eq!(failed.get("error"), Some(&Value::from("Division by zero")));
    assert_eq!(failed.get("result"), None);
    let unknown = run(json!({}), request("sqrt", "args", [Value::Int(2), Value::Int(0)])).unwrap();
    let Some(Value::Str(text)) = unknown.get("error") else { panic!() };
    assert!(text.contains("sqrt") && text.contains("modulo"), "{text}");
}

#[test]
fn dict_with_operands_answers_briefly() {
    let item = request("multiply", "operands", [Value::Int(6), Value::Int(7)]);
    let out = run(json!({}), item).unwrap();
    let Value::Dict(entries) = &out else { panic!() };
    assert_eq!(entries[0], (Value::from("result"), Value::Int(42)));
    assert_eq!(entries[1], (Value::from("operation"), Value::from("multiply")));
    assert_eq!(entries.len(), 3);
    let error = run(json!({}), request("divide", "operands", [Value::Int(2), Value::Int(0)]));
    assert_eq!(error.unwrap_err().kind, NodeErrorKind::DivisionByZero);
    let error = run(json!({}), Value::Dict(Vec::new())).unwrap_err();
    assert!(error.to_string().contains("'args' or 'operands'"), "{error}");
}
