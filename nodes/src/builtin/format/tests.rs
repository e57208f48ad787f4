//! Tests of FormatConverterNode.

use ipc_protocol::{Array, Dtype, Order, Value};
use serde_json::json;

use crate::builtin::samples::{self, Element};
use crate::node::Node;
use crate::registry;

fn node(target: &str) -> Box<dyn Node> {
    let node_type = registry::builtin().get("FormatConverterNode").unwrap();
    let params = json!({"target_format": target});
    (node_type.build)(&node_type.check_params(params.as_object().unwrap()).unwrap()).unwrap()
}

fn convert(target: &str, input: Value) -> Value {
    let mut out = Vec::new();
    node(target).process(input, &mut |value| out.push(value)).unwrap();
    assert_eq!(out.len(), 1);
    out.remove(0)
}

fn array<T: bytemuck::NoUninit + Send + 'static>(items: Vec<T>, element: Element) -> Value {
    let shape = vec![items.len() as u64];
    Value::Array(samples::array_of(items, element, shape, Order::C))
}

fn items<T: bytemuck::Pod>(value: &Value) -> Vec<T> {
    let Value::Array(array) = value else { panic!("not an array: {value:?}") };
    samples::elements::<T>(array, false).unwrap().into_owned()
}

// spec: NRA-07
#[test]
fn i16_becomes_f32_between_minus_one_and_one() {
    let out = convert("f32", array(vec![0_i16, 16_384, -32_768, 32_767], Element::I16));
    assert_eq!(items::<f32>(&out), [0.0, 0.5, -1.0, 32_767.0 / 32_768.0]);
    let Value::Array(array) = out else { panic!() };
    assert_eq!(array.dtype, Dtype { descr: "<f4".into(), item_bytes: 4 });
}

#[test]
fn i32_becomes_f32_between_minus_one_and_one() {
    let out = convert("f32", array(vec![0, 1 << 30, i32::MIN, i32::MAX], Element::I32));
    assert_eq!(items::<f32>(&out), [0.0, 0.5, -1.0, 1.0]);
}

#[test]
fn floats_are_rounded_and_clipped() {
    let floats = vec![0.0_f32, 0.5, -1.0, 1.0, 7.0, -7.0, 1.4 / 32_768.0, 1.6 / 32_768.0, f32::NAN];
    let out = convert("i16", array(floats, Element::F32));
    assert_eq!(items::<i16>(&out), [0, 16_384, -32_768, 32_767, 32_767, -32_768, 1, 2, 0]);
    let out = convert("i32", array(vec![0.5_f32, -1.0, 1.0, 2.0], Element::F32));
    assert_eq!(items::<i32>(&out), [1 << 30, i32::MIN, i32::MAX, i32::MAX]);
    let out = convert("f32", array(vec![0.25_f64, -3.0], Element::F64));
    assert_eq!(items::<f32>(&out), [0.25, -3.0]);
}

#[test]
fn integers_change_their_width() {
    let out = convert("i32", array(vec![1_i16, -32_768, 32_767], Element::I16));
    assert_eq!(items::<i32>(&out), [65_536, i32::MIN, 32_767 << 16]);
    let out = convert("i16", array(vec![65_536, 32_767, 32_768, i32::MIN, i32::MAX], Element::I32));
    assert_eq!(items::<i16>(&out), [1, 0, 1, -32_768, 32_767]);
}

#[test]
fn every_i16_survives_the_way_through_floats_and_i32() {
    let all: Vec<i16> = (i16::MIN..=i16::MAX).collect();
    for format in ["f32", "i32"] {
        let there = convert(format, array(all.clone(), Element::I16));
        assert_eq!(items::<i16>(&convert("i16", there)), all);
    }
}

// spec: NRA-07 NRA-15
#[test]
fn the_same_format_is_the_same_memory() {
    for (target, value) in [
        ("f32", array(vec![0.5_f32; 9], Element::F32)),
        ("i16", array(vec![5_i16; 9], Element::I16)),
        ("i32", array(vec![5_i32; 9], Element::I32)),
    ] {
        let address = |value: &Value| {
            let Value::Array(array) = value else { panic!() };
            array.data.as_slice().as_ptr()
        };
        let before = address(&value);
        assert_eq!(address(&convert(target, value)), before);
    }
}

#[test]
fn foreign_byte_order_is_read() {
    let data: Vec<u8> = [0x40_u8, 0x00, 0x80, 0x00].to_vec();
    let dtype = Dtype { descr: ">i2".into(), item_bytes: 2 };
    let big = Array { dtype, shape: vec![2], order: Order::C, scalar: false, data: data.into() };
    assert_eq!(items::<f32>(&convert("f32", Value::Array(big.clone()))), [0.5, -1.0]);
    let out = convert("i16", Value::Array(big));
    assert_eq!(items::<i16>(&out), [16_384, -32_768]);
    let Value::Array(array) = out else { panic!() };
    assert_eq!(array.dtype.descr, "<i2");
}

#[test]
fn unaligned_memory_is_read() {
    let mut bytes = vec![0_u8];
    bytes.extend_from_slice(bytemuck::cast_slice(&[0.25_f32, -0.5, 1.0]));
    let data = bytes::Bytes::from(bytes).slice(1..);
    let dtype = Dtype { descr: "<f4".into(), item_bytes: 4 };
    let array = Array { dtype, shape: vec![3], order: Order::C, scalar: false, data: data.into() };
    assert_eq!(items::<i16>(&convert("i16", Value::Array(array))), [8_192, -16_384, 32_767]);
}

#[test]
fn shape_order_and_rate_stay() {
    let fortran =
        samples::array_of(vec![1_i16, 2, 3, 4, 5, 6], Element::I16, vec![2, 3], Order::Fortran);
    let item = Value::Tuple(vec![Value::Array(fortran), Value::Int(44_100)]);
    let Value::Tuple(parts) = convert("i32", item) else { panic!() };
    let Value::Array(array) = &parts[0] else { panic!() };
    assert_eq!((array.shape.as_slice(), array.order), ([2, 3].as_slice(), Order::Fortran));
    assert_eq!(items::<i32>(&parts[0])[5], 6 << 16);
    assert_eq!(parts[1], Value::Int(44_100));
}

#[test]
fn dicts_name_their_format() {
    let item = Value::Dict(vec![
        (Value::from("data"), Value::List(vec![Value::Int(16_384), Value::Int(-32_768)])),
        (Value::from("sample_rate"), Value::Int(8_000)),
        (Value::from("format"), Value::from("I16")),
    ]);
    let out = convert("f32", item);
    assert_eq!(out.get("format"), Some(&Value::from("f32")));
    assert_eq!(out.get("data"), Some(&Value::List(vec![Value::Float(0.5), Value::Float(-1.0)])));
}

#[test]
fn other_dtypes_are_named() {
    let dtype = Dtype { descr: "<u2".into(), item_bytes: 2 };
    let array =
        Array { dtype, shape: vec![1], order: Order::C, scalar: false, data: vec![0, 0].into() };
    let error = node("f32").process(Value::Array(array), &mut |_| panic!()).unwrap_err();
    assert_eq!(error.type_name(), "ValueError");
    assert!(error.to_string().contains("uint16") && error.to_string().contains("int16"));
}

#[test]
fn memory_that_does_not_fit_the_shape_is_refused() {
    let Value::Array(mut array) = array(vec![0_i16; 4], Element::I16) else { panic!() };
    array.shape = vec![5];
    let error = node("f32").process(Value::Array(array), &mut |_| panic!()).unwrap_err();
    assert!(error.to_string().contains("8 bytes"), "{error}");
}
