//! Values in short, for a line of a log: types, shapes and sizes, and the beginning of texts.

use std::fmt::{self, Display, Formatter};

use ipc_protocol::array::Array;
use ipc_protocol::value::Opaque;
use ipc_protocol::{Payload, Value};

/// Elements of a container that are shown.
const ELEMENTS_MAX: usize = 4;
/// Characters of a text that are shown.
const CHARACTERS_MAX: usize = 40;
/// Containers within containers that are shown.
const DEPTH_MAX: usize = 3;

/// Shows a value in short.
#[derive(Debug, Clone, Copy)]
pub struct Brief<'a> {
    value: &'a Value,
    depth: usize,
}

impl<'a> Brief<'a> {
    /// The value in short.
    #[must_use]
    pub fn of(value: &'a Value) -> Self {
        Self { value, depth: 0 }
    }

    fn inside(self, value: &'a Value) -> Self {
        Self { value, depth: self.depth + 1 }
    }

    fn elements(
        self,
        f: &mut Formatter<'_>,
        (open, close): (&str, &str),
        values: &'a [Value],
    ) -> fmt::Result {
        self.some(f, (open, close), values, |f, value| self.inside(value).fmt(f))
    }

    fn some<T>(
        self,
        f: &mut Formatter<'_>,
        (open, close): (&str, &str),
        parts: &'a [T],
        show: impl Fn(&mut Formatter<'_>, &'a T) -> fmt::Result,
    ) -> fmt::Result {
        let shown = if self.depth < DEPTH_MAX { ELEMENTS_MAX } else { 0 };
        f.write_str(open)?;
        for (index, part) in parts.iter().take(shown).enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            show(f, part)?;
        }
        if parts.len() > shown {
            write!(f, "{}... {} in all", if shown > 0 { ", " } else { "" }, parts.len())?;
        }
        f.write_str(close)
    }
}

impl Display for Brief<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.value {
            Value::None => f.write_str("None"),
            Value::Bool(truth) => f.write_str(if *truth { "True" } else { "False" }),
            Value::Int(number) => write!(f, "{number}"),
            Value::BigInt(number) => write!(f, "int of {} bits", number.bits()),
            Value::Float(number) => write!(f, "{number:?}"),
            Value::Str(text) => match text.char_indices().nth(CHARACTERS_MAX) {
                Some((end, _)) => {
                    write!(f, "{:?}... {} bytes", text.get(..end).unwrap_or(""), text.len())
                }
                None => write!(f, "{text:?}"),
            },
            Value::Bytes(payload) => write!(f, "bytes[{}]{}", payload.len(), place(payload)),
            Value::List(values) => self.elements(f, ("[", "]"), values),
            Value::Tuple(values) => self.elements(f, ("(", ")"), values),
            Value::Set(values) => self.elements(f, ("{", "}"), values),
            Value::FrozenSet(values) => self.elements(f, ("frozenset{", "}"), values),
            Value::Dict(entries) => self.some(f, ("{", "}"), entries, |f, (key, value)| {
                write!(f, "{}: {}", self.inside(key), self.inside(value))
            }),
            Value::Array(array) => show_array(f, array),
            Value::Audio(audio) => {
                f.write_str("audio (")?;
                show_array(f, &audio.samples)?;
                write!(f, ", {} Hz)", audio.sample_rate_hz)
            }
            Value::Opaque(Opaque { type_name, interpreter, pickle }) => {
                write!(f, "{type_name} as a pickle of {interpreter}, {} bytes", pickle.len())
            }
        }
    }
}

fn show_array(f: &mut Formatter<'_>, array: &Array) -> fmt::Result {
    let (dtype, data) = (&array.dtype.descr, &array.data);
    write!(f, "array {dtype} (")?;
    for (axis, length) in array.shape.iter().enumerate() {
        write!(f, "{}{length}", if axis > 0 { ", " } else { "" })?;
    }
    write!(f, "), {} bytes{}", data.len(), place(data))
}

fn place(payload: &Payload) -> &'static str {
    if payload.is_shared() { " in shared memory" } else { "" }
}
