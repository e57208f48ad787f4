//! Tests of conversion to JSON and back, of inputs and of arguments.

use std::io::Write as _;
use std::path::PathBuf;

use clap::{CommandFactory, Parser};
use ipc_protocol::{Array, Audio, Dtype, Opaque, Order, Payload, Value};

use super::input::{Input, InputError, InputFormat, RunInput};
use super::{Arguments, list, marker, output};
use crate::manifest::json;

fn shown(value: &Value) -> String {
    let mut out = Vec::new();
    output::write_value(&mut out, value).unwrap();
    String::from_utf8(out).unwrap()
}

fn read(text: &str) -> Value {
    marker::resolve(json::parse(text).unwrap().value).unwrap()
}

fn array(descr: &str, item_bytes: u32, shape: &[u64], order: Order, data: Vec<u8>) -> Array {
    let dtype = Dtype { descr: descr.to_owned(), item_bytes };
    Array { dtype, shape: shape.to_vec(), order, scalar: false, data: Payload::from(data) }
}

fn floats(numbers: &[f32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

#[test]
fn arguments_are_consistent() {
    Arguments::command().debug_assert();
    let parse = |line: &str| Arguments::try_parse_from(line.split(' '));
    assert!(
        parse("remotemedia run m.json --input a.wav --metrics - --python /usr/bin/python3").is_ok()
    );
    assert!(parse("remotemedia run m.json --input a.raw --raw 48000,2").is_ok());
    for wrong in [
        "remotemedia",
        "remotemedia run",
        "remotemedia run m.json --raw 48000",
        "remotemedia run m.json --input a --raw 0",
        "remotemedia run m.json --input a --raw 48000,2,3",
        "remotemedia run m.json --input a --raw 1 --input-format audio",
    ] {
        assert_eq!(parse(wrong).unwrap_err().exit_code(), super::EXIT_BAD_INPUT, "{wrong}");
    }
}

#[test]
fn plain_values_are_plain_json() {
    let value = Value::Dict(vec![
        ("none".into(), Value::None),
        ("flag".into(), true.into()),
        ("whole".into(), 6_i64.into()),
        ("float".into(), 6.0.into()),
        ("text".into(), "a\"\n\u{1}é".into()),
        ("tuple".into(), Value::Tuple(vec![1_i64.into(), 2_i64.into()])),
        ("set".into(), Value::Set(vec![Value::Float(1e300)])),
    ]);
    assert_eq!(
        shown(&value),
        "{\"none\": null, \"flag\": true, \"whole\": 6, \"float\": 6.0, \
         \"text\": \"a\\\"\\n\\u0001é\", \"tuple\": [1, 2], \"set\": [1e300]}"
    );
    let big = read("[123456789012345678901234567890, -5]");
    assert_eq!(shown(&big), "[123456789012345678901234567890, -5]");
}

#[test]
fn what_json_does_not_have_is_marked_and_read_back() {
    let array = array("<f4", 4, &[2, 2], Order::C, floats(&[0.1, -1.0, 2.5, f32::NAN]));
    for (value, text) in [
        (Value::Bytes(Payload::from(vec![0, 255])), r#"{"__bytes__": "AP8="}"#),
        (Value::Float(f64::NEG_INFINITY), r#"{"__float__": "-inf"}"#),
        (Value::Dict(vec![(1_i64.into(), "a".into())]), r#"{"__dict__": [[1, "a"]]}"#),
        (
            Value::Array(array),
            r#"{"__numpy__": true, "dtype": "float32", "shape": [2, 2], "data": [0.1, -1.0, 2.5, {"__float__": "nan"}]}"#,
        ),
    ] {
        assert_eq!(shown(&value), text);
        assert_eq!(shown(&read(text)), text);
        // NaN is not equal to itself, the bytes of arrays are.
        assert_eq!(read(text), value, "{text}");
    }
}

#[test]
fn audio_is_an_array_and_its_rate() {
    let samples = array("<i2", 2, &[2], Order::C, vec![1, 0, 255, 255]);
    let audio = Value::Audio(Audio { samples, sample_rate_hz: 16_000 });
    assert_eq!(
        shown(&audio),
        r#"[{"__numpy__": true, "dtype": "int16", "shape": [2], "data": [1, -1]}, 16000]"#
    );
}

#[test]
fn arrays_in_any_order_and_of_any_type_can_be_shown() {
    // Fortran order, so the columns follow each other in memory: [[1, 3, 5], [2, 4, 6]].
    let columns = array("|u1", 1, &[2, 3], Order::Fortran, vec![1, 2, 3, 4, 5, 6]);
    assert!(shown(&Value::Array(columns)).ends_with("\"data\": [1, 3, 5, 2, 4, 6]}"));
    let big_endian = array(">i4", 4, &[1], Order::C, vec![0, 0, 1, 2]);
    assert!(
        shown(&Value::Array(big_endian)).ends_with("\"int32\", \"shape\": [1], \"data\": [258]}")
    );
    let scalar = Array { scalar: true, ..array("|b1", 1, &[], Order::C, vec![1]) };
    assert_eq!(shown(&Value::Array(scalar)), "true");
    let complex = array("<c8", 8, &[1], Order::C, vec![0; 8]);
    assert_eq!(
        shown(&Value::Array(complex)),
        r#"{"__numpy__": true, "dtype": "<c8", "shape": [1], "order": "C", "data_base64": "AAAAAAAAAAA="}"#
    );
    let empty = array("<f8", 8, &[0, 4], Order::Fortran, Vec::new());
    assert!(shown(&Value::Array(empty)).ends_with("\"shape\": [0, 4], \"data\": []}"));
}

#[test]
fn pickles_are_named_and_never_read() {
    let opaque = Value::Opaque(Opaque {
        type_name: "my.module.Thing".to_owned(),
        interpreter: "cpython-3.11".to_owned(),
        pickle: Payload::from(vec![1]),
    });
    let text = shown(&opaque);
    assert_eq!(text, r#"{"__opaque__": "my.module.Thing"}"#);
    assert!(marker::resolve(json::parse(&text).unwrap().value).is_err());
}

#[test]
fn arrays_that_do_not_hold_what_they_say_are_errors() {
    for wrong in [
        r#"{"__numpy__": true, "data": [1]}"#,
        r#"{"__numpy__": true, "dtype": "float33", "data": [1]}"#,
        r#"{"__numpy__": true, "dtype": "float32"}"#,
        r#"{"__numpy__": true, "dtype": "float32", "data": [1, 2], "shape": [3]}"#,
        r#"{"__numpy__": true, "dtype": "int8", "data": [200]}"#,
        r#"{"__numpy__": true, "dtype": "int8", "data": [1.5]}"#,
        r#"{"__numpy__": true, "dtype": "bool", "data": [1]}"#,
        r#"{"__bytes__": "not base64"}"#,
        r#"{"__float__": "many"}"#,
        r#"{"__dict__": [[1]]}"#,
    ] {
        assert!(marker::resolve(json::parse(wrong).unwrap().value).is_err(), "{wrong}");
    }
    // Rows may be lists of their own, and the shape may be left out.
    let rows = r#"{"__numpy__": true, "dtype": "<i2", "shape": [2, 2], "data": [[1, 2], [3, 4]]}"#;
    assert!(shown(&read(rows)).ends_with("\"int16\", \"shape\": [2, 2], \"data\": [1, 2, 3, 4]}"));
}

#[test]
fn nodes_are_listed_with_their_parameters() {
    let listed = |name: Option<&str>, json: bool| {
        let mut out = Vec::new();
        list::nodes(name, json, &mut out).map(|()| String::from_utf8(out).unwrap())
    };
    let all = listed(None, false).unwrap();
    assert!(all.contains("VADNode") && all.contains("BufferNode"), "{all}");
    let one = listed(Some("AudioResampleNode"), false).unwrap();
    assert!(one.contains("target_rate") && one.contains("remotemedia.nodes.audio:"), "{one}");
    let json: serde_json::Value = serde_json::from_str(&listed(None, true).unwrap()).unwrap();
    assert_eq!(json.as_array().unwrap().len(), all.lines().count());
    let error = listed(Some("VadNod"), false).unwrap_err();
    assert_eq!(error.exit_code(), super::EXIT_BAD_INPUT);
    assert!(error.to_string().contains("did you mean 'VADNode'?"), "{error}");
}

fn items(name: &str, text: &str, format: Option<InputFormat>) -> Vec<Result<Value, InputError>> {
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join(name);
    std::fs::File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
    let arguments = RunInput { input: Some(path), input_format: format, raw: None };
    match Input::open(&arguments) {
        Ok(Input::Items(items)) => items.collect(),
        Ok(Input::Sources) => panic!("there is an input"),
        Err(error) => vec![Err(error)],
    }
}

#[test]
fn a_json_file_is_one_item_and_a_jsonl_file_one_for_each_line() {
    let found = items("a.json", "[1,\n 2]", None);
    assert_eq!(found.len(), 1);
    assert_eq!(shown(found[0].as_ref().unwrap()), "[1, 2]");
    let found = items("a.jsonl", "1\n\n{\"a\": 2}\n", None);
    let texts: Vec<String> = found.iter().map(|item| shown(item.as_ref().unwrap())).collect();
    assert_eq!(texts, ["1", "{\"a\": 2}"]);
    assert_eq!(items("a.txt", "3", Some(InputFormat::Json)).len(), 1);
}

#[test]
fn bad_inputs_are_told_with_file_and_line() {
    let found = items("a.jsonl", "1\n{\"a\" 2}\n", None);
    let text = found[1].as_ref().unwrap_err().to_string();
    assert!(text.contains("a.jsonl, line 2: column 6: expected ':'"), "{text}");
    let text = items("a.json", "[1\n2]", None)[0].as_ref().unwrap_err().to_string();
    assert!(text.contains("line 2, column 1: expected ',' or ']'"), "{text}");
    let text = items("a.wav", "no audio", None)[0].as_ref().unwrap_err().to_string();
    assert!(text.contains("a.wav"), "{text}");
}
