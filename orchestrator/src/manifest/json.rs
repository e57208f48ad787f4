//! Reads JSON text into values without losing anything: integers of any size stay integers, keys
//! stay in order, repeated keys are listed, and an error has its line and column.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use ipc_protocol::Value;
use jiter::{Jiter, JiterError, JiterErrorType, JsonErrorType, Peek};

/// Deepest nesting that is read; a limit because the reader is recursive.
pub const MAX_DEPTH: usize = 128;

/// Text that is not JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {kind}")]
pub struct JsonError {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong there.
    pub kind: JsonErrorKind,
}

/// What is wrong with a text that is not JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonErrorKind {
    /// The text ends in the middle of a value.
    #[error("the text ends where {expected} should be")]
    Ends {
        /// What must follow.
        expected: &'static str,
    },
    /// The text has another character than the expected one.
    #[error("expected {expected}, found '{found}'")]
    Unexpected {
        /// What must follow at this place.
        expected: &'static str,
        /// The character at this place.
        found: char,
    },
    /// A number that is not valid JSON (`01`, `1.`), is too large for a float (`1e999`) or has more
    /// than 4,300 digits.
    #[error("'{text}' is not a number in JSON")]
    BadNumber {
        /// The number as written.
        text: String,
    },
    /// An unknown escape, or half of a surrogate pair.
    #[error("bad escape in a string")]
    BadEscape,
    /// A line break or another control character inside a string.
    #[error("a string must not contain a unescaped control character; write it as an escape")]
    BareControl,
    /// Arrays and objects are nested too deeply.
    #[error("nested more than {MAX_DEPTH} levels deep")]
    TooDeep,
}

/// The value of a JSON text, and the keys that are repeated in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Parsed {
    /// The value: objects are dicts with text keys; the last value of a repeated key counts.
    pub value: Value,
    /// Paths of repeated keys (`nodes[1].id`).
    pub repeated: Vec<String>,
}

/// Reads one JSON value.
///
/// # Errors
/// The first place that is not JSON.
pub fn parse(text: &str) -> Result<Parsed, JsonError> {
    let json = Jiter::new(text.as_bytes());
    let mut reader = Reader { text, json, path: Vec::new(), repeated: Vec::new() };
    match reader.whole() {
        Ok(value) => Ok(Parsed { value, repeated: reader.repeated }),
        Err(stop) => Err(reader.explained(stop)),
    }
}

struct Reader<'a> {
    text: &'a str,
    json: Jiter<'a>,
    path: Vec<String>,
    repeated: Vec<String>,
}

/// Why reading ends early.
enum Stop {
    /// The parser found an error.
    Json(JiterError),
    /// A number that is valid JSON but too large for a float begins at this byte.
    BadNumber(usize),
    /// Arrays and objects are nested more than [`MAX_DEPTH`] levels deep.
    TooDeep,
}

impl From<JiterError> for Stop {
    fn from(error: JiterError) -> Self {
        Self::Json(error)
    }
}

type Read<T> = Result<T, Stop>;

impl Reader<'_> {
    fn whole(&mut self) -> Read<Value> {
        let first = self.json.peek()?;
        let value = self.value(first)?;
        self.json.finish()?;
        Ok(value)
    }

    fn value(&mut self, first: Peek) -> Read<Value> {
        match first {
            Peek::Null => {
                self.json.known_null()?;
                Ok(Value::None)
            }
            Peek::True | Peek::False => Ok(self.json.known_bool(first)?.into()),
            Peek::String => Ok(Value::Str(self.json.known_str()?.to_owned())),
            Peek::Array => self.nested(Self::array),
            Peek::Object => self.nested(Self::object),
            _ => self.number(first),
        }
    }

    fn nested(&mut self, read: fn(&mut Self) -> Read<Value>) -> Read<Value> {
        if self.path.len() >= MAX_DEPTH {
            return Err(Stop::TooDeep);
        }
        self.path.push(String::new());
        let value = read(self)?;
        self.path.pop();
        Ok(value)
    }

    fn step(&mut self, step: String) {
        if let Some(last) = self.path.last_mut() {
            *last = step;
        }
    }

    fn object(&mut self) -> Read<Value> {
        let mut entries: Vec<(Value, Value)> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        let mut next = self.json.known_object()?.map(str::to_owned);
        while let Some(key) = next {
            self.step(format!(".{key}"));
            let first = self.json.peek()?;
            let value = self.value(first)?;
            match places.entry(key) {
                Entry::Occupied(place) => {
                    entries[*place.get()].1 = value;
                    let path = self.path.concat();
                    self.repeated.push(path.trim_start_matches('.').to_owned());
                }
                Entry::Vacant(place) => {
                    entries.push((Value::Str(place.key().clone()), value));
                    place.insert(entries.len() - 1);
                }
            }
            next = self.json.next_key()?.map(str::to_owned);
        }
        Ok(Value::Dict(entries))
    }

    fn array(&mut self) -> Read<Value> {
        let mut items = Vec::new();
        let mut next = self.json.known_array()?;
        while let Some(first) = next {
            self.step(format!("[{}]", items.len()));
            items.push(self.value(first)?);
            next = self.json.array_step()?;
        }
        Ok(Value::List(items))
    }

    /// Reads a number. An integer that does not fit 64 bits becomes a `BigInt`.
    fn number(&mut self, first: Peek) -> Read<Value> {
        let start = self.json.current_index();
        self.json.known_number_bytes(first)?;
        let text = &self.text[start..self.json.current_index()];
        let value = if text.contains(['.', 'e', 'E']) {
            text.parse::<f64>().ok().filter(|number| number.is_finite()).map(Value::Float)
        } else if let Ok(int) = text.parse::<i64>() {
            Some(Value::Int(int))
        } else {
            text.parse().ok().map(Value::BigInt)
        };
        value.ok_or(Stop::BadNumber(start))
    }

    /// Turns a [`Stop`] into an error with line, column and one of the descriptions above.
    fn explained(&self, stop: Stop) -> JsonError {
        let (at, kind) = match stop {
            Stop::TooDeep => (self.json.current_index(), JsonErrorKind::TooDeep),
            Stop::BadNumber(start) => (start, self.bad_number(start)),
            Stop::Json(error) => match error.error_type {
                JiterErrorType::JsonError(kind) => self.in_our_words(&kind, error.index),
                // The parser reports this only when it is asked for one certain type, which is not
                // done here.
                JiterErrorType::WrongType { .. } => {
                    (error.index, self.unexpected("a value", error.index))
                }
            },
        };
        let before = &self.text[..self.text.floor_char_boundary(at)];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        JsonError {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            kind,
        }
    }

    fn in_our_words(&self, kind: &JsonErrorType, at: usize) -> (usize, JsonErrorKind) {
        use JsonErrorType as Told;
        let start = self.json.current_index();
        let expected = match kind {
            Told::InvalidNumber | Told::NumberOutOfRange => return (start, self.bad_number(start)),
            Told::InvalidEscape
            | Told::InvalidUnicodeCodePoint
            | Told::LoneLeadingSurrogateInHexEscape
            | Told::UnexpectedEndOfHexEscape => {
                let before = &self.text[..self.text.floor_char_boundary(at + 1)];
                return (before.rfind('\\').unwrap_or(at), JsonErrorKind::BadEscape);
            }
            Told::ControlCharacterWhileParsingString => return (at, JsonErrorKind::BareControl),
            Told::ExpectedSomeIdent => return (start, self.unexpected("a value", start)),
            Told::EofWhileParsingList | Told::ExpectedListCommaOrEnd => "',' or ']'",
            Told::EofWhileParsingObject | Told::ExpectedObjectCommaOrEnd => "',' or '}'",
            Told::EofWhileParsingString => "the end of a string",
            Told::ExpectedColon => "':'",
            Told::KeyMustBeAString => "a key in double quotes",
            Told::TrailingComma if self.text[at..].starts_with('}') => "a key in double quotes",
            Told::TrailingCharacters => "the end",
            _ => "a value",
        };
        (at, self.unexpected(expected, at))
    }

    fn unexpected(&self, expected: &'static str, at: usize) -> JsonErrorKind {
        match self.text.get(at..).and_then(|rest| rest.chars().next()) {
            Some(found) => JsonErrorKind::Unexpected { expected, found },
            None => JsonErrorKind::Ends { expected },
        }
    }

    fn bad_number(&self, start: usize) -> JsonErrorKind {
        let part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
        let text = self.text[start..].split(|c| !part(c)).next().unwrap_or_default();
        JsonErrorKind::BadNumber { text: text.to_owned() }
    }
}
