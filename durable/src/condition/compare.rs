//! Compares a value of a run with the constant of a condition. Pure.
//!
//! Numbers compare as in Python: exactly, whatever their types. Scalars of numpy count as the number or
//! the text that they hold. A result of `None` means that the two cannot be compared.

use std::cmp::Ordering;

use ipc_protocol::Value;
use serde_json::Value as Json;

use super::Op;
use super::element::{elements, plain};
use super::number::Number;

/// Applies an operator.
pub(super) fn test(op: Op, value: &Value, with: &Json) -> Option<bool> {
    let is_one_of = |wanted: &[Ordering]| {
        let found = order(value, with)?;
        Some(found.is_some_and(|found| wanted.contains(&found)))
    };
    match op {
        Op::Equal => is_equal(value, with),
        Op::NotEqual => is_equal(value, with).map(|is_same| !is_same),
        Op::Less => is_one_of(&[Ordering::Less]),
        Op::AtMost => is_one_of(&[Ordering::Less, Ordering::Equal]),
        Op::Greater => is_one_of(&[Ordering::Greater]),
        Op::AtLeast => is_one_of(&[Ordering::Greater, Ordering::Equal]),
        Op::In => is_in(value, with),
        Op::Contains => contains(value, with),
    }
}

/// The order of two numbers or texts; within it `None` for NaN.
fn order(value: &Value, with: &Json) -> Option<Option<Ordering>> {
    let value = plain(value);
    match (&*value, with) {
        (Value::Str(text), Json::String(other)) => Some(Some(text.as_str().cmp(other))),
        (value, with) => Some(Number::of(value)?.order(&Number::of_constant(with)?)),
    }
}

fn is_in(value: &Value, with: &Json) -> Option<bool> {
    let value = plain(value);
    match (&*value, with) {
        (value, Json::Array(items)) => any(items.iter().map(|item| is_equal(value, item))),
        (Value::Str(part), Json::String(text)) => Some(text.contains(part.as_str())),
        (_, Json::Object(_)) if Number::of_constant(with).is_some() => None,
        (Value::Str(key), Json::Object(entries)) => Some(entries.contains_key(key)),
        (Value::Bool(_) | Value::Int(_) | Value::Float(_), Json::Object(_)) => Some(false),
        _ => None,
    }
}

fn contains(value: &Value, with: &Json) -> Option<bool> {
    let value = plain(value);
    match (&*value, with) {
        (
            Value::List(items) | Value::Tuple(items) | Value::Set(items) | Value::FrozenSet(items),
            with,
        ) => any(items.iter().map(|item| is_equal(item, with))),
        (Value::Dict(entries), with) => any(entries.iter().map(|(key, _)| is_equal(key, with))),
        (Value::Str(text), Json::String(part)) => Some(text.contains(part.as_str())),
        (Value::Array(array), with) => {
            any(elements(array)?.iter().map(|item| is_equal(item, with)))
        }
        _ => None,
    }
}

fn is_equal(value: &Value, with: &Json) -> Option<bool> {
    let value = plain(value);
    if let (Some(number), Some(other)) = (Number::of(&value), Number::of_constant(with)) {
        return Some(number.order(&other) == Some(Ordering::Equal));
    }
    match (&*value, with) {
        (Value::List(items) | Value::Tuple(items), Json::Array(others)) => {
            let is_as_long = std::iter::once(Some(items.len() == others.len()));
            let pairs = items.iter().zip(others).map(|(item, other)| is_equal(item, other));
            every(is_as_long.chain(pairs))
        }
        // A set is written as a list.
        (Value::Set(items) | Value::FrozenSet(items), Json::Array(others)) => {
            let is_as_large = std::iter::once(Some(items.len() == others.len()));
            every(is_as_large.chain(others.iter().map(|other| contains(&value, other))))
        }
        (Value::Dict(entries), Json::Object(others)) => {
            let is_as_large = std::iter::once(Some(entries.len() == others.len()));
            let pairs = entries.iter().map(|(key, item)| match key {
                Value::Str(key) => others.get(key).map_or(Some(false), |o| is_equal(item, o)),
                _ => Some(false),
            });
            every(is_as_large.chain(pairs))
        }
        (Value::Str(text), Json::String(other)) => Some(text == other),
        // What is kept apart is not here to be looked at, and arrays have no single answer.
        (Value::Array(_) | Value::Audio(_) | Value::Opaque(_), _) => None,
        (value, with) => Some(matches!((value, with), (Value::None, Json::Null))),
    }
}

/// Whether an answer is yes; `None` when none is, and one is missing.
fn any(answers: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut is_complete = true;
    for answer in answers {
        match answer {
            Some(true) => return Some(true),
            Some(false) => {}
            None => is_complete = false,
        }
    }
    is_complete.then_some(false)
}

/// Whether all answers are yes; `None` when none is no, and one is missing.
fn every(answers: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    any(answers.map(|answer| answer.map(|is_true| !is_true))).map(|is_false| !is_false)
}
