//! Kinds that say how the kernel schedules a process.

use serde_json::{Value as Json, json};
use toml::Value;

use super::{Kind, Wrong, out_of_range, wrong_type};

/// What is added to the niceness of a process.
pub(in crate::config) struct Niceness;

impl Kind for Niceness {
    type Value = i32;

    fn read(&self, value: &Value) -> Result<i32, Wrong> {
        let number = value.as_integer().ok_or_else(|| wrong_type("a whole number", value))?;
        let inside = i32::try_from(number).ok().filter(|nice| (-20..=19).contains(nice));
        inside.ok_or_else(|| out_of_range(number, self.range()))
    }

    fn write(&self, value: &i32) -> Value {
        Value::Integer((*value).into())
    }

    fn name(&self) -> &'static str {
        "whole number"
    }

    fn range(&self) -> String {
        "-20 to 19".to_owned()
    }

    fn schema(&self) -> Json {
        json!({"type": "integer", "minimum": -20, "maximum": 19})
    }
}

/// Numbers of processors, as in taskset(1): `0-3,8`.
pub(in crate::config) struct Processors;

impl Processors {
    /// Highest number of a processor: the kernel's largest build has 8,192.
    const LAST: u32 = 8_191;
    const EXPECTED: &'static str = "numbers of processors, such as \"0-3,8\"";

    fn range_of(part: &str) -> Option<std::ops::RangeInclusive<u32>> {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let number = |text: &str| text.trim().parse().ok().filter(|number| *number <= Self::LAST);
        Some(number(first)?..=number(last)?).filter(|range| !range.is_empty())
    }
}

impl Kind for Processors {
    type Value = Vec<u32>;

    fn read(&self, value: &Value) -> Result<Vec<u32>, Wrong> {
        let number;
        let text = match value {
            Value::String(text) => text.trim(),
            Value::Integer(one) => {
                number = one.to_string();
                &number
            }
            other => return Err(wrong_type(Self::EXPECTED, other)),
        };
        let mut processors = Vec::new();
        for part in text.split(',').filter(|_| !text.is_empty()) {
            let refused = || out_of_range(format!("`{}`", part.trim()), self.range());
            processors.extend(Self::range_of(part.trim()).ok_or_else(refused)?);
        }
        processors.sort_unstable();
        processors.dedup();
        Ok(processors)
    }

    fn write(&self, value: &Vec<u32>) -> Value {
        let mut parts: Vec<(u32, u32)> = Vec::new();
        for processor in value {
            match parts.last_mut() {
                Some((_, last)) if *last + 1 == *processor => *last = *processor,
                _ => parts.push((*processor, *processor)),
            }
        }
        let shown = parts.into_iter().map(|(first, last)| match first == last {
            true => first.to_string(),
            false => format!("{first}-{last}"),
        });
        Value::String(shown.collect::<Vec<_>>().join(","))
    }

    fn name(&self) -> &'static str {
        "processors"
    }

    fn range(&self) -> String {
        format!("numbers from 0 to {}, with ranges, such as \"0-3,8\"", Self::LAST)
    }

    fn schema(&self) -> Json {
        let text = json!({"type": "string", "pattern": r"^\s*([0-9]+(-[0-9]+)?(\s*,\s*[0-9]+(-[0-9]+)?)*)?\s*$"});
        json!({"anyOf": [text, {"type": "integer", "minimum": 0, "maximum": Self::LAST}]})
    }
}
