//! Tests of parameter checking and of the registry's descriptions.

use serde_json::{Map, Value as Json, json};

use super::{Number, ParamDefault, ParamKind, ParamProblem, ParamSpec};
use crate::registry;
use crate::{Node, NodeError, NodeType};
use ipc_protocol::Value;

struct Nothing;

impl Node for Nothing {
    fn process(&mut self, _: Value, _: &mut dyn FnMut(Value)) -> Result<(), NodeError> {
        Ok(())
    }
}

const fn spec(name: &'static str, kind: ParamKind, default: ParamDefault) -> ParamSpec {
    ParamSpec { name, aliases: &[], kind, default, range: None, unit: "", doc: "For tests." }
}

static TYPE: NodeType = NodeType {
    name: "TestNode",
    version: "1.0.0",
    summary: "For tests.",
    aliases: &[],
    capabilities: &[],
    params: &[
        ParamSpec {
            aliases: &["frequency", "freq"],
            range: Some((20.0, 20_000.0)),
            unit: "Hz",
            ..spec("pitch", ParamKind::Float, ParamDefault::Float(440.0))
        },
        ParamSpec {
            range: Some((1.0, 64.0)),
            ..spec("voices", ParamKind::Int, ParamDefault::Int(1))
        },
        spec("loud", ParamKind::Bool, ParamDefault::Bool(false)),
        spec("gain", ParamKind::Number, ParamDefault::Int(1)),
        spec("shape", ParamKind::Choice(&["sine", "square"]), ParamDefault::Text("sine")),
        spec("label", ParamKind::Text, ParamDefault::Text("")),
        spec("limit", ParamKind::Float, ParamDefault::Absent),
    ],
    exclusive: &[("limit", "loud")],
    build: |_| Ok(Box::new(Nothing)),
};

fn check(given: &Json) -> Result<super::Params, Vec<ParamProblem>> {
    TYPE.check_params(given.as_object().unwrap())
}

#[test]
fn defaults_are_filled_in() {
    let params = check(&json!({})).unwrap();
    assert_eq!(params.float("pitch"), Ok(440.0));
    assert_eq!(params.u32("voices"), Ok(1));
    assert_eq!(params.bool("loud"), Ok(false));
    assert_eq!(params.number("gain"), Ok(Number::Int(1.into())));
    assert_eq!(params.text("shape"), Ok("sine"));
    assert_eq!(params.optional_float("limit"), Ok(None));
    assert!(params.given().is_empty());
    assert!((TYPE.build)(&params).is_ok());
}

#[test]
fn values_are_read_under_every_name() {
    let given = json!({
        "freq": 100, "voices": 4.0, "loud": true, "gain": 2.5, "shape": "SQUARE", "label": null
    });
    let params = check(&given).unwrap();
    assert_eq!(params.float("pitch"), Ok(100.0));
    assert_eq!(params.u32("voices"), Ok(4));
    assert_eq!(params.bool("loud"), Ok(true));
    assert_eq!(params.number("gain"), Ok(Number::Float(2.5)));
    assert_eq!(params.text("shape"), Ok("square"));
    assert_eq!(params.text("label"), Ok(""));
    let names: Vec<&String> = params.given().keys().collect();
    assert_eq!(names, ["pitch", "voices", "loud", "gain", "shape"]);
    assert!(matches!(params.float("volume"), Err(ParamProblem::Undeclared { .. })));
}

#[test]
fn all_problems_are_reported_at_once() {
    let given = json!({
        "pich": 1, "colour": 2, "frequency": 30_000, "freq": 100, "voices": 1.5, "loud": 1,
        "gain": true, "shape": "sqare", "label": 7
    });
    let texts: Vec<String> = check(&given).unwrap_err().iter().map(ToString::to_string).collect();
    let wanted = [
        "TestNode has no parameter 'pich'; did you mean 'pitch'?",
        "TestNode has no parameter 'colour'; it takes pitch, voices, loud, gain, shape, label, limit",
        "TestNode: parameter 'frequency' must be between 20 and 20000 Hz, got 30000",
        "TestNode: parameter 'voices' must be a whole number, got the number 1.5",
        "TestNode: parameter 'loud' must be true or false, got the number 1",
        "TestNode: parameter 'gain' must be a number, got the bool true",
        "TestNode: parameter 'shape' must be one of sine, square, got 'sqare'; did you mean 'square'?",
        "TestNode: parameter 'label' must be a string, got the number 7",
    ];
    for text in wanted {
        assert!(texts.iter().any(|found| found == text), "{text:?} is not in {texts:#?}");
    }
}

#[test]
fn two_spellings_of_one_parameter_are_a_problem() {
    // Also when one of the values is wrong.
    for first in [json!(100), json!("high")] {
        let problems = check(&json!({"pitch": first, "freq": 200})).unwrap_err();
        let text = problems.last().unwrap().to_string();
        assert!(text.contains("'pitch' and 'freq' are the same parameter"), "{text}");
    }
    let problems = check(&json!({"limit": 1, "loud": true})).unwrap_err();
    assert_eq!(problems[0].to_string(), "TestNode: give either 'limit' or 'loud', not both");
}

#[test]
fn ranges_include_their_ends() {
    for voices in [1, 64] {
        assert!(check(&json!({"voices": voices})).is_ok());
    }
    for voices in [json!(0), json!(65), json!(-1), json!(1e300), json!(u64::MAX)] {
        let problems = check(&json!({"voices": voices})).unwrap_err();
        assert!(matches!(problems[0], ParamProblem::OutOfRange { .. }), "{problems:?}");
    }
}

#[test]
fn metadata_has_the_documented_form() {
    let vad = registry::builtin().get("VADNode").unwrap().metadata();
    assert_eq!(vad["name"], "VADNode");
    assert_eq!(vad["capabilities"], json!(["audio"]));
    let threshold = &vad["parameters"]["threshold"];
    assert_eq!(threshold["type"], "float");
    assert_eq!(threshold["default"], json!(-30.0));
    assert_eq!(threshold["range"], json!([-60.0, 0.0]));
    assert_eq!(threshold["unit"], "dBFS");
    let resample = registry::builtin().get("AudioResampleNode").unwrap().metadata();
    assert_eq!(resample["name"], "ResampleNode");
    assert_eq!(resample["aliases"], json!(["AudioResampleNode"]));
    assert_eq!(resample["parameters"]["target_rate"]["range"], json!([1_000, 768_000]));
    assert_eq!(
        resample["parameters"]["quality"]["choices"],
        json!(["low", "medium", "high", "very_high"])
    );
    assert_eq!(vad["parameters"]["energy_threshold"]["default"], Json::Null);
}

#[test]
fn every_builtin_type_is_sound() {
    let registry = registry::builtin();
    let names = registry.names();
    for name in [
        "AddNode",
        "CalculatorNode",
        "FormatConverterNode",
        "MultiplyNode",
        "PassThroughNode",
        "ResampleNode",
        "VADNode",
    ] {
        assert!(names.contains(&name), "{name} is missing");
    }
    let mut all = registry.names_and_aliases();
    all.dedup();
    assert_eq!(all.len(), registry.names_and_aliases().len(), "a name is taken twice");
    for node_type in registry.types() {
        let params = node_type.check_params(&Map::new()).unwrap();
        assert!((node_type.build)(&params).is_ok(), "{}", node_type.name);
        for spec in node_type.params {
            let text = format!("{}.{}", node_type.name, spec.name);
            assert!(spec.doc.ends_with('.'), "{text}");
            let Some((min, max)) = spec.range else { continue };
            let default = match spec.default {
                ParamDefault::Float(number) => number,
                ParamDefault::Int(number) => number as f64,
                _ => continue,
            };
            assert!((min..=max).contains(&default), "{text}");
        }
    }
    assert_eq!(registry.nearest("ResampelNode"), Some("ResampleNode"));
    assert_eq!(registry.nearest("vad"), Some("VADNode"));
    assert!(registry.get("VadNode").is_none());
}
