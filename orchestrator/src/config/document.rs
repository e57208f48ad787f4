//! Settings as a tree with the lines that they stand in, whatever they were written in. What the keys
//! mean is left to `merge`.

use std::collections::BTreeMap;

use toml::Value;
use toml::de::{DeTable, DeValue};

use super::error::{ConfigProblem, ConfigProblemKind, Origin};

/// One source of settings.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) origin: Origin,
    /// Sections with keys.
    pub(super) table: toml::Table,
    /// The line of each key, by its path.
    lines: BTreeMap<Vec<String>, usize>,
    /// Why parts of the text could not be read.
    pub(super) problems: Vec<ConfigProblem>,
}

impl Document {
    /// Settings that have no lines.
    pub(super) fn of(table: toml::Table, origin: Origin) -> Self {
        Self { origin, table, lines: BTreeMap::new(), problems: Vec::new() }
    }

    /// Parses TOML. What is not TOML becomes problems, and the rest is kept.
    pub(super) fn parse(text: &str, origin: Origin) -> Self {
        let (parsed, errors) = DeTable::parse_recoverable(text);
        let mut document = Self::of(toml::Table::new(), origin);
        for error in errors {
            let start = error.span().map_or(0, |span| span.start).min(text.len());
            let (line, column) = place(text, start);
            let message = error.message().replace('\n', "; ");
            let kind = ConfigProblemKind::Syntax { column, message };
            document.problem(Some(line), near(text, line), kind);
        }
        let mut path = Vec::new();
        document.table = document.take_table(text, parsed.get_ref(), &mut path);
        document
    }

    fn take_table(
        &mut self,
        text: &str,
        table: &DeTable<'_>,
        path: &mut Vec<String>,
    ) -> toml::Table {
        let mut taken = toml::Table::new();
        for (name, value) in table {
            path.push(name.get_ref().to_string());
            self.lines.insert(path.clone(), place(text, name.span().start).0);
            taken.insert(name.get_ref().to_string(), self.take(text, value.get_ref(), path));
            path.pop();
        }
        taken
    }

    fn take(&mut self, text: &str, value: &DeValue<'_>, path: &mut Vec<String>) -> Value {
        match value {
            DeValue::Table(table) => Value::Table(self.take_table(text, table, path)),
            DeValue::Array(entries) => {
                let entries = entries.iter();
                Value::Array(entries.map(|it| self.take(text, it.get_ref(), path)).collect())
            }
            DeValue::String(text) => Value::String(text.to_string()),
            DeValue::Boolean(flag) => Value::Boolean(*flag),
            DeValue::Datetime(time) => Value::Datetime(*time),
            DeValue::Float(number) => Value::Float(number.as_str().parse().unwrap_or(f64::NAN)),
            // A number that is too large for TOML is too large for every key.
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
                .map_or_else(
                    |_| Value::Float(number.as_str().parse().unwrap_or(f64::INFINITY)),
                    Value::Integer,
                ),
        }
    }

    /// The line of a key or section.
    pub(super) fn line(&self, path: &[&str]) -> Option<usize> {
        let path: Vec<String> = path.iter().map(|name| (*name).to_owned()).collect();
        self.lines.get(&path).copied()
    }

    /// Notes a problem, unless its line could not be read anyway.
    pub(super) fn problem(&mut self, line: Option<usize>, at: String, kind: ConfigProblemKind) {
        let is_known = line.is_some() && self.problems.iter().any(|known| known.line == line);
        // Behind a header that could not be read, keys seem to be sections.
        let is_syntax =
            |known: &ConfigProblem| matches!(known.kind, ConfigProblemKind::Syntax { .. });
        let follows = matches!(kind, ConfigProblemKind::UnknownSection { .. })
            && self.problems.iter().any(is_syntax);
        if !is_known && !follows {
            self.problems.push(ConfigProblem { origin: self.origin.clone(), line, at, kind });
        }
    }
}

/// Line and column of a place in a text, from 1.
pub(super) fn place(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or_default();
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// The key or section that a line which is not TOML seems to be about.
fn near(text: &str, line: usize) -> String {
    let header = |line: &str| {
        let name = line.trim().strip_prefix('[')?.split(']').next().unwrap_or_default();
        Some(name.trim_start_matches('[').to_owned())
    };
    let lines: Vec<&str> = text.lines().take(line).collect();
    let section = lines.iter().rev().find_map(|line| header(line));
    let last = lines.last().filter(|line| header(line).is_none());
    let key = last.and_then(|line| line.split_once('=')).map(|(key, _)| key.trim());
    match (section, key) {
        (Some(section), Some(key)) => format!("[{section}] {key}"),
        (Some(section), None) => format!("[{section}]"),
        (None, key) => key.unwrap_or_default().to_owned(),
    }
}

/// A value that was written without TOML's quotes, as in the environment: the first of its readings
/// that `fits`, else TOML where it is that.
pub(super) fn unquoted(text: &str, fits: impl Fn(&Value) -> bool) -> Value {
    let written = Value::String(text.to_owned());
    let parsed: Option<toml::Table> = toml::from_str(&format!("value = {text}")).ok();
    match parsed.and_then(|mut table| table.remove("value")) {
        Some(value) if fits(&value) || !fits(&written) => value,
        _ => written,
    }
}
