//! Writes values as JSON. The help of `run` lists the forms of values that JSON does not have;
//! `marker` reads them back.

use std::io::{self, Write};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use ipc_protocol::{Array, Order, Value};

use super::marker::DTYPES;

/// Writes an output as one line of JSON.
pub(super) fn write_line(out: &mut dyn Write, node_id: &str, value: &Value) -> io::Result<()> {
    out.write_all(b"{\"node_id\": ")?;
    text(out, node_id)?;
    out.write_all(b", \"output\": ")?;
    write_value(out, value)?;
    out.write_all(b"}\n")
}

/// Writes a value.
pub(super) fn write_value(out: &mut dyn Write, value: &Value) -> io::Result<()> {
    match value {
        Value::None => out.write_all(b"null"),
        Value::Bool(flag) => write!(out, "{flag}"),
        Value::Int(number) => write!(out, "{number}"),
        Value::BigInt(number) => write!(out, "{number}"),
        Value::Float(number) => float(out, *number, &format!("{number:?}")),
        Value::Str(string) => text(out, string),
        Value::Bytes(bytes) => mark(out, "__bytes__", &BASE64_STANDARD.encode(bytes.as_slice())),
        Value::List(items) | Value::Tuple(items) | Value::Set(items) | Value::FrozenSet(items) => {
            list(out, items)
        }
        Value::Dict(entries) => dict(out, entries),
        Value::Array(array) => write_array(out, array),
        Value::Audio(audio) => {
            out.write_all(b"[")?;
            write_array(out, &audio.samples)?;
            write!(out, ", {}]", audio.sample_rate_hz)
        }
        Value::Opaque(opaque) => mark(out, "__opaque__", &opaque.type_name),
    }
}

fn text(out: &mut dyn Write, text: &str) -> io::Result<()> {
    serde_json::to_writer(out, text).map_err(io::Error::from)
}

fn mark(out: &mut dyn Write, name: &str, content: &str) -> io::Result<()> {
    write!(out, "{{\"{name}\": ")?;
    text(out, content)?;
    out.write_all(b"}")
}

/// `digits` is the number as text, in the precision of its own type; it is written if the number is
/// finite.
fn float(out: &mut dyn Write, number: f64, digits: &str) -> io::Result<()> {
    if number.is_finite() {
        return out.write_all(digits.as_bytes());
    }
    let name = match number {
        f64::INFINITY => "inf",
        f64::NEG_INFINITY => "-inf",
        _ => "nan",
    };
    mark(out, "__float__", name)
}

fn list(out: &mut dyn Write, items: &[Value]) -> io::Result<()> {
    out.write_all(b"[")?;
    for (at, item) in items.iter().enumerate() {
        separate(out, at)?;
        write_value(out, item)?;
    }
    out.write_all(b"]")
}

fn separate(out: &mut dyn Write, at: usize) -> io::Result<()> {
    if at > 0 { out.write_all(b", ") } else { Ok(()) }
}

fn dict(out: &mut dyn Write, entries: &[(Value, Value)]) -> io::Result<()> {
    if !entries.iter().all(|(key, _)| matches!(key, Value::Str(_))) {
        out.write_all(b"{\"__dict__\": [")?;
        for (at, (key, value)) in entries.iter().enumerate() {
            separate(out, at)?;
            out.write_all(b"[")?;
            write_value(out, key)?;
            out.write_all(b", ")?;
            write_value(out, value)?;
            out.write_all(b"]")?;
        }
        return out.write_all(b"]}");
    }
    out.write_all(b"{")?;
    for (at, (key, value)) in entries.iter().enumerate() {
        separate(out, at)?;
        write_value(out, key)?;
        out.write_all(b": ")?;
        write_value(out, value)?;
    }
    out.write_all(b"}")
}

fn write_array(out: &mut dyn Write, array: &Array) -> io::Result<()> {
    let known = DTYPES.iter().find(|(_, descr, bytes)| {
        let same = |text: &str| text.trim_start_matches(['<', '>', '=', '|']).to_owned();
        same(descr) == same(&array.dtype.descr) && *bytes == array.dtype.item_bytes
    });
    let elements = Elements {
        array,
        name: known.map_or("", |(name, ..)| name),
        is_big_endian: array.dtype.descr.starts_with('>'),
        item_bytes: usize::try_from(array.dtype.item_bytes).unwrap_or(usize::MAX).max(1),
    };
    if array.scalar && known.is_some() {
        return elements.write(out, 0);
    }
    out.write_all(b"{\"__numpy__\": true, \"dtype\": ")?;
    text(out, known.map_or(array.dtype.descr.as_str(), |(name, ..)| name))?;
    write!(out, ", \"shape\": {:?}, ", array.shape)?;
    if known.is_none() {
        // Elements that are not plain numbers (complex, dates, records) are written as bytes, in
        // the array's own order.
        let order = if array.order == Order::C { "C" } else { "F" };
        write!(out, "\"order\": \"{order}\", \"data_base64\": ")?;
        text(out, &BASE64_STANDARD.encode(array.data.as_slice()))?;
        return out.write_all(b"}");
    }
    out.write_all(b"\"data\": [")?;
    for at in 0..elements.count() {
        separate(out, at)?;
        elements.write(out, elements.row_by_row(at))?;
    }
    out.write_all(b"]}")
}

/// The elements of an array of numbers.
struct Elements<'a> {
    array: &'a Array,
    name: &'static str,
    is_big_endian: bool,
    item_bytes: usize,
}

impl Elements<'_> {
    fn count(&self) -> usize {
        self.array.data.len() / self.item_bytes
    }

    /// Position in memory of the element with index `at` in row-by-row (C) order.
    fn row_by_row(&self, at: usize) -> usize {
        if self.array.order == Order::C {
            return at;
        }
        // The last axis varies fastest in `at`, the first axis in memory (Fortran order).
        let axes: Vec<usize> =
            self.array.shape.iter().map(|n| usize::try_from(*n).unwrap_or(usize::MAX)).collect();
        let (mut rest, mut place) = (at, 0);
        for axis in (0..axes.len()).rev() {
            let stride: usize = axes[..axis].iter().product();
            place += rest % axes[axis] * stride;
            rest /= axes[axis];
        }
        place
    }

    fn write(&self, out: &mut dyn Write, at: usize) -> io::Result<()> {
        let from = at * self.item_bytes;
        let Some(bytes) = self.array.data.as_slice().get(from..from + self.item_bytes) else {
            return out.write_all(b"null");
        };
        let mut word = [0; 8];
        for (to, byte) in word.iter_mut().zip(bytes) {
            *to = *byte;
        }
        if self.is_big_endian {
            word[..self.item_bytes].reverse();
        }
        let [a, b, c, d, ..] = word;
        match self.name {
            "float32" => {
                let number = f32::from_le_bytes([a, b, c, d]);
                float(out, number.into(), &format!("{number:?}"))
            }
            "float64" => {
                let number = f64::from_le_bytes(word);
                float(out, number, &format!("{number:?}"))
            }
            "int8" => write!(out, "{}", i8::from_le_bytes([a])),
            "int16" => write!(out, "{}", i16::from_le_bytes([a, b])),
            "int32" => write!(out, "{}", i32::from_le_bytes([a, b, c, d])),
            "int64" => write!(out, "{}", i64::from_le_bytes(word)),
            "bool" => write!(out, "{}", a != 0),
            // The remaining types are unsigned; the high bytes of `word` are zero.
            _ => write!(out, "{}", u64::from_le_bytes(word)),
        }
    }
}
