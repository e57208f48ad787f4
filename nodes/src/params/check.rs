//! Checks the parameters that a user wrote against what a node type declares, and reports every
//! problem at once.

use num_bigint::BigInt;
use serde_json::{Map, Value as Json};

use super::{Number, ParamDefault, ParamKind, ParamSpec, ParamValue, Params, whole};
use crate::node::NodeType;
use crate::suggest;

/// What is wrong with a parameter, and what to do about it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ParamProblem {
    /// The node type has no parameter of that name.
    #[error("{node} has no parameter '{param}'{}", unknown_hint(.nearest.as_deref(), .known))]
    Unknown {
        /// The node type.
        node: &'static str,
        /// The name that was written.
        param: String,
        /// The name that was probably meant.
        nearest: Option<String>,
        /// Canonical names of all parameters.
        known: Vec<&'static str>,
    },
    /// The value is of the wrong type.
    #[error("{node}: parameter '{param}' must be {expected}, got {got}")]
    WrongType {
        /// The node type.
        node: &'static str,
        /// The name that was written.
        param: String,
        /// The type that the parameter has, in words.
        expected: &'static str,
        /// The type and value that were written.
        got: String,
    },
    /// The number is outside the parameter's range.
    #[error(
        "{node}: parameter '{param}' must be between {min} and {max}{}, got {value}",
        unit_suffix(.unit)
    )]
    OutOfRange {
        /// The node type.
        node: &'static str,
        /// The name that was written.
        param: String,
        /// The value that was written.
        value: f64,
        /// Smallest value allowed.
        min: f64,
        /// Largest value allowed.
        max: f64,
        /// Unit of the three numbers, or empty.
        unit: &'static str,
    },
    /// The word is not one of the choices.
    #[error(
        "{node}: parameter '{param}' must be one of {}, got '{value}'{}",
        choices.join(", "), did_you_mean(.nearest.as_deref())
    )]
    NotAChoice {
        /// The node type.
        node: &'static str,
        /// The name that was written.
        param: String,
        /// The word that was written.
        value: String,
        /// The words that are allowed.
        choices: &'static [&'static str],
        /// The word that was probably meant.
        nearest: Option<String>,
    },
    /// Two spellings of one parameter were both given.
    #[error(
        "{node}: '{first}' and '{second}' are the same parameter; give only one of them, \
         preferably '{canonical}'"
    )]
    GivenTwice {
        /// The node type.
        node: &'static str,
        /// The parameter's own name.
        canonical: &'static str,
        /// One spelling that was written.
        first: String,
        /// The other one.
        second: String,
    },
    /// Two parameters that contradict each other were both given.
    #[error("{node}: give either '{first}' or '{second}', not both")]
    Exclusive {
        /// The node type.
        node: &'static str,
        /// Canonical name of one.
        first: &'static str,
        /// Canonical name of the other.
        second: &'static str,
    },
    /// A node's code asked for a parameter that its type does not declare: a mistake in this
    /// crate, not of the user.
    #[error("{node} reads a parameter '{param}' of type {kind} that it does not declare")]
    Undeclared {
        /// The node type.
        node: &'static str,
        /// The parameter that was asked for.
        param: &'static str,
        /// The type that was asked for.
        kind: &'static str,
    },
}

fn unknown_hint(nearest: Option<&str>, known: &[&str]) -> String {
    match nearest {
        Some(_) => did_you_mean(nearest),
        None if known.is_empty() => "; it takes none".to_owned(),
        None => format!("; it takes {}", known.join(", ")),
    }
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map(|name| format!("; did you mean '{name}'?")).unwrap_or_default()
}

fn unit_suffix(unit: &str) -> String {
    if unit.is_empty() { String::new() } else { format!(" {unit}") }
}

/// Checks `given` against what `node` declares and fills in the defaults. A JSON `null` means
/// that the parameter is not given.
///
/// # Errors
/// Every problem found: unknown names, wrong types, values out of range, a parameter given under
/// two names, two parameters that exclude each other.
pub fn check_params(
    node: &NodeType,
    given: &Map<String, Json>,
) -> Result<Params, Vec<ParamProblem>> {
    let mut problems = Vec::new();
    let mut written: Vec<Option<&str>> = vec![None; node.params.len()];
    let mut found: Vec<Option<(ParamValue, &Json)>> = vec![None; node.params.len()];
    for (name, json) in given {
        let index = node.params.iter().position(|spec| spec.is_called(name));
        let Some((index, spec)) = index.and_then(|i| node.params.get(i).map(|spec| (i, spec)))
        else {
            problems.push(unknown(node, name));
            continue;
        };
        if json.is_null() {
            continue;
        }
        match read(node.name, spec, name, json) {
            Ok(value) => found[index] = Some((value, json)),
            Err(problem) => problems.push(problem),
        }
        match written[index] {
            None => written[index] = Some(name),
            Some(first) => problems.push(ParamProblem::GivenTwice {
                node: node.name,
                canonical: spec.name,
                first: first.to_owned(),
                second: name.clone(),
            }),
        }
    }
    for (first, second) in node.exclusive {
        let both = [first, second].iter().all(|wanted| {
            node.params.iter().zip(&written).any(|(spec, w)| spec.name == **wanted && w.is_some())
        });
        if both {
            problems.push(ParamProblem::Exclusive { node: node.name, first, second });
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut params = Params { node: node.name, values: Vec::new(), given: Map::new() };
    for (spec, found) in node.params.iter().zip(found) {
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

fn unknown(node: &NodeType, name: &str) -> ParamProblem {
    // An alias that is near is reported by the canonical name it stands for.
    let spellings = node
        .params
        .iter()
        .flat_map(|spec| std::iter::once(spec.name).chain(spec.aliases.iter().copied()));
    let nearest = suggest::nearest(name, spellings).and_then(|near| {
        node.params.iter().find(|spec| spec.is_called(near)).map(|spec| spec.name.to_owned())
    });
    ParamProblem::Unknown {
        node: node.name,
        param: name.to_owned(),
        nearest,
        known: node.params.iter().map(|spec| spec.name).collect(),
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

/// An integer of any size where JSON kept its digits, else the float.
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
        Json::String(text) => {
            let short: String = text.chars().take(40).collect();
            format!("the string '{short}'")
        }
        Json::Array(items) => format!("a list of {} elements", items.len()),
        Json::Object(_) => "an object".to_owned(),
    }
}
