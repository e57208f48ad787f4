//! Reads the fields of one JSON object and reports wrong types and unknown names, with their paths.
//! The callers know what the fields mean.

use ipc_protocol::Value;
use nodes::suggest;
use serde_json::{Map, Number, Value as Json};

use super::problem::{Problem, ProblemKind};

/// Longest excerpt of a user's value in a message, in characters.
const EXCERPT: usize = 60;

/// One object of the manifest.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    path: String,
    node_id: Option<String>,
    entries: &'a [(Value, Value)],
}

/// The problems found so far.
pub(super) type Problems = Vec<Problem>;

impl<'a> Fields<'a> {
    /// The fields of `value`, which is at `path`; reports a value that is not an object.
    pub(super) fn of(
        value: &'a Value,
        path: String,
        expected: &'static str,
        problems: &mut Problems,
    ) -> Option<Self> {
        if let Value::Dict(entries) = value {
            return Some(Self { path, node_id: None, entries });
        }
        let kind = ProblemKind::WrongType { expected, found: describe(value) };
        problems.push(Problem { path, node_id: None, kind });
        None
    }

    /// Sets the node that the object belongs to, for messages.
    pub(super) fn set_node(&mut self, id: &str) {
        self.node_id = Some(id.to_owned());
    }

    /// The path of the field `name`.
    pub(super) fn at(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// Reports a problem of the field `name`.
    pub(super) fn report(&self, name: &str, kind: ProblemKind, problems: &mut Problems) {
        problems.push(Problem { path: self.at(name), node_id: self.node_id.clone(), kind });
    }

    /// Reports every field that is not in `known`. `renamed` lists fields of older formats, each
    /// with what v1 has instead.
    pub(super) fn only(
        &self,
        known: &'static [&'static str],
        renamed: &[(&str, &'static str)],
        problems: &mut Problems,
    ) {
        for (name, _) in self.names() {
            if known.contains(&name) {
                continue;
            }
            let kind = match renamed.iter().find(|(old, _)| *old == name) {
                Some((_, instead)) => ProblemKind::OldField { instead },
                None => ProblemKind::UnknownField {
                    nearest: suggest::nearest(name, known.iter().copied()).map(str::to_owned),
                    known,
                },
            };
            self.report(name, kind, problems);
        }
    }

    /// Whether the field is present, even as null.
    pub(super) fn has(&self, name: &str) -> bool {
        self.names().any(|(known, _)| known == name)
    }

    /// The value of a field that is present and not null.
    pub(super) fn get(&self, name: &str) -> Option<&'a Value> {
        let (_, value) = self.names().find(|(known, _)| *known == name)?;
        (*value != Value::None).then_some(value)
    }

    fn names(&self) -> impl Iterator<Item = (&'a str, &'a Value)> + use<'a> {
        self.entries.iter().filter_map(|(key, value)| match key {
            Value::Str(name) => Some((name.as_str(), value)),
            _ => None,
        })
    }

    /// A field converted by `read`, which returns `None` for a wrong type; that is reported.
    fn typed<T>(
        &self,
        name: &str,
        expected: &'static str,
        problems: &mut Problems,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Option<T> {
        let value = self.get(name)?;
        let read = read(value);
        if read.is_none() {
            let kind = ProblemKind::WrongType { expected, found: describe(value) };
            self.report(name, kind, problems);
        }
        read
    }

    /// A text.
    pub(super) fn text(&self, name: &str, problems: &mut Problems) -> Option<&'a str> {
        self.typed(name, "a text", problems, |value| match value {
            Value::Str(text) => Some(text.as_str()),
            _ => None,
        })
    }

    /// A text that must be present.
    pub(super) fn required_text(
        &self,
        name: &str,
        expected: &'static str,
        problems: &mut Problems,
    ) -> Option<&'a str> {
        if self.get(name).is_none() {
            self.report(name, ProblemKind::Missing { expected }, problems);
        }
        self.text(name, problems)
    }

    /// One of several words.
    pub(super) fn choice(
        &self,
        name: &str,
        known: &[&'static str],
        problems: &mut Problems,
    ) -> Option<&'static str> {
        let text = self.text(name, problems)?;
        let found = known.iter().copied().find(|word| *word == text);
        if found.is_none() {
            let kind = ProblemKind::NotAChoice {
                found: shortened(text),
                nearest: suggest::nearest(text, known.iter().copied()).map(str::to_owned),
                known: known.to_vec(),
            };
            self.report(name, kind, problems);
        }
        found
    }

    /// true or false.
    pub(super) fn flag(&self, name: &str, problems: &mut Problems) -> Option<bool> {
        self.typed(name, "true or false", problems, |value| match value {
            Value::Bool(flag) => Some(*flag),
            _ => None,
        })
    }

    /// A whole number in `range`; `rule` describes the range in words.
    pub(super) fn integer(
        &self,
        name: &str,
        range: std::ops::RangeInclusive<u64>,
        rule: &'static str,
        problems: &mut Problems,
    ) -> Option<u64> {
        let value = self.get(name)?;
        let number = match value {
            Value::Int(number) => u64::try_from(*number).ok(),
            Value::BigInt(_) => None,
            _ => return self.typed(name, "a whole number", problems, |_| None),
        };
        let number = number.filter(|number| range.contains(number));
        if number.is_none() {
            self.report(name, ProblemKind::OutOfRange { found: describe(value), rule }, problems);
        }
        number
    }

    /// Checks that a field is a number above 0.
    pub(super) fn positive(&self, name: &str, problems: &mut Problems) {
        let above_zero = match self.get(name) {
            None => return,
            Some(Value::Int(number)) => *number > 0,
            Some(Value::Float(number)) => *number > 0.0,
            Some(Value::BigInt(number)) => !number.to_string().starts_with('-'),
            Some(_) => {
                self.typed(name, "a number", problems, |_| None::<()>);
                return;
            }
        };
        if let (false, Some(value)) = (above_zero, self.get(name)) {
            let found = describe(value);
            let kind = ProblemKind::OutOfRange { found, rule: "a number above 0" };
            self.report(name, kind, problems);
        }
    }

    /// A list.
    pub(super) fn list(&self, name: &str, problems: &mut Problems) -> Option<&'a [Value]> {
        self.typed(name, "a list", problems, |value| match value {
            Value::List(items) => Some(items.as_slice()),
            _ => None,
        })
    }

    /// An object inside this one.
    pub(super) fn object(&self, name: &str, problems: &mut Problems) -> Option<Self> {
        let mut inner = Self::of(self.get(name)?, self.at(name), "an object", problems)?;
        inner.node_id.clone_from(&self.node_id);
        Some(inner)
    }

    /// The whole object as JSON, keys in order; reports integers that do not fit 64 bits.
    pub(super) fn to_json(&self, problems: &mut Problems) -> Map<String, Json> {
        self.names()
            .map(|(name, value)| (name.to_owned(), self.json(value, &self.at(name), problems)))
            .collect()
    }

    fn json(&self, value: &'a Value, path: &str, problems: &mut Problems) -> Json {
        match value {
            Value::Bool(flag) => Json::Bool(*flag),
            Value::Int(number) => Json::from(*number),
            Value::Float(number) => Number::from_f64(*number).map_or(Json::Null, Json::Number),
            Value::Str(text) => Json::String(text.clone()),
            Value::List(items) => items
                .iter()
                .enumerate()
                .map(|(at, item)| self.json(item, &format!("{path}[{at}]"), problems))
                .collect(),
            Value::Dict(entries) => {
                let inner = Self { path: path.to_owned(), node_id: self.node_id.clone(), entries };
                Json::Object(inner.to_json(problems))
            }
            Value::BigInt(number) => match number.to_string().parse::<u64>() {
                Ok(number) => Json::from(number),
                Err(_) => {
                    let kind = ProblemKind::HugeInteger { digits: number.to_string() };
                    let node_id = self.node_id.clone();
                    problems.push(Problem { path: path.to_owned(), node_id, kind });
                    Json::Null
                }
            },
            // The JSON reader makes no other values.
            _ => Json::Null,
        }
    }
}

/// Type and value of a JSON value, short enough for a message.
pub(super) fn describe(value: &Value) -> String {
    match value {
        Value::None => "null".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Int(number) => format!("the number {number}"),
        Value::BigInt(number) => format!("the number {number}"),
        Value::Float(number) => format!("the number {number}"),
        Value::Str(text) => format!("the text '{}'", shortened(text)),
        Value::List(items) => format!("a list of {}", items.len()),
        _ => "an object".to_owned(),
    }
}

/// A text cut to `EXCERPT` characters.
pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(EXCERPT) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}
