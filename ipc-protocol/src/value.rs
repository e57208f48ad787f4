//! The values that flow between nodes, in whatever language the node is written.

use num_bigint::BigInt;

use crate::array::{Array, Payload};

/// One Python or audio value. Cloning is cheap for arrays, bytes and opaque objects (they share
/// their memory) and deep for containers.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Value {
    /// Python `None`.
    #[default]
    None,
    /// Python `bool`.
    Bool(bool),
    /// An integer that fits 64 bits.
    Int(i64),
    /// An integer that does not fit [`Value::Int`]. Never used for one that does.
    BigInt(BigInt),
    /// Python `float`; NaN and infinities included.
    Float(f64),
    /// Text without lone surrogates (a Python string that has them travels as [`Value::Opaque`]).
    Str(String),
    /// Python `bytes`.
    Bytes(Payload),
    /// Python `list`.
    List(Vec<Value>),
    /// Python `tuple`.
    Tuple(Vec<Value>),
    /// Python `dict`: any hashable keys, in insertion order.
    Dict(Vec<(Value, Value)>),
    /// Python `set`, in iteration order.
    Set(Vec<Value>),
    /// Python `frozenset`, in iteration order.
    FrozenSet(Vec<Value>),
    /// A numpy array or numpy scalar.
    Array(Array),
    /// Audio with its sample rate. Python code sees the tuple `(array, sample_rate)`.
    Audio(Audio),
    /// Any other Python object, pickled (see [`Opaque::interpreter`]).
    Opaque(Opaque),
}

/// Audio samples and their rate. The array's shape is `(channels, samples)`, or `(samples,)` for
/// mono audio that was given without a channel axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Audio {
    /// Samples: float32 in [-1, 1], unless a format converter has changed their type.
    pub samples: Array,
    /// Samples per second and channel.
    pub sample_rate_hz: u32,
}

/// A pickled Python object. The orchestrator never opens the pickle.
#[derive(Debug, Clone, PartialEq)]
pub struct Opaque {
    /// Qualified name of the object's type, for error texts.
    pub type_name: String,
    /// The interpreter that wrote the pickle, for instance `cpython-3.11`: only one of the same
    /// kind may open it. `portable`: any interpreter may.
    pub interpreter: String,
    /// The pickle itself.
    pub pickle: Payload,
}

impl Value {
    /// Whether the value, or a part of the container that it is, is a pickled object.
    #[must_use]
    pub fn has_opaque_part(&self) -> bool {
        match self {
            Self::Opaque(_) => true,
            Self::Tuple(parts) | Self::List(parts) => parts.iter().any(Self::has_opaque_part),
            Self::Dict(entries) => entries.iter().any(|(_, part)| part.has_opaque_part()),
            _ => false,
        }
    }

    /// The name of the value's type as a Python user knows it.
    #[must_use]
    pub fn type_name(&self) -> &str {
        match self {
            Self::None => "None",
            Self::Bool(_) => "bool",
            Self::Int(_) | Self::BigInt(_) => "int",
            Self::Float(_) => "float",
            Self::Str(_) => "str",
            Self::Bytes(_) => "bytes",
            Self::List(_) => "list",
            Self::Tuple(_) => "tuple",
            Self::Dict(_) => "dict",
            Self::Set(_) => "set",
            Self::FrozenSet(_) => "frozenset",
            Self::Array(_) => "numpy.ndarray",
            Self::Audio(_) => "audio (array, sample_rate)",
            Self::Opaque(opaque) => &opaque.type_name,
        }
    }

    /// Looks up a string key in a dict value; `None` for other values and missing keys.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        let Self::Dict(entries) = self else { return None };
        entries.iter().find(|(k, _)| matches!(k, Self::Str(s) if s == key)).map(|(_, v)| v)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Str(text.to_owned())
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Float(number)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
}
