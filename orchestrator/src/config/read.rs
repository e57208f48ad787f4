//! Reads a configuration from TOML text and reports all problems at once.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use toml::Value;

use super::Config;
use super::env;
use super::error::{ConfigError, ConfigProblem, ConfigProblemKind, Origin};
use super::keys::{Key, Kind, SECTIONS, keys};
use super::policies;
use super::units::{parse_duration, parse_size, show_duration, show_size};

/// Reads and checks a whole configuration.
pub(super) fn config(text: &str, origin: Origin) -> Result<Config, ConfigError> {
    let table: toml::Table = match toml::from_str(text) {
        Ok(table) => table,
        Err(error) => {
            let problem = ConfigProblem { at: String::new(), kind: syntax(text, &error) };
            return Err(ConfigError { origin, problems: vec![problem] });
        }
    };
    let mut config = Config::default();
    let mut problems = Vec::new();
    let keys = keys();
    for (name, value) in &table {
        if name == policies::SECTION {
            config.nodes = policies::read(value, &mut problems);
            continue;
        }
        section(name, value, &keys, &mut Target { config: &mut config, problems: &mut problems });
    }
    let pools = [
        ("[workers]", config.workers.pool.min, config.workers.pool.max_workers()),
        ("[rustpython]", config.rustpython.pool.min, config.rustpython.pool.max_workers()),
    ];
    for (at, min, max) in pools.into_iter().filter(|(_, min, max)| min > max) {
        let kind = ConfigProblemKind::MinAboveMax { min, max };
        problems.push(ConfigProblem { at: at.to_owned(), kind });
    }
    if problems.is_empty() { Ok(config) } else { Err(ConfigError { origin, problems }) }
}

struct Target<'a> {
    config: &'a mut Config,
    problems: &'a mut Vec<ConfigProblem>,
}

impl Target<'_> {
    fn problem(&mut self, at: String, kind: ConfigProblemKind) {
        self.problems.push(ConfigProblem { at, kind });
    }
}

fn section(name: &str, value: &Value, keys: &[Key], target: &mut Target<'_>) {
    if !SECTIONS.iter().any(|(known, _)| *known == name) {
        let known: Vec<&str> =
            SECTIONS.iter().map(|(known, _)| *known).chain([policies::SECTION]).collect();
        let kind = unknown_at_top(name, &known, keys);
        return target.problem(String::new(), kind);
    }
    let Value::Table(entries) = value else {
        let expected = format!("a section, written [{name}]");
        return target.problem(format!("[{name}]"), wrong_type(expected, value));
    };
    for (entry, value) in entries {
        let at = format!("[{name}] {entry}");
        match keys.iter().find(|key| key.section == name && key.name == entry) {
            Some(key) => {
                if let Err(kind) = apply(&key.kind, value, target.config) {
                    target.problem(at, kind);
                }
            }
            None => {
                let known: Vec<&str> =
                    keys.iter().filter(|key| key.section == name).map(|key| key.name).collect();
                let kind = ConfigProblemKind::UnknownKey {
                    name: entry.clone(),
                    nearest: nearest(entry, &known),
                    known: owned(&known),
                };
                target.problem(format!("[{name}]"), kind);
            }
        }
    }
}

/// The problem for an unknown name at the top level. If the name is that of a key, the suggestion
/// is this key in its section.
fn unknown_at_top(name: &str, sections: &[&str], keys: &[Key]) -> ConfigProblemKind {
    let nearest = keys
        .iter()
        .find(|key| key.name == name)
        .map(|key| format!("[{}] {}", key.section, key.name))
        .or_else(|| nearest(name, sections));
    ConfigProblemKind::UnknownSection { name: name.to_owned(), nearest, known: owned(sections) }
}

pub(super) fn apply(
    kind: &Kind,
    value: &Value,
    config: &mut Config,
) -> Result<(), ConfigProblemKind> {
    match kind {
        Kind::Count { range, set, .. } => set(config, count(value, range)?),
        Kind::AutoCount { set, .. } if value.as_str() == Some("auto") => set(config, None),
        Kind::AutoCount { range, set, .. } => {
            if matches!(value, Value::String(_)) {
                return Err(wrong_type("a whole number or \"auto\"", value));
            }
            set(config, Some(count(value, range)?));
        }
        Kind::Duration { range, zero, set, .. } => set(config, duration(value, range, *zero)?),
        Kind::Size { range, zero, set, .. } => set(config, size(value, range, *zero)?),
        Kind::Flag { set, .. } => {
            set(config, value.as_bool().ok_or_else(|| wrong_type("true or false", value))?);
        }
        Kind::Path { set, .. } => {
            let text = value.as_str().ok_or_else(|| wrong_type("a text in quotes", value))?;
            set(config, (!text.is_empty()).then(|| env::at_home(text)));
        }
        Kind::Names { known, set, .. } => {
            let text = value.as_str().ok_or_else(|| wrong_type("a text in quotes", value))?;
            let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
            if let Some(unknown) = names.into_iter().find(|name| !known.contains(name)) {
                return Err(out_of_range(format!("`{unknown}`"), &quoted(known)));
            }
            set(config, text.to_owned());
        }
        Kind::Choice { names, set, .. } => {
            let expected = || quoted(names);
            let flag = value.as_bool().map(|flag| if flag { "true" } else { "false" });
            let text = value.as_str().or(flag.filter(|word| names.contains(word)));
            let text = text.ok_or_else(|| wrong_type(expected(), value))?;
            if !names.contains(&text) {
                return Err(out_of_range(format!("\"{text}\""), &expected()));
            }
            set(config, text);
        }
        Kind::Texts { set, .. } => set(config, texts(value)?),
        Kind::List { set, .. } => set(config, list(value)?),
    }
    Ok(())
}

fn list(value: &Value) -> Result<Vec<String>, ConfigProblemKind> {
    const EXPECTED: &str = "a list of texts, such as [\"NAME\", \"OTHER\"]";
    let refused = |value: &Value| wrong_type(EXPECTED, value);
    let names: Vec<&str> = match value {
        Value::String(text) => text.split(',').map(str::trim).collect(),
        Value::Array(entries) => entries
            .iter()
            .map(|entry| entry.as_str().ok_or_else(|| refused(entry)))
            .collect::<Result<_, _>>()?,
        other => return Err(refused(other)),
    };
    Ok(names.into_iter().filter(|name| !name.is_empty()).map(str::to_owned).collect())
}

fn count(value: &Value, range: &RangeInclusive<u64>) -> Result<u64, ConfigProblemKind> {
    let number = value.as_integer().ok_or_else(|| wrong_type("a whole number", value))?;
    u64::try_from(number)
        .ok()
        .filter(|n| range.contains(n))
        .ok_or_else(|| out_of_range(number, &format!("{} to {}", range.start(), range.end())))
}

fn duration(
    value: &Value,
    range: &RangeInclusive<Duration>,
    zero: Option<&str>,
) -> Result<Duration, ConfigProblemKind> {
    const EXPECTED: &str =
        "a duration with its unit, such as \"250 ms\", \"30 s\", \"2 min\" or \"1 h\"";
    let time = match value {
        Value::Integer(0) => Duration::ZERO,
        Value::String(text) => {
            parse_duration(text).ok_or_else(|| not_a_quantity(text, EXPECTED))?
        }
        other => return Err(wrong_type(EXPECTED, other)),
    };
    if range.contains(&time) || (time.is_zero() && zero.is_some()) {
        return Ok(time);
    }
    let (low, high) = (show_duration(*range.start()), show_duration(*range.end()));
    Err(out_of_range(show_duration(time), &bounds(&low, &high, zero)))
}

fn size(
    value: &Value,
    range: &RangeInclusive<u64>,
    zero: Option<&str>,
) -> Result<u64, ConfigProblemKind> {
    const EXPECTED: &str = "a size with its unit, such as \"64 MiB\", \"1.5 GB\" or \"512 B\"";
    let bytes = match value {
        Value::Integer(0) => 0,
        Value::String(text) => parse_size(text).ok_or_else(|| not_a_quantity(text, EXPECTED))?,
        other => return Err(wrong_type(EXPECTED, other)),
    };
    if range.contains(&bytes) || (bytes == 0 && zero.is_some()) {
        return Ok(bytes);
    }
    let (low, high) = (show_size(*range.start()), show_size(*range.end()));
    Err(out_of_range(show_size(bytes), &bounds(&low, &high, zero)))
}

fn texts(value: &Value) -> Result<BTreeMap<String, String>, ConfigProblemKind> {
    const EXPECTED: &str = "a table of texts, such as { NAME = \"value\" }";
    let table = value.as_table().ok_or_else(|| wrong_type(EXPECTED, value))?;
    let mut texts = BTreeMap::new();
    for (name, value) in table {
        let text = value.as_str().ok_or_else(|| wrong_type(format!("a text for {name}"), value))?;
        if name.is_empty() || name.contains(['=', '\0']) || text.contains('\0') {
            let allowed = "names without `=`, texts without NUL characters".to_owned();
            return Err(ConfigProblemKind::OutOfRange { value: format!("`{name}`"), allowed });
        }
        texts.insert(name.clone(), text.to_owned());
    }
    Ok(texts)
}

fn bounds(low: &str, high: &str, zero: Option<&str>) -> String {
    match zero {
        Some(meaning) => format!("{low} to {high}, or 0 ({meaning})"),
        None => format!("{low} to {high}"),
    }
}

/// The words of a choice as they are written in the file: in quotes.
pub(super) fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
}

fn out_of_range(value: impl Display, allowed: &str) -> ConfigProblemKind {
    ConfigProblemKind::OutOfRange { value: value.to_string(), allowed: allowed.to_owned() }
}

fn not_a_quantity(text: &str, expected: &str) -> ConfigProblemKind {
    ConfigProblemKind::NotAQuantity { text: text.to_owned(), expected: expected.to_owned() }
}

pub(super) fn wrong_type(expected: impl Into<String>, value: &Value) -> ConfigProblemKind {
    let found = match value {
        Value::String(text) => format!("the text \"{text}\""),
        Value::Integer(number) => format!("the number {number}"),
        Value::Float(number) => format!("the number {number}"),
        Value::Boolean(flag) => flag.to_string(),
        Value::Datetime(_) => "a date".to_owned(),
        Value::Array(_) => "an array".to_owned(),
        Value::Table(_) => "a table".to_owned(),
    };
    ConfigProblemKind::WrongType { expected: expected.into(), found }
}

pub(super) fn nearest(name: &str, known: &[&str]) -> Option<String> {
    nodes::suggest::nearest(name, known.iter().copied()).map(str::to_owned)
}

pub(super) fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn syntax(text: &str, error: &toml::de::Error) -> ConfigProblemKind {
    let offset = error.span().map_or(0, |span| span.start).min(text.len());
    let before = text.get(..offset).unwrap_or_default();
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    ConfigProblemKind::Syntax {
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
        message: error.message().replace('\n', "; "),
    }
}
