//! Why a native node could not process an item. Each kind carries its data;
//! [`NodeError::type_name`] names the Python exception for it.

use std::fmt;

use crate::brief::Brief;

/// An item that a native node could not process.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{kind}")]
pub struct NodeError {
    /// What is wrong with the item.
    pub kind: NodeErrorKind,
}

/// Reasons why a native node refuses an item.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum NodeErrorKind {
    /// The item is of a type that the node does not take.
    #[error("expected {expected}, got {}", Brief(.got))]
    TypeMismatch {
        /// What the node takes.
        expected: &'static str,
        /// Python name of the item's type.
        got: String,
    },
    /// The item has an array of a kind that has no plain form.
    #[error("{told}")]
    NoPlainForm {
        /// What kind it is, and what to do.
        told: String,
    },
    /// The item is a text, most likely the name of a file, where audio is wanted.
    #[error(
        "expected audio as (array, sample_rate), got str '{}'; to read a file: read_audio(path)",
        Brief(.text)
    )]
    PathForAudio {
        /// The text.
        text: String,
    },
    /// The array's elements are of a type that the node does not take.
    #[error(
        "dtype {} is not supported here; convert the array to one of {supported}",
        Brief(.dtype)
    )]
    UnsupportedDtype {
        /// numpy's name of the array's dtype.
        dtype: String,
        /// The dtypes that the node takes.
        supported: &'static str,
    },
    /// The array has a shape that the node does not take.
    #[error("expected an array of shape {expected}, got shape {}", ShapeDisplay(.shape))]
    BadShape {
        /// The shapes that the node takes.
        expected: &'static str,
        /// The array's shape.
        shape: Vec<u64>,
    },
    /// The array's memory does not hold what its shape says.
    #[error(
        "the array of shape {} and dtype {} has {bytes} bytes of memory",
        ShapeDisplay(.shape), Brief(.dtype)
    )]
    BadMemory {
        /// numpy's name of the array's dtype.
        dtype: String,
        /// The array's shape.
        shape: Vec<u64>,
        /// Length of the array's memory, in bytes.
        bytes: usize,
    },
    /// A part of the item has a value that is not allowed.
    #[error("{what} must be {expected}, got {got}")]
    BadValue {
        /// The part of the item.
        what: &'static str,
        /// The values that are allowed.
        expected: String,
        /// The value in the item.
        got: String,
    },
    /// A sample is not finite, or so large that sums of squares may not be.
    #[error(
        "sample {at} of channel {channel} is {sample}; audio samples are finite and at most {limit:e}, \
         with full scale at 1.0: scale the array, or replace the sample (np.nan_to_num)"
    )]
    NotSound {
        /// Index of the channel, from 0.
        channel: usize,
        /// Index of the sample in the channel, from 0.
        at: usize,
        /// Value of the sample, as float32.
        sample: f32,
        /// The largest magnitude that is allowed.
        limit: f32,
    },
    /// A dict lacks a key.
    #[error("the dict has no key '{key}'; it needs {needed}")]
    MissingKey {
        /// The missing key.
        key: &'static str,
        /// The keys that the node needs.
        needed: &'static str,
    },
    /// An arithmetic operation that does not exist.
    #[error("Unknown operation: {} (use one of {known})", Brief(.operation))]
    UnknownOperation {
        /// The name in the item.
        operation: String,
        /// The known names.
        known: &'static str,
    },
    /// Division or modulo by zero.
    #[error("Division by zero")]
    DivisionByZero,
    /// Zero to a negative power.
    #[error("0 cannot be raised to a negative power")]
    ZeroToNegativePower,
    /// A result is too large for a float.
    #[error("the result of {operation} is too large for a float")]
    FloatOverflow {
        /// The operation that was computed.
        operation: &'static str,
    },
    /// An integer does not fit the element type of the array.
    #[error("the integer {value} is out of bounds for {dtype}")]
    OutOfBounds {
        /// The integer.
        value: String,
        /// numpy's name of the array's dtype.
        dtype: String,
    },
    /// An integer result is larger than the limit of the node.
    #[error("the result would have about {bits} bits; the limit is {limit_bits} bits")]
    ResultTooLarge {
        /// Estimated size of the result.
        bits: u64,
        /// The largest size allowed.
        limit_bits: u64,
    },
    /// An integer that is larger than the node computes with.
    #[error("an integer of {bits} bits is too large here; the limit is {limit_bits} bits")]
    IntegerTooLarge {
        /// Size of the integer.
        bits: u64,
        /// The largest size allowed.
        limit_bits: u64,
    },
    /// Resampled audio that is far larger than what it is made from.
    #[error(
        "{samples} samples at {from_hz} Hz would become {wanted} at {to_hz} Hz; the limit is {limit}: \
         give shorter pieces (streaming=True), or resample to a lower rate"
    )]
    OutputTooLarge {
        /// Rate of the input.
        from_hz: u32,
        /// Rate asked for.
        to_hz: u32,
        /// Samples that came, of all channels.
        samples: u64,
        /// Samples that they would become.
        wanted: u64,
        /// The most that is made of them.
        limit: u64,
    },
    /// A result that only a complex number could hold.
    #[error("a negative number cannot be raised to a fractional power without complex numbers")]
    ComplexResult,
    /// A piece has another sample rate or channel count than the stream before it.
    #[error(
        "the stream began with {what} {before} and continues with {now}; \
         flush the node before a new stream begins"
    )]
    StreamChanged {
        /// What changed: `sample rate` (Hz) or `channel count`.
        what: &'static str,
        /// Value at the start of the stream.
        before: u64,
        /// Value in this piece.
        now: u64,
    },
    /// The node panicked; a new node must be made.
    #[error("the node {0}; this is a bug in the node")]
    Panicked(#[from] crate::panics::Panic),
}

impl NodeError {
    /// Name of the Python exception for this error: `TypeError`, `ValueError`, `ZeroDivisionError`,
    /// `OverflowError` or `RuntimeError`.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self.kind {
            NodeErrorKind::TypeMismatch { .. }
            | NodeErrorKind::NoPlainForm { .. }
            | NodeErrorKind::PathForAudio { .. } => "TypeError",
            NodeErrorKind::UnsupportedDtype { .. }
            | NodeErrorKind::BadShape { .. }
            | NodeErrorKind::BadMemory { .. }
            | NodeErrorKind::BadValue { .. }
            | NodeErrorKind::NotSound { .. }
            | NodeErrorKind::MissingKey { .. }
            | NodeErrorKind::UnknownOperation { .. }
            | NodeErrorKind::ComplexResult
            | NodeErrorKind::OutputTooLarge { .. }
            | NodeErrorKind::StreamChanged { .. } => "ValueError",
            NodeErrorKind::DivisionByZero | NodeErrorKind::ZeroToNegativePower => {
                "ZeroDivisionError"
            }
            NodeErrorKind::FloatOverflow { .. }
            | NodeErrorKind::OutOfBounds { .. }
            | NodeErrorKind::IntegerTooLarge { .. }
            | NodeErrorKind::ResultTooLarge { .. } => "OverflowError",
            NodeErrorKind::Panicked(_) => "RuntimeError",
        }
    }
}

impl From<NodeErrorKind> for NodeError {
    fn from(kind: NodeErrorKind) -> Self {
        Self { kind }
    }
}

/// Prints a shape as numpy does: `(2, 480)`, `(480,)`, `()`.
struct ShapeDisplay<'a>(&'a [u64]);

impl fmt::Display for ShapeDisplay<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [one] => write!(f, "({one},)"),
            axes => {
                let words: Vec<String> = axes.iter().map(u64::to_string).collect();
                write!(f, "({})", words.join(", "))
            }
        }
    }
}
