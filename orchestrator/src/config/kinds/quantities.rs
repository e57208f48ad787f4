//! Kinds with numbers: counts, durations and sizes.

use std::marker::PhantomData;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::{Value as Json, json};
use toml::Value;

use super::{Kind, Wrong, not_a_quantity, out_of_range, wrong_type};
use crate::config::units::{parse_duration, parse_size, show_duration, show_size};

/// An integer type of settings.
pub(in crate::config) trait Number:
    TryFrom<u64> + Copy + Send + Sync + 'static
{
    fn wide(self) -> u64;
}

impl Number for u32 {
    fn wide(self) -> u64 {
        self.into()
    }
}

impl Number for u64 {
    fn wide(self) -> u64 {
        self
    }
}

impl Number for usize {
    fn wide(self) -> u64 {
        u64::try_from(self).unwrap_or(u64::MAX)
    }
}

/// A whole number.
pub(in crate::config) struct Count<T>(RangeInclusive<u64>, PhantomData<T>);

pub(in crate::config) fn count<T: Number>(range: RangeInclusive<u64>) -> Count<T> {
    Count(range, PhantomData)
}

impl<T: Number> Kind for Count<T> {
    type Value = T;

    fn read(&self, value: &Value) -> Result<T, Wrong> {
        let number = value.as_integer().ok_or_else(|| wrong_type("a whole number", value))?;
        let inside = u64::try_from(number).ok().filter(|number| self.0.contains(number));
        let typed = inside.and_then(|number| T::try_from(number).ok());
        typed.ok_or_else(|| out_of_range(number, self.range()))
    }

    fn write(&self, value: &T) -> Value {
        Value::Integer(i64::try_from(value.wide()).unwrap_or(i64::MAX))
    }

    fn name(&self) -> &'static str {
        "whole number"
    }

    fn range(&self) -> String {
        format!("{} to {}", self.0.start(), self.0.end())
    }

    fn schema(&self) -> Json {
        json!({"type": "integer", "minimum": self.0.start(), "maximum": self.0.end()})
    }
}

/// A duration with its unit.
pub(in crate::config) struct Time(RangeInclusive<Duration>);

pub(in crate::config) fn time(range: RangeInclusive<Duration>) -> Time {
    Time(range)
}

impl Kind for Time {
    type Value = Duration;

    fn read(&self, value: &Value) -> Result<Duration, Wrong> {
        const EXPECTED: &str =
            "a duration with its unit, such as \"250 ms\", \"30 s\", \"2 min\" or \"1 h\"";
        let time = match value {
            Value::Integer(0) => Duration::ZERO,
            Value::String(text) => {
                parse_duration(text).ok_or_else(|| not_a_quantity(text, EXPECTED))?
            }
            other => return Err(wrong_type(EXPECTED, other)),
        };
        let inside = Some(time).filter(|time| self.0.contains(time));
        inside.ok_or_else(|| out_of_range(show_duration(time), self.range()))
    }

    fn write(&self, value: &Duration) -> Value {
        Value::String(show_duration(*value))
    }

    fn name(&self) -> &'static str {
        "duration"
    }

    fn range(&self) -> String {
        format!("{} to {}", show_duration(*self.0.start()), show_duration(*self.0.end()))
    }

    fn schema(&self) -> Json {
        json!({"type": "string", "pattern": r"^\s*[0-9][0-9_]*(\.[0-9_]+)?\s*(us|ms|s|min|h)\s*$"})
    }

    fn is_zero(&self, value: &Value) -> bool {
        value.as_integer() == Some(0)
            || value.as_str().and_then(parse_duration) == Some(Duration::ZERO)
    }
}

/// A size in bytes with its unit.
pub(in crate::config) struct Size(RangeInclusive<u64>);

pub(in crate::config) fn size(range: RangeInclusive<u64>) -> Size {
    Size(range)
}

impl Kind for Size {
    type Value = u64;

    fn read(&self, value: &Value) -> Result<u64, Wrong> {
        const EXPECTED: &str = "a size with its unit, such as \"64 MiB\", \"1.5 GB\" or \"512 B\"";
        let bytes = match value {
            Value::Integer(0) => 0,
            Value::String(text) => {
                parse_size(text).ok_or_else(|| not_a_quantity(text, EXPECTED))?
            }
            other => return Err(wrong_type(EXPECTED, other)),
        };
        let inside = Some(bytes).filter(|bytes| self.0.contains(bytes));
        inside.ok_or_else(|| out_of_range(show_size(bytes), self.range()))
    }

    fn write(&self, value: &u64) -> Value {
        Value::String(show_size(*value))
    }

    fn name(&self) -> &'static str {
        "size"
    }

    fn range(&self) -> String {
        format!("{} to {}", show_size(*self.0.start()), show_size(*self.0.end()))
    }

    fn schema(&self) -> Json {
        let pattern = r"^\s*[0-9][0-9_]*(\.[0-9_]+)?\s*([KMGTkmgt]?[iI]?[bB])\s*$";
        let text = json!({"type": "string", "pattern": pattern});
        if *self.0.start() > 0 { text } else { json!({"anyOf": [text, {"enum": [0, "0"]}]}) }
    }

    fn is_zero(&self, value: &Value) -> bool {
        value.as_integer() == Some(0) || value.as_str().and_then(parse_size) == Some(0)
    }
}
