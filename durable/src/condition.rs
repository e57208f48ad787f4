//! Conditions on the outcomes and values of earlier tasks. Pure.

use std::cmp::Ordering;

use ipc_protocol::Value;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::record::Outcome;

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

/// How two values are compared. Values of types that have no order are neither smaller nor larger.
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
    /// The value is an element of the other one.
    #[serde(rename = "in")]
    In,
    /// The other one is an element of the value.
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
    pub fn holds(&self, facts: &impl Facts) -> bool {
        match self {
            Self::Always {} => true,
            Self::Value { path, of_task, op, with } => {
                let root = match (path.first(), of_task) {
                    (Some(Key::Name(task)), true) => facts.output(task),
                    _ => facts.input(),
                };
                let inner = &path[usize::from(*of_task).min(path.len())..];
                root.as_ref().and_then(|root| find(root, inner)).is_some_and(|v| op.holds(v, with))
            }
            Self::Outcome { task, is } => facts.outcome(task) == Some(*is),
            Self::All(inner) => inner.iter().all(|condition| condition.holds(facts)),
            Self::Any(inner) => inner.iter().any(|condition| condition.holds(facts)),
            Self::Not(inner) => !inner.holds(facts),
        }
    }
}

fn find<'a>(value: &'a Value, path: &[Key]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, key| match (key, value) {
        (Key::Name(name), value) => value.get(name),
        (Key::Index(index), Value::List(items) | Value::Tuple(items)) => {
            let from_end = i64::try_from(items.len()).unwrap_or(i64::MAX);
            let index = if *index < 0 { index + from_end } else { *index };
            items.get(usize::try_from(index).ok()?)
        }
        _ => None,
    })
}

impl Op {
    fn holds(self, value: &Value, with: &Json) -> bool {
        let order = || compare(value, with);
        match self {
            Self::Equal => is_equal(value, with),
            Self::NotEqual => !is_equal(value, with),
            Self::Less => order() == Some(Ordering::Less),
            Self::AtMost => matches!(order(), Some(Ordering::Less | Ordering::Equal)),
            Self::Greater => order() == Some(Ordering::Greater),
            Self::AtLeast => matches!(order(), Some(Ordering::Greater | Ordering::Equal)),
            Self::In => match (value, with) {
                (value, Json::Array(items)) => items.iter().any(|item| is_equal(value, item)),
                (Value::Str(part), Json::String(text)) => text.contains(part.as_str()),
                _ => false,
            },
            Self::Contains => match (value, with) {
                (
                    Value::List(items)
                    | Value::Tuple(items)
                    | Value::Set(items)
                    | Value::FrozenSet(items),
                    with,
                ) => items.iter().any(|item| is_equal(item, with)),
                (Value::Dict(entries), with) => entries.iter().any(|(key, _)| is_equal(key, with)),
                (Value::Str(text), Json::String(part)) => text.contains(part.as_str()),
                _ => false,
            },
        }
    }
}

fn is_equal(value: &Value, with: &Json) -> bool {
    match (value, with) {
        (Value::None, Json::Null) => true,
        (Value::List(items) | Value::Tuple(items), Json::Array(others)) => {
            items.len() == others.len() && items.iter().zip(others).all(|(v, j)| is_equal(v, j))
        }
        (Value::Dict(entries), Json::Object(others)) => {
            entries.len() == others.len()
                && entries.iter().all(|(key, value)| {
                    let Value::Str(key) = key else { return false };
                    others.get(key).is_some_and(|other| is_equal(value, other))
                })
        }
        _ => compare(value, with) == Some(Ordering::Equal),
    }
}

/// The order of two numbers, texts or truths; `None` for other types and for NaN.
fn compare(value: &Value, with: &Json) -> Option<Ordering> {
    match (value, with) {
        (Value::Str(text), Json::String(other)) => Some(text.as_str().cmp(other)),
        (Value::Bool(truth), Json::Bool(other)) => Some(truth.cmp(other)),
        (value, Json::Bool(other)) => compare(value, &Json::from(i64::from(*other))),
        (Value::Bool(truth), with) => compare(&Value::Int(i64::from(*truth)), with),
        (Value::Int(number), Json::Number(other)) => match other.as_i64() {
            Some(other) => Some(number.cmp(&other)),
            #[expect(clippy::cast_precision_loss, reason = "Python compares with floats as well")]
            None => (*number as f64).partial_cmp(&other.as_f64()?),
        },
        (Value::Float(number), Json::Number(other)) => number.partial_cmp(&other.as_f64()?),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
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
            (task == "good").then(|| Value::Dict(vec![("rows".into(), rows)]))
        }

        fn input(&self) -> Option<Value> {
            Some(Value::Dict(vec![("day".into(), Value::from("monday"))]))
        }
    }

    fn holds(json: Json) -> bool {
        serde_json::from_value::<Condition>(json).unwrap().holds(&Given)
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
            ("<", json!("x"), false),
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
