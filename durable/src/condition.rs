//! Conditions on the outcomes and values of earlier tasks. Pure.
//!
//! `compare` has the operators, `number` the numbers; `path` looks into values, `element` into arrays.

mod compare;
mod element;
mod number;
mod path;

use std::fmt::{self, Write};

use ipc_protocol::Value;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::record::Outcome;
use path::find;

/// A condition, as data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Condition {
    /// Always true: the task also runs after failures.
    Always {},
    /// A value compared with another one.
    Value {
        /// Name of a task or a key of the run's input, then keys and indices: `count.rows[0]`.
        path: Vec<Key>,
        /// Whether the first key names a task.
        of_task: bool,
        /// How they are compared.
        op: Op,
        /// The other one.
        with: Json,
    },
    /// The outcome of a task.
    Outcome {
        /// The task.
        task: String,
        /// Its outcome.
        is: Outcome,
    },
    /// All are true.
    All(Vec<Condition>),
    /// At least one is true.
    Any(Vec<Condition>),
    /// It is false.
    Not(Box<Condition>),
}

/// One step into a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Key {
    /// An index of a list or tuple; negative ones count from its end.
    Index(i64),
    /// A key of a dict.
    Name(String),
}

/// How a value is compared with another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Op {
    /// Equal.
    #[serde(rename = "==")]
    Equal,
    /// Not equal.
    #[serde(rename = "!=")]
    NotEqual,
    /// Smaller.
    #[serde(rename = "<")]
    Less,
    /// Smaller or equal.
    #[serde(rename = "<=")]
    AtMost,
    /// Larger.
    #[serde(rename = ">")]
    Greater,
    /// Larger or equal.
    #[serde(rename = ">=")]
    AtLeast,
    /// The value is an element of the one that it is compared with.
    #[serde(rename = "in")]
    In,
    /// The one that it is compared with is an element of the value.
    #[serde(rename = "contains")]
    Contains,
}

/// What conditions are tested against.
pub trait Facts {
    /// The outcome of a task.
    fn outcome(&self, task: &str) -> Option<Outcome>;
    /// The output of a task.
    fn output(&self, task: &str) -> Option<Value>;
    /// The run's input.
    fn input(&self) -> Option<Value>;
}

impl Condition {
    /// Names of the tasks that it speaks of.
    #[must_use]
    pub fn tasks(&self) -> Vec<&str> {
        match self {
            Self::Always {} => Vec::new(),
            Self::Value { path, of_task, .. } => match path.first() {
                Some(Key::Name(name)) if *of_task => vec![name],
                _ => Vec::new(),
            },
            Self::Outcome { task, .. } => vec![task],
            Self::All(inner) | Self::Any(inner) => inner.iter().flat_map(Self::tasks).collect(),
            Self::Not(inner) => inner.tasks(),
        }
    }

    /// Whether it decides about outcomes itself. Otherwise all parents must have completed as well.
    #[must_use]
    pub fn decides_outcomes(&self) -> bool {
        match self {
            Self::Always {} | Self::Outcome { .. } => true,
            Self::Value { .. } => false,
            Self::All(inner) | Self::Any(inner) => inner.iter().any(Self::decides_outcomes),
            Self::Not(inner) => inner.decides_outcomes(),
        }
    }

    /// Whether it is true. A value that is not there makes its comparison false.
    ///
    /// # Errors
    /// When a value is there, but cannot be compared with the constant.
    pub fn holds(&self, facts: &impl Facts) -> Result<bool, Untestable> {
        match self {
            Self::Always {} => Ok(true),
            Self::Value { path, of_task, op, with } => {
                let root = match (path.first(), of_task) {
                    (Some(Key::Name(task)), true) => facts.output(task),
                    _ => facts.input(),
                };
                let inner = &path[usize::from(*of_task).min(path.len())..];
                let failed = |found: &Value| Untestable::new((path, *op, with), found);
                let Some(root) = root else { return Ok(false) };
                match find(root, inner) {
                    Ok(None) => Ok(false),
                    Ok(Some(found)) => {
                        compare::test(*op, &found, with).ok_or_else(|| failed(&found))
                    }
                    Err(closed) => Err(failed(&closed)),
                }
            }
            Self::Outcome { task, is } => Ok(facts.outcome(task) == Some(*is)),
            Self::All(inner) => first(inner, facts, false).map(|found| !found),
            Self::Any(inner) => first(inner, facts, true),
            Self::Not(inner) => inner.holds(facts).map(|holds| !holds),
        }
    }
}

/// Whether one of the conditions has this answer. Those after it are not tested.
fn first(all: &[Condition], facts: &impl Facts, wanted: bool) -> Result<bool, Untestable> {
    for condition in all {
        if condition.holds(facts)? == wanted {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A comparison that has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "its condition '{path} {op} {with}' cannot be tested, because the value is {found}: numbers compare \
     with numbers, texts with texts, and of large values a task must return what is to be compared"
)]
pub struct Untestable {
    path: String,
    op: Op,
    with: String,
    found: String,
}

impl Untestable {
    fn new((path, op, with): (&[Key], Op, &Json), found: &Value) -> Self {
        let found = match found {
            Value::Array(array) if array.shape.is_empty() => {
                format!("of numpy's type {}", array.dtype.descr)
            }
            Value::Array(array) => {
                format!("a numpy array of type {} and shape {:?}", array.dtype.descr, array.shape)
            }
            Value::Opaque(_) => "an array, bytes or a text of 64 KiB or more".to_owned(),
            other => format!("of type {}", other.type_name()),
        };
        let with = number::number_text(with).map_or_else(|| with.to_string(), str::to_owned);
        Self { path: path_text(path), op, with, found }
    }
}

fn path_text(path: &[Key]) -> String {
    let mut text = String::new();
    for key in path {
        // Writing to a text does not fail.
        let _written = match key {
            Key::Index(index) => write!(text, "[{index}]"),
            Key::Name(name) if text.is_empty() => write!(text, "{name}"),
            Key::Name(name) => write!(text, ".{name}"),
        };
    }
    text
}

impl fmt::Display for Op {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::Greater => ">",
            Self::AtLeast => ">=",
            Self::In => "in",
            Self::Contains => "contains",
        })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use ipc_protocol::array::{Array, Payload};
    use ipc_protocol::{Audio, Opaque};
    use serde_json::json;

    use super::*;

    struct Given;

    impl Facts for Given {
        fn outcome(&self, task: &str) -> Option<Outcome> {
            match task {
                "good" => Some(Outcome::Completed),
                "bad" => Some(Outcome::Failed),
                _ => None,
            }
        }

        fn output(&self, task: &str) -> Option<Value> {
            let rows = Value::List(vec![Value::Int(3), Value::Float(2.5), Value::from("x")]);
            let many = Array::from_f32(vec![0.25, 0.5], [2]).unwrap();
            let audio = Audio { samples: many.clone(), sample_rate_hz: 16_000 };
            let apart = Value::Opaque(Opaque {
                type_name: "remotemedia.apart".to_owned(),
                interpreter: String::new(),
                pickle: Payload::from(Bytes::from_static(br#"{"digest": "", "array": null}"#)),
            });
            let entries = vec![
                ("rows".into(), rows),
                ("many".into(), Value::Array(many)),
                ("audio".into(), Value::Audio(audio)),
                ("apart".into(), apart),
                (Value::Int(7), "seven".into()),
            ];
            (task == "good").then(|| Value::Dict(entries))
        }

        fn input(&self) -> Option<Value> {
            Some(Value::Dict(vec![("day".into(), Value::from("monday"))]))
        }
    }

    fn tested(json: Json) -> Result<bool, Untestable> {
        serde_json::from_value::<Condition>(json).unwrap().holds(&Given)
    }

    fn holds(json: Json) -> bool {
        tested(json).unwrap()
    }

    fn value(path: Json, op: &str, with: Json) -> Json {
        json!({"value": {"path": path, "of_task": true, "op": op, "with": with}})
    }

    #[test]
    fn all_comparisons_work() {
        // spec: CLO-13
        let first = || json!(["good", "rows", 0]);
        for (op, with, expected) in [
            ("==", json!(3), true),
            ("==", json!(3.0), true),
            ("!=", json!(3), false),
            ("<", json!(3), false),
            ("<=", json!(3), true),
            (">", json!(2.9), true),
            (">=", json!(4), false),
            ("in", json!([1, 3]), true),
            ("in", json!([1, 2]), false),
            ("==", json!("3"), false),
            ("!=", json!(null), true),
        ] {
            assert_eq!(holds(value(first(), op, with.clone())), expected, "3 {op} {with}");
        }
        assert!(holds(value(json!(["good", "rows"]), "contains", json!("x"))));
        assert!(holds(value(json!(["good", "rows", -1]), "==", json!("x"))));
        assert!(!holds(value(json!(["good", "rows", 7]), "!=", json!(0))), "not there");
        assert!(holds(value(json!(["good"]), "contains", json!("rows"))));
        let of_input =
            json!({"value": {"path": ["day"], "of_task": false, "op": "==", "with": "monday"}});
        assert!(holds(of_input));
    }

    #[test]
    fn what_cannot_be_compared_is_an_error() {
        // spec: CLO-13
        let rows = || json!(["good", "rows"]);
        for (path, op, with, found) in [
            (json!(["good", "rows", 0]), "<", json!("x"), "of type int"),
            (json!(["good", "rows", 2]), ">", json!(5), "of type str"),
            (json!(["good", "rows", 0]), "in", json!("3"), "of type int"),
            (json!(["good", "rows", 0]), "contains", json!(3), "of type int"),
            (rows(), ">", json!(5), "of type list"),
            (json!(["good", "many"]), "==", json!(5), "a numpy array of type <f4 and shape [2]"),
            (
                json!(["good", "apart"]),
                "==",
                json!(5),
                "an array, bytes or a text of 64 KiB or more",
            ),
            (
                json!(["good", "apart", 0]),
                "==",
                json!(5),
                "an array, bytes or a text of 64 KiB or more",
            ),
        ] {
            let error = tested(value(path.clone(), op, with)).unwrap_err().to_string();
            assert!(error.contains(&format!("because the value is {found}:")), "{path}: {error}");
        }
        let either =
            json!({"any": [value(rows(), "contains", json!(3)), value(rows(), ">", json!(1))]});
        assert!(holds(either), "what is decided needs no other answers");
        let error = tested(value(json!(["good", "rows", -1]), "<=", json!(7))).unwrap_err();
        assert!(error.to_string().starts_with("its condition 'good.rows[-1] <= 7' cannot be"));
    }

    #[test]
    fn paths_lead_into_arrays_texts_and_audio() {
        // spec: CLO-13
        assert!(holds(value(json!(["good", "many", 1]), "==", json!(0.5))));
        assert!(holds(value(json!(["good", "many"]), "contains", json!(0.5))));
        assert!(holds(value(json!(["good", "rows", 2, 0]), "==", json!("x"))));
        assert!(holds(value(json!(["good", "audio", 1]), "==", json!(16_000))));
        assert!(holds(value(json!(["good", "audio", 0, -1]), "==", json!(0.5))));
        assert!(holds(value(json!(["good", 7]), "==", json!("seven"))));
    }

    #[test]
    fn conditions_combine() {
        // spec: CLO-13
        let good = || json!({"outcome": {"task": "good", "is": "completed"}});
        let bad = || json!({"outcome": {"task": "bad", "is": "completed"}});
        assert!(holds(json!({"any": [bad(), good()]})));
        assert!(!holds(json!({"all": [bad(), good()]})));
        assert!(holds(json!({"not": bad()})));
        assert!(holds(json!({"always": {}})));
        assert!(holds(json!({"outcome": {"task": "bad", "is": "failed"}})));
    }
}
