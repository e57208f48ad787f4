//! Tests of AddNode and MultiplyNode.

use ipc_protocol::{Array, Dtype, Order, Value};
use num_bigint::BigInt;
use serde_json::json;

use crate::builtin::samples;
use crate::node::Node;
use crate::{NodeError, registry};

fn node(name: &str, params: serde_json::Value) -> Box<dyn Node> {
    let node_type = registry::builtin().get(name).unwrap();
    (node_type.build)(&node_type.check_params(params.as_object().unwrap()).unwrap()).unwrap()
}

fn run(name: &str, params: serde_json::Value, input: Value) -> Result<Value, NodeError> {
    let mut out = Vec::new();
    node(name, params).process(input, &mut |value| out.push(value))?;
    assert_eq!(out.len(), 1);
    Ok(out.remove(0))
}

fn array<T: bytemuck::Pod + Send + Sync>(descr: &str, items: Vec<T>) -> Value {
    Value::Array(Array {
        dtype: Dtype { descr: descr.into(), item_bytes: u32::try_from(size_of::<T>()).unwrap() },
        shape: vec![items.len() as u64],
        order: Order::C,
        scalar: false,
        data: samples::payload_of(items),
    })
}

#[test]
fn ints_stay_ints_and_floats_floats() {
    let multiply = |params, input| run("MultiplyNode", params, input).unwrap();
    assert_eq!(multiply(json!({"factor": 3}), Value::Int(2)), Value::Int(6));
    assert_eq!(multiply(json!({"multiplier": 3.0}), Value::Int(2)), Value::Float(6.0));
    assert_eq!(multiply(json!({}), Value::Int(2)), Value::Float(4.0));
    assert_eq!(multiply(json!({"factor": 3}), Value::Float(0.5)), Value::Float(1.5));
    let add = |params, input| run("AddNode", params, input).unwrap();
    assert_eq!(add(json!({"addend": 3}), Value::Int(2)), Value::Int(5));
    assert_eq!(add(json!({}), Value::Int(2)), Value::Float(2.0));
    assert_eq!(add(json!({"addend": 1.5}), Value::Float(2.0)), Value::Float(3.5));
}

#[test]
fn ints_are_exact_at_any_size() {
    let big = Value::BigInt(BigInt::from(i64::MAX) + 1);
    assert_eq!(run("AddNode", json!({"addend": 1}), Value::Int(i64::MAX)).unwrap(), big);
    assert_eq!(run("AddNode", json!({"addend": -1}), big.clone()).unwrap(), Value::Int(i64::MAX));
    let Value::BigInt(square) =
        run("MultiplyNode", json!({"factor": u64::MAX}), Value::Int(i64::MAX)).unwrap()
    else {
        panic!("not a big int")
    };
    assert_eq!(square, BigInt::from(u64::MAX) * BigInt::from(i64::MAX));
}

#[test]
fn lists_are_taken_element_by_element() {
    let list = Value::List(vec![Value::Int(1), Value::Float(0.5)]);
    let out = run("MultiplyNode", json!({"factor": 4}), list).unwrap();
    assert_eq!(out, Value::List(vec![Value::Int(4), Value::Float(2.0)]));
}

#[test]
fn float_arrays_keep_their_dtype() {
    let out = run("MultiplyNode", json!({}), array("<f4", vec![1.5_f32, -2.0])).unwrap();
    assert_eq!(out, array("<f4", vec![3.0_f32, -4.0]));
    let out = run("AddNode", json!({"addend": 1}), array("<f8", vec![0.5_f64])).unwrap();
    assert_eq!(out, array("<f8", vec![1.5_f64]));
}

#[test]
fn integer_arrays_follow_numpy() {
    let add = |params, input| run("AddNode", params, input).unwrap();
    assert_eq!(
        add(json!({"addend": 2}), array("<i2", vec![1_i16, i16::MAX])),
        array("<i2", vec![3_i16, i16::MIN + 1])
    );
    assert_eq!(
        add(json!({"addend": 0.5}), array("<i4", vec![1_i32, -1])),
        array("<f8", vec![1.5_f64, -0.5])
    );
    assert_eq!(
        run("MultiplyNode", json!({"factor": 2}), array("|u1", vec![200_u8])).unwrap(),
        array("|u1", vec![144_u8])
    );
    assert_eq!(
        add(json!({"addend": 1}), array(">i8", vec![i64::from(5).swap_bytes()])),
        array("<i8", vec![6_i64])
    );
    let error = run("AddNode", json!({"addend": 300}), array("|u1", vec![1_u8])).unwrap_err();
    assert_eq!(error.type_name(), "OverflowError");
    assert!(error.to_string().contains("300") && error.to_string().contains("uint8"));
}

#[test]
fn numpy_scalars_stay_scalars() {
    let Value::Array(one) = array("<f4", vec![3.0_f32]) else { panic!() };
    let scalar = Array { shape: Vec::new(), scalar: true, ..one };
    let out = run("MultiplyNode", json!({}), Value::Array(scalar)).unwrap();
    let Value::Array(out) = out else { panic!() };
    assert!(out.scalar && out.shape.is_empty());
    assert_eq!(samples::elements::<f32>(&out, false).unwrap().as_ref(), [6.0]);
}

#[test]
fn what_is_no_number_is_refused() {
    for value in [
        Value::Bool(true),
        Value::from("2"),
        Value::None,
        Value::List(vec![Value::Int(1), Value::from("x")]),
    ] {
        let error = run("MultiplyNode", json!({}), value).unwrap_err();
        assert_eq!(error.type_name(), "TypeError");
        assert!(error.to_string().contains("a number"), "{error}");
    }
    let error = run("AddNode", json!({}), array("<c8", vec![0_u64])).unwrap_err();
    assert!(error.to_string().contains("complex64"), "{error}");
}
