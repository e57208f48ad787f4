//! Tests of FormatConverterNode.

use ipc_protocol::{Array, Dtype, Order, Value};
use serde_json::{Value as Json, json};

use crate::builtin::samples::{self, Element};
use crate::node::Node;
use crate::registry;

fn node_with(params: Json) -> Box<dyn Node> {
    let node_type = registry::builtin().get("FormatConverterNode").unwrap();
    (node_type.build)(&node_type.check_params(params.as_object().unwrap()).unwrap()).unwrap()
}

fn node(target: &str) -> Box<dyn Node> {
    node_with(json!({"target_format": target}))
}

fn convert(target: &str, input: Value) -> Value {
    convert_with(json!({"target_format": target}), input)
}

fn convert_with(params: Json, input: Value) -> Value {
    let mut out = Vec::new();
    node_with(params).process(input, &mut |value| out.push(value)).unwrap();
    assert_eq!(out.len(), 1);
    out.remove(0)
}

fn array<T: bytemuck::Pod + Send + Sync>(items: Vec<T>, element: Element) -> Value {
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
    assert_eq!(items::<i16>(&out), [1, 0, 0, -32_768, 32_767]);
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

fn bytes(shape: &[u64], order: Order, data: Vec<u8>) -> Value {
    let dtype = Dtype { descr: "|u1".into(), item_bytes: 1 };
    Value::Array(Array { dtype, shape: shape.to_vec(), order, scalar: false, data: data.into() })
}

fn parts(value: &Value) -> (Vec<u64>, Order, &str, &[u8]) {
    let Value::Array(array) = value else { panic!("not an array: {value:?}") };
    (array.shape.clone(), array.order, &array.dtype.descr, array.data.as_slice())
}

// spec: NRA-07
#[test]
fn formats_of_bytes_are_arrays_of_uint8() {
    let floats = || array(vec![0.0_f32, 0.5, -1.0, 2.0], Element::F32);
    for (target, expected) in [
        ("u8", vec![128, 192, 0, 255]),
        ("alaw", vec![0xd5, 0xa5, 0x2a, 0xaa]),
        ("mulaw", vec![0xff, 0x8f, 0x00, 0x80]),
        ("i24", vec![0, 0, 0, 0, 0, 0x40, 0, 0, 0x80, 0xff, 0xff, 0x7f]),
    ] {
        let out = convert(target, floats());
        let (shape, _, descr, data) = parts(&out);
        assert_eq!((descr, data), ("|u1", expected.as_slice()), "{target}");
        assert_eq!(shape, [expected.len() as u64]);
        let params = json!({"target_format": "f32", "source_format": target});
        let back = items::<f32>(&convert_with(params, out));
        let step = if target == "i24" { 1e-6 } else { 0.02 };
        for (back, sample) in back.iter().zip([0.0, 0.5, -1.0, 1.0]) {
            assert!((back - sample).abs() < step, "{target}: {back} for {sample}");
        }
    }
    let doubles = convert("f64", floats());
    assert_eq!(items::<f64>(&doubles), [0.0, 0.5, -1.0, 2.0]);
    assert_eq!(parts(&doubles).2, "<f8");
    // uint8 without another word is 8-bit PCM.
    let out = convert("f32", bytes(&[3], Order::C, vec![0, 128, 255]));
    assert_eq!(items::<f32>(&out), [-1.0, 0.0, 127.0 / 128.0]);
}

// spec: NRA-15
#[test]
fn bytes_in_the_wanted_format_become_its_array_without_a_copy() {
    let samples: Vec<i16> = (0..64).map(|n| n * 500 - 16_000).collect();
    let raw = array(samples.clone(), Element::I16);
    let (_, _, _, data) = parts(&raw);
    let owned = bytes::Bytes::from_owner(bytemuck::cast_slice::<i16, u8>(&samples).to_vec());
    assert_eq!(owned.as_ref(), data);
    let place = owned.as_ptr();
    let dtype = Dtype { descr: "|u1".into(), item_bytes: 1 };
    let of = |data: bytes::Bytes, shape: Vec<u64>| {
        Value::Array(Array {
            dtype: dtype.clone(),
            shape,
            order: Order::C,
            scalar: false,
            data: data.into(),
        })
    };
    let params = || json!({"target_format": "i16", "source_format": "i16"});
    let out = convert_with(params(), of(owned.clone(), vec![2, 64]));
    assert_eq!(parts(&out).0, [2, 32]);
    assert_eq!((parts(&out).2, parts(&out).3.as_ptr()), ("<i2", place));
    assert_eq!(items::<i16>(&out), samples);
    // At an odd place they are copied.
    let odd = bytes::Bytes::from([&[0], data].concat()).slice(1..);
    let out = convert_with(params(), of(odd, vec![128]));
    assert_eq!(items::<i16>(&out), samples);
}

#[test]
fn bytes_that_are_no_whole_samples_are_refused() {
    let refused = |params: Json, value: Value| {
        node_with(params).process(value, &mut |_| panic!()).unwrap_err().to_string()
    };
    let error = refused(json!({"source_format": "i24"}), bytes(&[2, 4], Order::C, vec![0; 8]));
    assert!(
        error.contains("multiple of the 3 bytes of i24") && error.contains("[2, 4]"),
        "{error}"
    );
    let error = refused(json!({"source_format": "i24"}), array(vec![0_i16; 4], Element::I16));
    assert!(error.contains("i24 (source_format) or bytes") && error.contains("int16"), "{error}");
}

#[test]
fn channels_are_interleaved_and_separated() {
    let planar = || {
        let all = vec![1_i16, 2, 3, 10, 20, 30];
        Value::Array(samples::array_of(all, Element::I16, vec![2, 3], Order::C))
    };
    for target in ["i16", "i32", "f64", "i24", "u8"] {
        let back = |value: &Value| {
            let params = json!({"target_format": "f64", "source_format": target});
            let params = if ["i24", "u8"].contains(&target) {
                params
            } else {
                json!({"target_format": "f64"})
            };
            items::<f64>(&convert_with(params, value.clone()))
        };
        let plain = back(&convert(target, planar()));
        let interleaved =
            convert_with(json!({"target_format": target, "layout": "interleaved"}), planar());
        let width = if target == "i24" { 3 } else { 1 };
        assert_eq!(parts(&interleaved).0, [3, 2 * width], "{target}");
        assert_eq!(parts(&interleaved).1, Order::C);
        let [a, b, c, d, e, f] = plain[..] else { panic!() };
        assert_eq!(back(&interleaved), [a, d, b, e, c, f], "{target}");
    }
    let interleaved = || {
        let all = vec![1_i16, 10, 2, 20, 3, 30];
        Value::Array(samples::array_of(all, Element::I16, vec![3, 2], Order::C))
    };
    let params =
        json!({"target_format": "i16", "layout": "planar", "source_layout": "interleaved"});
    let out = convert_with(params, interleaved());
    assert_eq!((parts(&out).0, items::<i16>(&out)), (vec![2, 3], vec![1, 2, 3, 10, 20, 30]));
    // A (channels, samples) array in Fortran order is interleaved already.
    let fortran =
        samples::array_of(vec![1_i16, 10, 2, 20, 3, 30], Element::I16, vec![2, 3], Order::Fortran);
    let place = fortran.data.as_slice().as_ptr();
    let params = json!({"target_format": "i16", "layout": "interleaved"});
    let out = convert_with(params, Value::Array(fortran.clone()));
    assert_eq!((parts(&out).0, parts(&out).3.as_ptr()), (vec![3, 2], place));
    // The bytes of a sample lie side by side.
    let out = convert("i24", Value::Array(fortran));
    assert_eq!((parts(&out).0, parts(&out).1), (vec![2, 9], Order::C));
    let params = json!({"target_format": "i16", "source_format": "i24"});
    assert_eq!(items::<i16>(&convert_with(params, out)), [1, 2, 3, 10, 20, 30]);
    let flat = convert_with(
        json!({"target_format": "i32", "layout": "interleaved"}),
        array(vec![1_i16, 2], Element::I16),
    );
    assert_eq!(parts(&flat).0, [2]);
}

#[test]
fn bytes_in_fortran_order_are_read_by_their_axes() {
    // Rows [1, 2] and [3, 4] of i16, as bytes with the columns one after the other.
    let by_columns = vec![1, 3, 0, 0, 2, 4, 0, 0];
    let params = json!({"target_format": "i32", "source_format": "i16"});
    let out = convert_with(params, bytes(&[2, 4], Order::Fortran, by_columns));
    assert_eq!((parts(&out).0, parts(&out).1), (vec![2, 2], Order::C));
    assert_eq!(items::<i32>(&out).iter().map(|x| x >> 16).collect::<Vec<_>>(), [1, 2, 3, 4]);
}

#[test]
fn dither_is_seeded_and_goes_on() {
    let quiet = || array(vec![0.3_f32 / 32_768.0; 1_000], Element::F32);
    let run = |seed: u32| {
        let mut node =
            node_with(json!({"target_format": "i16", "dither": "triangular", "dither_seed": seed}));
        let mut out = Vec::new();
        for _ in 0..2 {
            node.process(quiet(), &mut |value| out.push(items::<i16>(&value))).unwrap();
        }
        out
    };
    let first = run(7);
    assert_eq!(first, run(7));
    assert_ne!(first, run(8));
    assert_ne!(first[0], first[1]);
    assert!(first[0].contains(&1) && first[0].contains(&0));
}

#[test]
fn dicts_of_bytes_name_their_format() {
    let numbers = [0xd5, 0xa5, 0x2a].map(Value::Int).to_vec();
    let item = |data: Value| {
        Value::Dict(vec![
            (Value::from("data"), data),
            (Value::from("sample_rate"), Value::Int(8_000)),
            (Value::from("format"), Value::from("alaw")),
        ])
    };
    let out = convert("i16", item(Value::List(numbers)));
    assert_eq!(out.get("format"), Some(&Value::from("i16")));
    assert_eq!(out.get("data"), Some(&Value::List([8, 16_896, -32_256].map(Value::Int).to_vec())));
    let out = convert("mulaw", item(bytes(&[3], Order::C, vec![0xd5, 0xa5, 0x2a])));
    assert_eq!(out.get("format"), Some(&Value::from("mulaw")));
}

#[test]
fn outputs_of_a_stream_use_their_memory_again() {
    let mut node = node("f32");
    let mut places = Vec::new();
    for _ in 0..3 {
        let input = array(vec![1_i16; 480], Element::I16);
        node.process(input, &mut |value| places.push(parts(&value).3.as_ptr())).unwrap();
    }
    assert_eq!(places, [places[0]; 3]);
}
