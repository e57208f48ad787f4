//! Reads JSON text into values without losing anything: integers of any size stay integers, keys
//! stay in order, a repeated key is noticed, and an error has its line and column.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use ipc_protocol::Value;

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
        /// What should follow.
        expected: &'static str,
    },
    /// Something else stands where a certain thing should.
    #[error("expected {expected}, found '{found}'")]
    Unexpected {
        /// What should stand here.
        expected: &'static str,
        /// What does.
        found: char,
    },
    /// A number that JSON does not have, such as `01`, `1.` or `1e999`.
    #[error("'{text}' is not a number in JSON")]
    BadNumber {
        /// The number as written.
        text: String,
    },
    /// An escape that JSON does not have, or half of a surrogate pair.
    #[error("bad escape in a string")]
    BadEscape,
    /// A line break or another control character inside a string.
    #[error("a string must not contain a bare control character; write it as an escape")]
    BareControl,
    /// Arrays and objects are nested too deeply.
    #[error("nested more than {MAX_DEPTH} deep")]
    TooDeep,
}

/// A text as a value, and what was repeated in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Parsed {
    /// The value: objects are dicts with text keys; of a repeated key the last value counts.
    pub value: Value,
    /// Paths of repeated keys (`nodes[1].id`).
    pub repeated: Vec<String>,
}

/// Reads one JSON value.
///
/// # Errors
/// The first place that is not JSON.
pub fn parse(text: &str) -> Result<Parsed, JsonError> {
    let mut reader = Reader { text, at: 0, path: Vec::new(), repeated: Vec::new() };
    let outcome = reader.whole();
    match outcome {
        Ok(value) => Ok(Parsed { value, repeated: reader.repeated }),
        Err(kind) => {
            let before = &text[..reader.at];
            let line_start = before.rfind('\n').map_or(0, |at| at + 1);
            Err(JsonError {
                line: before.matches('\n').count() + 1,
                column: before[line_start..].chars().count() + 1,
                kind,
            })
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    /// Offset in bytes, always at the start of a character.
    at: usize,
    path: Vec<String>,
    repeated: Vec<String>,
}

type Read<T> = Result<T, JsonErrorKind>;

impl Reader<'_> {
    fn whole(&mut self) -> Read<Value> {
        let value = self.value()?;
        self.space();
        match self.peek() {
            None => Ok(value),
            Some(found) => Err(JsonErrorKind::Unexpected { expected: "the end", found }),
        }
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn skip(&mut self, c: char) {
        self.at += c.len_utf8();
    }

    fn space(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r']).len();
    }

    fn expect(&mut self, wanted: char, expected: &'static str) -> Read<()> {
        match self.peek() {
            Some(found) if found == wanted => {
                self.skip(found);
                Ok(())
            }
            Some(found) => Err(JsonErrorKind::Unexpected { expected, found }),
            None => Err(JsonErrorKind::Ends { expected }),
        }
    }

    fn value(&mut self) -> Read<Value> {
        self.space();
        match self.peek() {
            Some('{') => self.nested(Self::object),
            Some('[') => self.nested(Self::array),
            Some('"') => self.string().map(Value::Str),
            Some('-' | '0'..='9') => self.number(),
            Some(found) => {
                let words = [("null", Value::None), ("true", true.into()), ("false", false.into())];
                for (word, value) in words {
                    if self.text[self.at..].starts_with(word) {
                        self.at += word.len();
                        return Ok(value);
                    }
                }
                Err(JsonErrorKind::Unexpected { expected: "a value", found })
            }
            None => Err(JsonErrorKind::Ends { expected: "a value" }),
        }
    }

    fn nested(&mut self, read: fn(&mut Self) -> Read<Value>) -> Read<Value> {
        if self.path.len() >= MAX_DEPTH {
            return Err(JsonErrorKind::TooDeep);
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
        self.expect('{', "an object")?;
        let mut entries: Vec<(Value, Value)> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        self.space();
        if self.peek() == Some('}') {
            self.skip('}');
            return Ok(Value::Dict(entries));
        }
        loop {
            self.space();
            if self.peek() != Some('"') {
                self.expect('"', "a key in double quotes")?;
            }
            let key = self.string()?;
            self.space();
            self.expect(':', "':'")?;
            self.step(format!(".{key}"));
            let value = self.value()?;
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
            self.space();
            if self.peek() == Some(',') {
                self.skip(',');
                continue;
            }
            self.expect('}', "',' or '}'")?;
            return Ok(Value::Dict(entries));
        }
    }

    fn array(&mut self) -> Read<Value> {
        self.expect('[', "an array")?;
        let mut items = Vec::new();
        self.space();
        if self.peek() == Some(']') {
            self.skip(']');
            return Ok(Value::List(items));
        }
        loop {
            self.step(format!("[{}]", items.len()));
            items.push(self.value()?);
            self.space();
            if self.peek() == Some(',') {
                self.skip(',');
                continue;
            }
            self.expect(']', "',' or ']'")?;
            return Ok(Value::List(items));
        }
    }

    fn number(&mut self) -> Read<Value> {
        let rest = &self.text[self.at..];
        let part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
        let text = &rest[..rest.find(|c| !part(c)).unwrap_or(rest.len())];
        let value = number(text).ok_or_else(|| JsonErrorKind::BadNumber { text: text.into() })?;
        self.at += text.len();
        Ok(value)
    }

    fn string(&mut self) -> Read<String> {
        self.expect('"', "a string")?;
        let mut text = String::new();
        loop {
            let rest = &self.text[self.at..];
            let plain = rest.find(|c: char| c == '"' || c == '\\' || c < ' ');
            let plain = &rest[..plain.unwrap_or(rest.len())];
            text.push_str(plain);
            self.at += plain.len();
            match self.peek() {
                Some('"') => {
                    self.skip('"');
                    return Ok(text);
                }
                Some('\\') => text.push(self.escape()?),
                Some(_) => return Err(JsonErrorKind::BareControl),
                None => return Err(JsonErrorKind::Ends { expected: "the end of a string" }),
            }
        }
    }

    fn escape(&mut self) -> Read<char> {
        let rest = &self.text.as_bytes()[self.at..];
        let (length, c) = match rest.get(1) {
            Some(b'"') => (2, '"'),
            Some(b'\\') => (2, '\\'),
            Some(b'/') => (2, '/'),
            Some(b'b') => (2, '\u{8}'),
            Some(b'f') => (2, '\u{c}'),
            Some(b'n') => (2, '\n'),
            Some(b'r') => (2, '\r'),
            Some(b't') => (2, '\t'),
            Some(b'u') => code_point(rest).ok_or(JsonErrorKind::BadEscape)?,
            _ => return Err(JsonErrorKind::BadEscape),
        };
        self.at += length;
        Ok(c)
    }
}

/// The character of `\uXXXX` or of a surrogate pair, and how many bytes it takes.
fn code_point(bytes: &[u8]) -> Option<(usize, char)> {
    let unit = |at: usize| -> Option<u32> {
        let escape = bytes.get(at..at + 6)?;
        let digits = escape.strip_prefix(br"\u")?;
        digits.iter().try_fold(0, |sum, digit| Some(sum * 16 + char::from(*digit).to_digit(16)?))
    };
    match unit(0)? {
        high @ 0xD800..=0xDBFF => {
            let low = unit(6).filter(|low| (0xDC00..=0xDFFF).contains(low))?;
            char::from_u32(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00)).map(|c| (12, c))
        }
        code => char::from_u32(code).map(|c| (6, c)),
    }
}

/// A number by JSON's grammar; integers that do not fit 64 bits stay integers.
fn number(text: &str) -> Option<Value> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match digits.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (digits, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let all_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let exponent_digits = exponent.map(|text| text.strip_prefix(['+', '-']).unwrap_or(text));
    let regular = all_digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(all_digits)
        && exponent_digits.is_none_or(all_digits);
    if !regular {
        return None;
    }
    if fraction.is_some() || exponent.is_some() {
        return text.parse::<f64>().ok().filter(|n| n.is_finite()).map(Value::Float);
    }
    match text.parse::<i64>() {
        Ok(int) => Some(Value::Int(int)),
        Err(_) => text.parse().ok().map(Value::BigInt),
    }
}
