//! Checks the parameters that a user wrote against those that a node type declares, and reports every
//! problem at once.

use num_bigint::BigInt;
use serde_json::{Map, Value as Json};

use super::{Number, ParamDefault, ParamKind, ParamProblem, ParamSpec, ParamValue, Params, whole};
use crate::brief::Brief;
use crate::suggest;

/// Checks `given` against the parameters `specs` of the node type `node`, and fills in the
/// defaults. `exclusive` lists pairs of parameters that must not be given together.
pub(crate) fn check(
    node: &'static str,
    specs: &'static [ParamSpec],
    exclusive: &'static [(&'static str, &'static str)],
    given: &Map<String, Json>,
) -> Result<Params, Vec<ParamProblem>> {
    let mut problems = Vec::new();
    let mut written: Vec<Option<&str>> = vec![None; specs.len()];
    let mut found: Vec<Option<(ParamValue, &Json)>> = vec![None; specs.len()];
    for (name, json) in given {
        let index = specs.iter().position(|spec| spec.is_called(name));
        let Some((index, spec)) = index.and_then(|i| specs.get(i).map(|spec| (i, spec))) else {
            problems.push(unknown(node, specs, name));
            continue;
        };
        if json.is_null() {
            continue;
        }
        match read(node, spec, name, json) {
            Ok(value) => found[index] = Some((value, json)),
            Err(problem) => problems.push(problem),
        }
        match written[index] {
            None => written[index] = Some(name),
            Some(first) => problems.push(ParamProblem::GivenTwice {
                node,
                canonical: spec.name,
                first: first.to_owned(),
                second: name.clone(),
            }),
        }
    }
    for (first, second) in exclusive {
        let both = [first, second].iter().all(|wanted| {
            specs.iter().zip(&written).any(|(spec, w)| spec.name == **wanted && w.is_some())
        });
        if both {
            problems.push(ParamProblem::Exclusive { node, first, second });
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut params = Params { node, values: Vec::new(), given: Map::new() };
    for (spec, found) in specs.iter().zip(found) {
        let value = match found {
            Some((value, json)) => {
                params.given.insert(spec.name.to_owned(), json.clone());
                value
            }
            None => default_value(spec),
        };
        params.values.push((spec.name, value));
    }
    Ok(params)
}

impl ParamSpec {
    fn is_called(&self, name: &str) -> bool {
        self.name == name || self.aliases.contains(&name)
    }
}

fn unknown(node: &'static str, specs: &[ParamSpec], name: &str) -> ParamProblem {
    // If an alias is the nearest name, the error suggests its canonical name.
    let spellings = specs
        .iter()
        .flat_map(|spec| std::iter::once(spec.name).chain(spec.aliases.iter().copied()));
    let nearest = suggest::nearest(name, spellings).and_then(|near| {
        specs.iter().find(|spec| spec.is_called(near)).map(|spec| spec.name.to_owned())
    });
    ParamProblem::Unknown {
        node,
        param: name.to_owned(),
        nearest,
        known: specs.iter().map(|spec| spec.name).collect(),
    }
}

fn default_value(spec: &ParamSpec) -> ParamValue {
    match (spec.default, spec.kind) {
        (ParamDefault::Absent, _) => ParamValue::Absent,
        (ParamDefault::Float(number), ParamKind::Number) => {
            ParamValue::Number(Number::Float(number))
        }
        (ParamDefault::Float(number), _) => ParamValue::Float(number),
        (ParamDefault::Int(number), ParamKind::Number) => {
            ParamValue::Number(Number::Int(BigInt::from(number)))
        }
        (ParamDefault::Int(number), _) => ParamValue::Int(number),
        (ParamDefault::Bool(truth), _) => ParamValue::Bool(truth),
        (ParamDefault::Text(text), _) => ParamValue::Text(text.to_owned()),
    }
}

fn read(
    node: &'static str,
    spec: &ParamSpec,
    name: &str,
    json: &Json,
) -> Result<ParamValue, ParamProblem> {
    let wrong_type = |expected| ParamProblem::WrongType {
        node,
        param: name.to_owned(),
        expected,
        got: describe(json),
    };
    let in_range = |value: f64| match spec.range {
        Some((min, max)) if !(min..=max).contains(&value) => Err(ParamProblem::OutOfRange {
            node,
            param: name.to_owned(),
            value,
            min,
            max,
            unit: spec.unit,
        }),
        _ => Ok(value),
    };
    match spec.kind {
        ParamKind::Float => {
            let number = json.as_f64().ok_or_else(|| wrong_type("a number"))?;
            in_range(number).map(ParamValue::Float)
        }
        ParamKind::Int => {
            let number = json.as_f64().filter(|n| n.fract() == 0.0);
            let number = in_range(number.ok_or_else(|| wrong_type("a whole number"))?)?;
            Ok(ParamValue::Int(json.as_i64().unwrap_or_else(|| whole(number))))
        }
        ParamKind::Number => {
            let number = match json {
                Json::Number(number) => read_number(number),
                _ => None,
            };
            let number = number.ok_or_else(|| wrong_type("a number"))?;
            in_range(json.as_f64().unwrap_or_default())?;
            Ok(ParamValue::Number(number))
        }
        ParamKind::Bool => {
            json.as_bool().map(ParamValue::Bool).ok_or_else(|| wrong_type("true or false"))
        }
        ParamKind::Text => json
            .as_str()
            .map(|text| ParamValue::Text(text.to_owned()))
            .ok_or_else(|| wrong_type("a string")),
        ParamKind::Choice(choices) => {
            let text = json.as_str().ok_or_else(|| wrong_type("a string"))?;
            choices
                .iter()
                .find(|choice| choice.eq_ignore_ascii_case(text))
                .map(|choice| ParamValue::Text((*choice).to_owned()))
                .ok_or_else(|| ParamProblem::NotAChoice {
                    node,
                    param: name.to_owned(),
                    value: text.to_owned(),
                    choices,
                    nearest: suggest::nearest(text, choices.iter().copied()).map(str::to_owned),
                })
        }
    }
}

/// An int if the number has neither a fraction nor an exponent, else a float.
pub(crate) fn read_number(number: &serde_json::Number) -> Option<Number> {
    match number.to_string().parse::<BigInt>() {
        Ok(int) => Some(Number::Int(int)),
        Err(_) => number.as_f64().map(Number::Float),
    }
}

/// Type and value of a JSON value, short enough for a message.
fn describe(json: &Json) -> String {
    match json {
        Json::Null => "null".to_owned(),
        Json::Bool(truth) => format!("the bool {truth}"),
        Json::Number(number) => format!("the number {number}"),
        Json::String(text) => format!("the string '{}'", Brief(text)),
        Json::Array(items) => format!("a list of {} elements", items.len()),
        Json::Object(_) => "an object".to_owned(),
    }
}
