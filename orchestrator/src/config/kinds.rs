//! The types that settings have, each with its range: how a value is written in TOML, checked, shown
//! and described. A kind knows no key; `declare` gives each key one.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::{Value as Json, json};
use toml::Value;

use super::error::ConfigProblemKind as Wrong;

mod process;
mod quantities;
mod texts;

pub(super) use process::{Niceness, Processors};
pub(super) use quantities::{Count, Number, Time, count, size, time};
pub(super) use texts::{AnyPath, List, Texts, list};

pub(super) const MILLISECOND: Duration = Duration::from_millis(1);
pub(super) const DAY: Duration = Duration::from_secs(86_400);
pub(super) const YEAR: Duration = Duration::from_secs(365 * 86_400);

/// A type of settings, with its range.
pub(super) trait Kind: Send + Sync + 'static {
    /// What the orchestrator works with.
    type Value: 'static;

    /// The value that is written, if it is allowed.
    fn read(&self, value: &Value) -> Result<Self::Value, Wrong>;
    /// A value as it is written.
    fn write(&self, value: &Self::Value) -> Value;
    /// The name of the type in the reference.
    fn name(&self) -> &'static str;
    /// The allowed values in words; empty: all of the type.
    fn range(&self) -> String {
        String::new()
    }
    /// The JSON Schema of what is written.
    fn schema(&self) -> Json;
    /// Whether what is written is 0, with or without a unit.
    fn is_zero(&self, value: &Value) -> bool {
        value.as_integer() == Some(0)
    }
}

/// A kind in which 0 is allowed beside the range, and means something of its own.
pub(super) struct OrZero<K> {
    inner: K,
    meaning: &'static str,
}

pub(super) fn or_zero<K: Kind>(inner: K, meaning: &'static str) -> OrZero<K> {
    OrZero { inner, meaning }
}

impl<K: Kind> Kind for OrZero<K>
where
    K::Value: Default,
{
    type Value = K::Value;

    fn read(&self, value: &Value) -> Result<K::Value, Wrong> {
        if self.inner.is_zero(value) {
            return Ok(K::Value::default());
        }
        self.inner.read(value).map_err(|wrong| match wrong {
            Wrong::OutOfRange { value, .. } => Wrong::OutOfRange { value, allowed: self.range() },
            other => other,
        })
    }

    fn write(&self, value: &K::Value) -> Value {
        self.inner.write(value)
    }

    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn range(&self) -> String {
        format!("{}, or 0 ({})", self.inner.range(), self.meaning)
    }

    fn schema(&self) -> Json {
        let inner = self.inner.schema();
        let zero = if inner["type"] == "string" { json!([0, "0"]) } else { json!([0]) };
        json!({"anyOf": [inner, {"enum": zero}]})
    }
}

/// A kind in which 0 means that there is no value.
pub(super) struct Off<K>(OrZero<K>);

pub(super) fn off<K: Kind>(inner: K, meaning: &'static str) -> Off<K> {
    Off(or_zero(inner, meaning))
}

impl<K: Kind> Kind for Off<K>
where
    K::Value: Default + PartialEq + Clone,
{
    type Value = Option<K::Value>;

    fn read(&self, value: &Value) -> Result<Self::Value, Wrong> {
        let value = self.0.read(value)?;
        Ok(Some(value).filter(|value| *value != K::Value::default()))
    }

    fn write(&self, value: &Self::Value) -> Value {
        self.0.write(&value.clone().unwrap_or_default())
    }

    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn range(&self) -> String {
        self.0.range()
    }

    fn schema(&self) -> Json {
        self.0.schema()
    }
}

/// A whole number or `"auto"`.
pub(super) struct Auto<T>(Count<T>);

pub(super) fn auto<T: Number>(range: RangeInclusive<u64>) -> Auto<T> {
    Auto(count(range))
}

impl<T: Number> Kind for Auto<T> {
    type Value = Option<T>;

    fn read(&self, value: &Value) -> Result<Option<T>, Wrong> {
        match value.as_str() {
            Some("auto") => Ok(None),
            Some(_) => Err(wrong_type("a whole number or \"auto\"", value)),
            None => self.0.read(value).map(Some),
        }
    }

    fn write(&self, value: &Option<T>) -> Value {
        value.map_or_else(|| Value::String("auto".to_owned()), |number| self.0.write(&number))
    }

    fn name(&self) -> &'static str {
        "whole number or `\"auto\"`"
    }

    fn range(&self) -> String {
        self.0.range()
    }

    fn schema(&self) -> Json {
        json!({"oneOf": [self.0.schema(), {"const": "auto"}]})
    }
}

/// true or false.
pub(super) struct Flag;

impl Kind for Flag {
    type Value = bool;

    fn read(&self, value: &Value) -> Result<bool, Wrong> {
        value.as_bool().ok_or_else(|| wrong_type("true or false", value))
    }

    fn write(&self, value: &bool) -> Value {
        Value::Boolean(*value)
    }

    fn name(&self) -> &'static str {
        "flag"
    }

    fn range(&self) -> String {
        "true, false".to_owned()
    }

    fn schema(&self) -> Json {
        json!({"type": "boolean"})
    }
}

/// One of a few words. A word may be `true` or `false`, which are then written without quotes.
pub(super) struct Choice<T> {
    pub(super) words: &'static [&'static str],
    pub(super) parse: fn(&str) -> Option<T>,
    pub(super) word: fn(&T) -> &'static str,
}

impl<T: 'static> Kind for Choice<T> {
    type Value = T;

    fn read(&self, value: &Value) -> Result<T, Wrong> {
        let flag = value.as_bool().map(|flag| if flag { "true" } else { "false" });
        let text = value.as_str().or(flag.filter(|word| self.words.contains(word)));
        let text = text.ok_or_else(|| wrong_type(self.range(), value))?;
        let known = Some(text).filter(|text| self.words.contains(text)).and_then(self.parse);
        known.ok_or_else(|| out_of_range(format!("\"{text}\""), self.range()))
    }

    fn write(&self, value: &T) -> Value {
        let word = (self.word)(value);
        word.parse::<bool>().map_or_else(|_| Value::String(word.to_owned()), Value::Boolean)
    }

    fn name(&self) -> &'static str {
        "choice"
    }

    fn range(&self) -> String {
        quoted(self.words)
    }

    fn schema(&self) -> Json {
        let flag = |name: &str| name.parse::<bool>().map_or_else(|_| json!(name), Json::Bool);
        json!({"enum": self.words.iter().map(|name| flag(name)).collect::<Vec<_>>()})
    }
}

/// The words of a choice as they are written in the file: in quotes.
fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
}

fn out_of_range(value: impl Display, allowed: impl Into<String>) -> Wrong {
    Wrong::OutOfRange { value: value.to_string(), allowed: allowed.into() }
}

fn not_a_quantity(text: &str, expected: &str) -> Wrong {
    Wrong::NotAQuantity { text: text.to_owned(), expected: expected.to_owned() }
}

pub(super) fn wrong_type(expected: impl Into<String>, value: &Value) -> Wrong {
    let found = match value {
        Value::String(text) => format!("the text \"{text}\""),
        Value::Integer(number) => format!("the number {number}"),
        Value::Float(number) => format!("the number {number}"),
        Value::Boolean(flag) => flag.to_string(),
        Value::Datetime(_) => "a date".to_owned(),
        Value::Array(_) => "an array".to_owned(),
        Value::Table(_) => "a table".to_owned(),
    };
    Wrong::WrongType { expected: expected.into(), found }
}
