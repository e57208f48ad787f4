//! Node by hostile input: what each cell must be, a result (`ok`) or the name of the error's kind.

use std::fmt::Debug;

use ipc_protocol::{Array, Audio, Dtype, Order, Value};
use nodes::node::Node;
use nodes::{NodeErrorKind, NodeType, ParamKind, registry};
use num_bigint::BigInt;
use serde_json::{Value as Json, json};

use crate::sound::UNSOUND;

const NODES: [&str; 7] = [
    "PassThroughNode",
    "CalculatorNode",
    "AddNode",
    "MultiplyNode",
    "ResampleNode",
    "VADNode",
    "FormatConverterNode",
];

/// Nodes that take the same audio as ResampleNode; how many outputs they make varies.
const AUDIO_NODES: [&str; 10] = [
    "BiquadNode",
    "ChunkerNode",
    "GainNode",
    "LevelMeterNode",
    "MelSpectrogramNode",
    "MixChannelsNode",
    "NoiseSuppressionNode",
    "NormalizeNode",
    "SilenceTrimNode",
    "SplitChannelsNode",
];

fn node_type(name: &str) -> &'static NodeType {
    registry::builtin().get(name).unwrap()
}

fn node(name: &str, params: &Json) -> Box<dyn Node> {
    let node_type = node_type(name);
    let params = node_type.check_params(params.as_object().unwrap()).unwrap();
    (node_type.build)(&params).unwrap()
}

/// The name of an enum's variant.
fn variant(value: &impl Debug) -> String {
    format!("{value:?}").split([' ', '(']).next().unwrap().to_owned()
}

fn outcome(node: &mut dyn Node, item: Value) -> String {
    let mut outputs = 0;
    match node.process(item, &mut |_| outputs += 1) {
        Ok(()) if outputs == 1 => "ok".to_owned(),
        Ok(()) => format!("{outputs} outputs"),
        Err(error) => variant(&error.kind),
    }
}

/// Every node with a fresh instance, one used before, and once more after a flush; also when pieces.
fn check(row: &str, item: &Value, expected: [&str; 7]) {
    for (name, expected) in NODES.into_iter().zip(expected) {
        let mut node = node(name, &json!({}));
        for round in 0..2 {
            let found = outcome(node.as_mut(), item.clone());
            assert_eq!(found, expected, "{row} at {name}, round {round}");
            node.flush(&mut |_| panic!("{name} kept something of {row}")).unwrap();
        }
        if node_type(name).params.iter().any(|spec| spec.name == "streaming") {
            let mut node = self::node(name, &json!({"streaming": true}));
            node.flush(&mut |_| panic!("{name} gave something of nothing")).unwrap();
            let error = node.process(item.clone(), &mut |_| {}).err();
            let found = error.map_or("ok".to_owned(), |error| variant(&error.kind));
            assert_eq!(found, expected, "{row} at {name}, as a piece");
            node.flush(&mut |_| {}).unwrap();
            node.flush(&mut |_| panic!("{name} flushed twice")).unwrap();
        }
    }
    for name in AUDIO_NODES {
        for streaming in [false, true] {
            if streaming && node_type(name).params.iter().all(|spec| spec.name != "streaming") {
                continue;
            }
            let params = if streaming { json!({"streaming": true}) } else { json!({}) };
            let mut node = node(name, &params);
            let error = node.process(item.clone(), &mut |_| {}).err();
            let found = error.map_or("ok".to_owned(), |error| variant(&error.kind));
            assert_eq!(found, expected[4], "{row} at {name}, streaming {streaming}");
            node.flush(&mut |_| assert!(streaming, "{name} kept something of {row}")).unwrap();
            node.flush(&mut |_| panic!("{name} flushed twice")).unwrap();
        }
    }
}

fn array(descr: &str, shape: &[u64], data: Vec<u8>) -> Array {
    let digits: String = descr.chars().filter(char::is_ascii_digit).collect();
    let item_bytes = digits.parse().unwrap_or(1);
    let dtype = Dtype { descr: descr.to_owned(), item_bytes };
    Array { dtype, shape: shape.to_vec(), order: Order::C, scalar: false, data: data.into() }
}

fn floats(shape: &[u64], value: f32) -> Array {
    let count = shape.iter().product::<u64>();
    array("<f4", shape, (0..count).flat_map(|_| value.to_le_bytes()).collect())
}

/// The array in each form of audio: the outcome at analysing nodes, at the converter, and at nodes
/// that compute with plain arrays.
fn check_array(row: &str, array: &Array, [analysis, convert, compute]: [&str; 3]) {
    const TYPE: &str = "TypeMismatch";
    let rate = || Value::Int(16_000);
    let bare = ["ok", TYPE, compute, compute, analysis, analysis, convert];
    check(row, &Value::Array(array.clone()), bare);
    let paired = ["ok", TYPE, TYPE, TYPE, analysis, analysis, convert];
    let tuple = Value::Tuple(vec![Value::Array(array.clone()), rate(), Value::None]);
    check(&format!("{row}, in a tuple"), &tuple, paired);
    let audio = Audio { samples: array.clone(), sample_rate_hz: 16_000 };
    check(&format!("{row}, with its rate"), &Value::Audio(audio), paired);
    let dict = Value::Dict(vec![
        (Value::from("sample_rate"), rate()),
        (Value::from("data"), Value::Array(array.clone())),
    ]);
    let in_dict = ["ok", "MissingKey", TYPE, TYPE, analysis, analysis, convert];
    check(&format!("{row}, in a dict"), &dict, in_dict);
}

// spec: NRA-05 NRA-06 NRA-07
#[test]
fn samples_that_no_sound_has_are_refused_by_analysis_and_kept_by_conversion() {
    for sample in UNSOUND {
        for at in [0, 1, 319, 639] {
            let mut doubles = vec![0.25_f64; 640];
            doubles[at] = sample;
            let bytes: Vec<u8> = doubles.iter().flat_map(|x| x.to_le_bytes()).collect();
            let row = format!("{sample:e} at {at}");
            check_array(&row, &array("<f8", &[2, 320], bytes), ["NotSound", "ok", "ok"]);
            #[expect(clippy::cast_possible_truncation, reason = "overflow makes infinity")]
            let bytes = doubles.iter().flat_map(|x| (*x as f32).to_le_bytes()).collect();
            check_array(&row, &array("<f4", &[640], bytes), ["NotSound", "ok", "ok"]);
        }
    }
    for sample in [0.0, -0.0, 1e-45, 1e-38, 1.0, -1.0, 32_768.0, 1e10, -1e10] {
        check_array(&format!("{sample:e}"), &floats(&[2, 480], sample), ["ok", "ok", "ok"]);
    }
}

#[test]
fn shapes() {
    const SHAPE: [&str; 3] = ["BadShape", "ok", "ok"];
    const FINE: [&str; 3] = ["ok", "ok", "ok"];
    let rows: [(&[u64], [&str; 3]); 15] = [
        (&[0], FINE),
        (&[1], FINE),
        (&[2, 0], FINE),
        (&[1, 1], FINE),
        (&[64, 1], FINE),
        (&[256, 1], FINE),
        (&[257, 1], SHAPE),
        (&[0, 0], SHAPE),
        (&[0, 480], SHAPE),
        (&[0, 1 << 60], SHAPE),
        (&[1 << 60, 0], SHAPE),
        (&[], SHAPE),
        (&[1, 1, 1], SHAPE),
        (&[2, 2, 2, 2, 2], SHAPE),
        (&[u64::MAX, u64::MAX, 0], ["BadShape", "BadMemory", "BadMemory"]),
    ];
    for (shape, expected) in rows {
        let array =
            if shape.contains(&0) { array("<f4", shape, vec![]) } else { floats(shape, 0.5) };
        check_array(&format!("shape {shape:?}"), &array, expected);
    }
    for (bytes, shape) in [(3, 1), (5, 1), (0, 1), (4, 0), (8, 1), (4, u64::MAX)] {
        let array = array("<f4", &[shape], vec![0; bytes]);
        check_array(&format!("{bytes} bytes for {shape}"), &array, ["BadMemory"; 3]);
    }
}

#[test]
fn dtypes() {
    for descr in ["<f4", "<f8", "<i2", "<i4", ">f4", ">f8", ">i2", ">i4"] {
        let bytes = array(descr, &[], vec![]).dtype.item_bytes as usize;
        check_array(descr, &array(descr, &[480], vec![0; bytes * 480]), ["ok", "ok", "ok"]);
    }
    let expected = ["UnsupportedDtype", "ok", "ok"];
    check_array("bytes", &array("|u1", &[480], vec![0xff; 480]), expected);
    for descr in ["|i1", "<u2", "<u4", ">u4", "<i8", "<u8"] {
        let bytes = array(descr, &[], vec![]).dtype.item_bytes as usize;
        let expected = ["UnsupportedDtype", "UnsupportedDtype", "ok"];
        check_array(descr, &array(descr, &[480], vec![0xff; bytes * 480]), expected);
    }
    let structured = "[('left', '<f4'), ('right', '<f4')]";
    let long = format!("[{}]", "('left', '<f4'), ".repeat(10_000));
    let others =
        ["<f2", "<f16", "<c8", "|b1", "|S2147483647", "<U7", "<M8[ns]", "|V4", "", "é", "|O"];
    for descr in others.into_iter().chain([structured, long.as_str()]) {
        let mut array = array("|u1", &[0], vec![]);
        descr.clone_into(&mut array.dtype.descr);
        check_array(&format!("dtype {descr:.40}"), &array, ["UnsupportedDtype"; 3]);
    }
}

#[test]
fn rates() {
    let scalar = |descr: &str, bytes: &[u8]| {
        Value::Array(Array { scalar: true, ..array(descr, &[], bytes.to_vec()) })
    };
    let rows = [
        (Value::Int(1_000), "ok"),
        (Value::Int(768_000), "ok"),
        (Value::Float(48_000.0), "ok"),
        (scalar("<i8", &44_100_i64.to_le_bytes()), "ok"),
        (scalar(">u2", &44_100_u16.to_be_bytes()), "ok"),
        (scalar("<f8", &44_100_f64.to_le_bytes()), "ok"),
        (scalar("<f4", &44_100_f32.to_le_bytes()), "ok"),
        (Value::Int(0), "BadValue"),
        (Value::Int(1), "BadValue"),
        (Value::Int(999), "BadValue"),
        (Value::Int(768_001), "BadValue"),
        (Value::Int(u32::MAX.into()), "BadValue"),
        (Value::Int(-16_000), "BadValue"),
        (Value::Int(i64::MIN), "BadValue"),
        (Value::BigInt(BigInt::from(10).pow(400)), "BadValue"),
        (Value::Float(48_000.5), "BadValue"),
        (Value::Float(f64::NAN), "BadValue"),
        (Value::Float(f64::INFINITY), "BadValue"),
        (scalar("<f8", &f64::NAN.to_le_bytes()), "BadValue"),
        (scalar("<u8", &u64::MAX.to_le_bytes()), "BadValue"),
        (scalar("<i8", &[]), "BadValue"),
        (scalar("|b1", &[1]), "BadValue"),
        (Value::None, "TypeMismatch"),
        (Value::Bool(true), "TypeMismatch"),
        (Value::from("16000"), "TypeMismatch"),
        (Value::Tuple(vec![]), "TypeMismatch"),
    ];
    for (rate, expected) in rows {
        let row = format!("rate {rate:?}");
        let samples = floats(&[1, 10], 0.5);
        let outcome =
            ["ok", "TypeMismatch", "TypeMismatch", "TypeMismatch", expected, expected, expected];
        check(&row, &Value::Tuple(vec![Value::Array(samples), rate]), outcome);
    }
    for rate in [0, 1, 999, 768_001, u32::MAX] {
        let audio = Audio { samples: floats(&[10], 0.5), sample_rate_hz: rate };
        let expected = [
            "ok",
            "TypeMismatch",
            "TypeMismatch",
            "TypeMismatch",
            "BadValue",
            "BadValue",
            "BadValue",
        ];
        check(&format!("audio at {rate} Hz"), &Value::Audio(audio), expected);
    }
}

#[test]
fn lists() {
    let list = |numbers: &[f64]| Value::List(numbers.iter().copied().map(Value::Float).collect());
    let entry = |key: &str, value: Value| (Value::from(key), value);
    let empty = || Value::List(vec![]);
    let big = Value::List(vec![Value::BigInt(BigInt::from(10).pow(400))]);
    let nested = |planes: Vec<Value>| Value::List(planes);
    // A first list of many numbers does not reserve memory for as many lists.
    let mut lopsided = vec![list(&vec![0.0; 300_000])];
    lopsided.extend((0..300_000).map(|_| empty()));
    let channels = |value| vec![entry("channels", value)];
    let format = |name| vec![entry("format", Value::from(name))];
    let rows = [
        ("none", empty(), vec![], ["ok", "ok"]),
        ("one", list(&[0.5]), vec![], ["ok", "ok"]),
        ("one channel of none", nested(vec![empty()]), vec![], ["ok", "ok"]),
        ("two channels", nested(vec![list(&[0.5]), list(&[0.5])]), vec![], ["ok", "ok"]),
        ("257 channels", nested(vec![list(&[0.5]); 257]), vec![], ["BadShape", "ok"]),
        ("unequal", nested(vec![list(&[0.5]), empty()]), vec![], ["BadValue", "BadValue"]),
        ("lopsided", nested(lopsided), vec![], ["BadValue", "BadValue"]),
        ("mixed", nested(vec![empty(), Value::Int(1)]), vec![], ["TypeMismatch", "TypeMismatch"]),
        ("NaN", list(&[f64::NAN]), vec![], ["NotSound", "ok"]),
        ("NaN of ints", list(&[f64::NAN]), format("i16"), ["ok", "ok"]),
        ("1e300", list(&[1e300]), vec![], ["NotSound", "ok"]),
        ("1e300 of ints", list(&[1e300]), format("i32"), ["ok", "ok"]),
        ("a huge int", big.clone(), vec![], ["NotSound", "ok"]),
        ("a huge int of ints", big, format("i16"), ["ok", "ok"]),
        ("format", list(&[0.5]), format("u9"), ["BadValue", "BadValue"]),
        ("bytes", list(&[0.5]), format("u8"), ["UnsupportedDtype", "ok"]),
        ("no whole sample", list(&[0.5]), format("i24"), ["UnsupportedDtype", "BadValue"]),
        ("half a frame", list(&[0.5; 3]), channels(Value::Int(2)), ["BadValue", "BadValue"]),
        ("no channel", list(&[0.5]), channels(Value::Int(0)), ["BadValue", "BadValue"]),
        ("too many", list(&[0.5]), channels(Value::Int(257)), ["BadValue", "BadValue"]),
        ("channels", list(&[0.5]), channels(Value::from("two")), ["BadValue", "BadValue"]),
        ("text", Value::List(vec![Value::from("1")]), vec![], ["TypeMismatch", "TypeMismatch"]),
        ("no list", Value::from("1 2"), vec![], ["TypeMismatch", "TypeMismatch"]),
    ];
    for (row, data, mut entries, [analysis, convert]) in rows {
        entries.push(entry("data", data));
        let expected =
            ["ok", "MissingKey", "TypeMismatch", "TypeMismatch", analysis, analysis, convert];
        check(&format!("list: {row}"), &Value::Dict(entries), expected);
    }
}

#[test]
fn numbers_and_what_is_neither() {
    const OTHER: &str = "TypeMismatch";
    let huge = |bits: u32| Value::BigInt(BigInt::from(1) << bits);
    let number = ["ok", "ok", "ok", "ok", OTHER, OTHER, OTHER];
    // The parameters of AddNode and MultiplyNode are floats by default.
    let beyond_floats = ["ok", "ok", "FloatOverflow", "FloatOverflow", OTHER, OTHER, OTHER];
    let too_large =
        ["ok", "IntegerTooLarge", "IntegerTooLarge", "IntegerTooLarge", OTHER, OTHER, OTHER];
    let none = ["ok", OTHER, OTHER, OTHER, OTHER, OTHER, OTHER];
    let path = "PathForAudio";
    let text = ["ok", OTHER, OTHER, OTHER, path, path, path];
    let in_list = ["ok", OTHER, "ok", "ok", OTHER, OTHER, OTHER];
    let rows = [
        (Value::Int(i64::MIN), number),
        (Value::Float(f64::NAN), number),
        (Value::Float(f64::NEG_INFINITY), number),
        (Value::Float(f64::MAX), number),
        (huge(100), number),
        (huge(999_999), beyond_floats),
        (huge(1_000_000), too_large),
        (Value::List(vec![]), in_list),
        (Value::List(vec![Value::Float(f64::NAN), Value::Int(1)]), in_list),
        (Value::List(vec![Value::List(vec![])]), none),
        (Value::Bool(true), none),
        (Value::from("x".repeat(1 << 20).as_str()), text),
        (Value::Bytes(vec![0; 10].into()), none),
        (Value::Set(vec![]), none),
        (Value::Tuple(vec![]), none),
        (Value::None, none),
        (
            Value::Dict(vec![]),
            ["ok", "MissingKey", OTHER, OTHER, "MissingKey", "MissingKey", "MissingKey"],
        ),
    ];
    for (row, (item, expected)) in rows.into_iter().enumerate() {
        check(&format!("row {row}, a {}", item.type_name()), &item, expected);
    }
}

// spec: NRA-06
#[test]
fn what_resampling_makes_of_memory_is_bounded() {
    let rows = [
        (1_000, 768_000, 1, 1, "ok"),
        (1_000, 768_000, 2, 1_000, "ok"),
        (1_000, 768_000, 1, 22_000, "OutputTooLarge"),
        (1_000, 768_000, 1, 10_000_000, "OutputTooLarge"),
        (1_000, 768_000, 64, 1, "ok"),
        (768_000, 1_000, 64, 1, "ok"),
        (44_101, 48_000, 16, 1, "ok"),
        (44_101, 48_000, 256, 1, "ok"),
        (767_999, 768_000, 8, 1, "ok"),
        (768_000, 768_000, 256, 10, "ok"),
    ];
    for (from, to, channels, samples, expected) in rows {
        for streaming in [false, true] {
            let params = json!({"input_rate": from, "target_rate": to, "streaming": streaming});
            let mut node = node("ResampleNode", &params);
            let item = Value::Array(floats(&[channels, samples], 0.5));
            let found = match node.process(item, &mut |_| {}) {
                Ok(()) => "ok".to_owned(),
                Err(error) => variant(&error.kind),
            };
            assert_eq!(found, expected, "{channels} x {samples} from {from} to {to}");
            // The rate of a refused piece binds nothing.
            if expected != "ok" {
                let samples = floats(&[1, 10], 0.5);
                let other = Value::Audio(Audio { samples, sample_rate_hz: 48_000 });
                node.process(other, &mut |_| {}).unwrap();
            }
        }
    }
    let list = Value::List(vec![Value::Float(0.5); 2_000]);
    let dict = Value::Dict(vec![(Value::from("data"), list)]);
    let mut node = node("ResampleNode", &json!({"input_rate": 1_000, "target_rate": 768_000}));
    assert_eq!(outcome(node.as_mut(), dict), "OutputTooLarge");
}

#[test]
fn every_parameter_at_its_edges_and_beyond() {
    let check = |node_type: &NodeType, name: &str, value: Json, expected: &str| {
        let given = json!({name: value.clone()});
        let found = match node_type.check_params(given.as_object().unwrap()) {
            Ok(params) => (node_type.build)(&params).map_or("build", |_| "ok").to_owned(),
            Err(problems) => {
                assert!(problems[0].to_string().len() < 400, "{}", problems[0]);
                variant(&problems[0])
            }
        };
        assert_eq!(found, expected, "{} {name}={value:.60}", node_type.name);
    };
    let mut cells = 0;
    for node_type in registry::builtin().types() {
        for spec in node_type.params {
            let long = json!("x".repeat(1 << 20));
            let mut cell = |value: Json, expected: &str| {
                cells += 1;
                check(node_type, spec.name, value, expected);
            };
            cell(Json::Null, "ok");
            cell(json!([1]), "WrongType");
            cell(json!({"a": 1}), "WrongType");
            let (word, truth, number) = match spec.kind {
                ParamKind::Choice(_) => ("NotAChoice", "WrongType", "WrongType"),
                ParamKind::Text => ("ok", "WrongType", "WrongType"),
                ParamKind::Bool => ("WrongType", "ok", "WrongType"),
                ParamKind::Number => ("WrongType", "WrongType", "ok"),
                ParamKind::Float | ParamKind::Int => ("WrongType", "WrongType", "OutOfRange"),
            };
            cell(long, word);
            cell(json!(""), word);
            cell(json!(true), truth);
            for value in [json!(1e300), json!(-1e300), json!(u64::MAX), json!(i64::MIN)] {
                cell(value, number);
            }
            let Some((low, high)) = spec.range else { continue };
            cell(json!(low), "ok");
            cell(json!(high), "ok");
            let whole = spec.kind == ParamKind::Int;
            cell(json!(low.next_down()), if whole { "WrongType" } else { "OutOfRange" });
            cell(json!(high.next_up()), if whole { "WrongType" } else { "OutOfRange" });
            cell(json!(low - 1.0), "OutOfRange");
            cell(json!(high + 1.0), "OutOfRange");
        }
        check(node_type, &"x".repeat(1 << 20), json!(1), "Unknown");
    }
    assert!(cells > 150, "only {cells} cells");
}

#[test]
fn messages_say_what_where_and_what_to_do() {
    let mut samples = floats(&[2, 4], 0.5);
    let mut bytes = samples.data.as_slice().to_vec();
    bytes[20..24].copy_from_slice(&f32::NAN.to_le_bytes());
    samples.data = bytes.into();
    let error =
        node("VADNode", &json!({})).process(Value::Array(samples), &mut |_| {}).unwrap_err();
    let NodeErrorKind::NotSound { channel: 1, at: 1, sample, .. } = error.kind else { panic!() };
    assert!(sample.is_nan());
    let text = error.to_string();
    assert!(text.contains("sample 1 of channel 1 is NaN") && text.contains("nan_to_num"), "{text}");
}
