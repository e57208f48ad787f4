//! Reads audio from an item in any of these forms, and writes the result in the same form.
//!
//! | input | output |
//! |---|---|
//! | `(array, sample_rate)` | `(array, sample_rate)` |
//! | `(array, sample_rate, more...)` | `(array, sample_rate, more...)` |
//! | bare array | bare array |
//! | `[array, sample_rate, more...]` | a tuple of these |
//! | `{data, sample_rate?, channels?, format?}` | the same keys, with new values |
//!
//! `data` may also be called `audio_data`. It is an array, a list of numbers (interleaved when `channels` is above 1), or a list of
//! one list of numbers per channel. `format` (a name of [`Encoding`](crate::pcm::Encoding)) says what
//! the numbers of a list mean, for `i24` its bytes; without it they are floats.
//!
//! | of audio | is taken | anything else |
//! |---|---|---|
//! | sample rate | a whole number from 1,000 to 768,000 Hz | BadValue |
//! | shape | `(samples,)`, or `(channels, samples)` with 1 to 256 channels; no samples are fine | BadShape |
//! | dtype | float32, float64, int16, int32, in either byte order | UnsupportedDtype |
//! | samples | finite, at most 1e10; denormals are numbers like others | NotSound |
//!
//! Nodes that only convert samples take any shape and any sample.

mod lists;

use ipc_protocol::{Array, Audio, Value};
use num_traits::ToPrimitive;
use pulp::{Simd, WithSimd};

use super::samples::Planes;
use crate::brief::Brief;
use crate::error::{NodeError, NodeErrorKind};
use crate::lanes;
use crate::params::{ParamProblem, Params};

/// Accepted sample rates, lowest and highest, in Hz.
pub(crate) const RATE_RANGE_HZ: (f64, f64) = (1_000.0, 768_000.0);
const RATE_WORDS: &str = "a whole number of Hz between 1000 and 768000";

const EXPECTED: &str =
    "audio: (array, sample_rate), an array, or a dict with 'data' and 'sample_rate'";

/// One item of audio, split into its parts.
#[derive(Debug)]
pub(crate) struct AudioItem {
    pub(crate) array: Array,
    /// The item's own sample rate; `None` for a bare array.
    pub(crate) sample_rate_hz: Option<u32>,
    pub(crate) form: Form,
}

/// Form of the input, in which the output is written too.
#[derive(Debug, Clone)]
pub(crate) enum Form {
    Audio,
    /// The elements after the sample rate.
    Tuple(Vec<Value>),
    Bare,
    /// The dict's entries without `data`, its name there, and its form.
    Dict(Vec<(Value, Value)>, Value, DataForm),
}

/// Form of the `data` of a dict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DataForm {
    Array,
    /// A list of numbers, channels interleaved.
    Flat,
    /// A list of lists of numbers, one per channel.
    Nested,
}

impl AudioItem {
    /// Splits an item into its parts.
    ///
    /// # Errors
    /// The item is not audio in one of the forms above, or its sample rate is out of range.
    pub(crate) fn take(input: Value) -> Result<Self, NodeError> {
        match input {
            Value::Audio(audio) => Ok(Self {
                sample_rate_hz: Some(in_range(audio.sample_rate_hz.into())?),
                array: audio.samples,
                form: Form::Audio,
            }),
            Value::Array(array) if !array.scalar => {
                Ok(Self { array, sample_rate_hz: None, form: Form::Bare })
            }
            Value::Tuple(parts) => Self::take_tuple(parts),
            // Old programs, and JSON, have lists in place of tuples.
            Value::List(parts) if matches!(parts.first(), Some(Value::Array(_))) => {
                Self::take_tuple(parts)
            }
            Value::Dict(entries) => Self::take_dict(entries),
            Value::Str(text) => Err(NodeErrorKind::PathForAudio { text }.into()),
            other => Err(mismatch(EXPECTED, &other)),
        }
    }

    fn take_tuple(parts: Vec<Value>) -> Result<Self, NodeError> {
        let mut parts = parts.into_iter();
        match (parts.next(), parts.next()) {
            (Some(Value::Array(array)), Some(rate)) => Ok(Self {
                array,
                sample_rate_hz: Some(rate_of(&rate)?),
                form: Form::Tuple(parts.collect()),
            }),
            (Some(Value::Array(_)), None) => Err(NodeErrorKind::BadValue {
                what: "the tuple",
                expected: "(array, sample_rate)".to_owned(),
                got: "(array,)".to_owned(),
            }
            .into()),
            (first, _) => Err(NodeErrorKind::TypeMismatch {
                expected: "a tuple (array, sample_rate)",
                got: format!("a tuple that begins with {}", first.unwrap_or_default().type_name()),
            }
            .into()),
        }
    }

    fn take_dict(mut entries: Vec<(Value, Value)>) -> Result<Self, NodeError> {
        let is = |key: &Value, name: &str| matches!(key, Value::Str(text) if text == name);
        let missing =
            || NodeErrorKind::MissingKey { key: "data", needed: "'data' and 'sample_rate'" };
        let place = |name| entries.iter().position(|(key, _)| is(key, name));
        let at = place("data").or_else(|| place("audio_data")).ok_or_else(missing)?;
        let (name, data) = entries.remove(at);
        let entry = |name: &str| entries.iter().find(|(key, _)| is(key, name)).map(|(_, v)| v);
        let sample_rate_hz = match entry("sample_rate") {
            None | Some(Value::None) => None,
            Some(rate) => Some(rate_of(rate)?),
        };
        let channels = match entry("channels") {
            None | Some(Value::None) => 1,
            Some(Value::Int(n)) if (1..=MAX_CHANNELS).contains(n) => n.to_usize().unwrap_or(1),
            Some(other) => {
                return Err(NodeErrorKind::BadValue {
                    what: "'channels'",
                    expected: format!("an int from 1 to {MAX_CHANNELS}"),
                    got: brief(other),
                }
                .into());
            }
        };
        let (array, data_form) = match data {
            Value::Array(array) => (array, DataForm::Array),
            Value::List(items) => lists::read(&items, channels, lists::format(entry("format"))?)?,
            other => return Err(mismatch("'data' to be an array or a list of numbers", &other)),
        };
        Ok(Self { array, sample_rate_hz, form: Form::Dict(entries, name, data_form) })
    }
}

/// The rate of arrays that come without one.
#[derive(Debug)]
pub(crate) struct BareRate {
    hz: u32,
    parameter: &'static str,
    /// Whether the user still has to learn that the rate is assumed.
    is_untold: bool,
    notice: Option<String>,
}

impl BareRate {
    /// The rate that a parameter gives, or its default.
    ///
    /// # Errors
    /// The node has no such parameter.
    pub(crate) fn new(params: &Params, parameter: &'static str) -> Result<Self, ParamProblem> {
        let is_untold = !params.given().contains_key(parameter);
        Ok(Self { hz: params.u32(parameter)?, parameter, is_untold, notice: None })
    }

    /// The item's own rate, or this one.
    pub(crate) fn of(&mut self, item: &AudioItem) -> u32 {
        item.sample_rate_hz.unwrap_or_else(|| {
            if std::mem::take(&mut self.is_untold) {
                self.notice = Some(format!(
                    "an array came without a sample rate, so {} Hz is assumed; give items as \
                     (array, sample_rate), or {}={}",
                    self.hz, self.parameter, self.hz
                ));
            }
            self.hz
        })
    }

    /// The warning that a rate was assumed, once.
    pub(crate) fn take_notice(&mut self) -> Option<String> {
        self.notice.take()
    }
}

/// The largest magnitude of a sample. Full scale is 1.0; 32-bit integers written as floats reach 2e9.
/// The power of a window of such samples in all channels stays in the range of a float32.
const LOUDEST: f32 = 1e10;

/// Most channels that audio may have. An array with more was most likely passed as `(samples,
/// channels)`.
const MAX_CHANNELS: i64 = 256;

/// The samples of an array as floats: finite, at least one channel.
///
/// # Errors
/// The array is of another shape or dtype than audio has, has no channel or more than 256, or a
/// sample that no sound has.
pub(crate) fn planes(array: &Array) -> Result<Planes<'_>, NodeError> {
    let planes = unheard_planes(array)?;
    check_sound(&planes)?;
    Ok(planes)
}

/// As [`planes`], for nodes that look at the samples when these are in the cache anyway
/// ([`are_sound`]).
///
/// # Errors
/// As [`planes`] has them of the array's shape and dtype.
pub(crate) fn unheard_planes(array: &Array) -> Result<Planes<'_>, NodeError> {
    let planes = Planes::of(array)?;
    if planes.channels.to_i64().is_none_or(|channels| !(1..=MAX_CHANNELS).contains(&channels)) {
        return Err(NodeErrorKind::BadShape {
            expected: "(samples,) or (channels, samples), with 1 to 256 channels \
                       (transpose an array of shape (samples, channels))",
            shape: array.shape.clone(),
        }
        .into());
    }
    Ok(planes)
}

/// # Errors
/// The first sample that no sound has.
pub(crate) fn check_sound(planes: &Planes<'_>) -> Result<(), NodeError> {
    for (channel, plane) in planes.iter().enumerate() {
        // A fast pass over all samples; the position is searched for only when one is wrong.
        if !are_sound(plane) {
            let found = plane.iter().enumerate().find(|(_, sample)| !is_sound(**sample));
            let (at, sample) = found.map_or((0, f32::NAN), |(at, sample)| (at, *sample));
            return Err(NodeErrorKind::NotSound { channel, at, sample, limit: LOUDEST }.into());
        }
    }
    Ok(())
}

/// Whether all samples are finite, and at most 1e10.
pub(crate) fn are_sound(samples: &[f32]) -> bool {
    lanes::with_vectors(AreSound(samples))
}

/// [`are_sound`], without a decision at each sample.
struct AreSound<'a>(&'a [f32]);

impl WithSimd for AreSound<'_> {
    type Output = bool;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> bool {
        for part in self.0.chunks(4_096) {
            let mut are_sound = true;
            for sample in part {
                are_sound &= is_sound(*sample);
            }
            if !are_sound {
                return false;
            }
        }
        true
    }
}

/// NaN compares as false.
#[inline(always)]
fn is_sound(sample: f32) -> bool {
    sample.abs() <= LOUDEST
}

impl Form {
    /// Whether samples are written as lists of numbers.
    pub(crate) fn is_lists(&self) -> bool {
        matches!(self, Self::Dict(_, _, DataForm::Flat | DataForm::Nested))
    }

    /// The `format` of a dict.
    pub(crate) fn format_name(&self) -> Option<&str> {
        let Self::Dict(entries, ..) = self else { return None };
        entries.iter().find_map(|(key, value)| match (key, value) {
            (Value::Str(key), Value::Str(name)) if key == "format" => Some(name.as_str()),
            _ => None,
        })
    }

    /// The answer to an item of this form. For a bare array the rate is dropped.
    pub(crate) fn answer(self, array: Array, sample_rate_hz: u32) -> Value {
        let format = lists::format_name(&array);
        self.answer_as(array, sample_rate_hz, format)
    }

    /// The same with samples in a format of this name.
    pub(crate) fn answer_as(self, array: Array, sample_rate_hz: u32, format: &str) -> Value {
        let rate = Value::Int(sample_rate_hz.into());
        match self {
            Self::Audio => Value::Audio(Audio { samples: array, sample_rate_hz }),
            Self::Bare => Value::Array(array),
            Self::Tuple(rest) => {
                let mut parts = vec![Value::Array(array), rate];
                parts.extend(rest);
                Value::Tuple(parts)
            }
            Self::Dict(mut entries, name, data_form) => {
                for (key, value) in &mut entries {
                    match (&*key, &*value) {
                        (Value::Str(name), Value::Str(_)) if name == "format" => {
                            *value = Value::Str(format.to_owned());
                        }
                        (Value::Str(name), Value::Int(_) | Value::Float(_) | Value::Array(_))
                            if name == "sample_rate" =>
                        {
                            *value = rate.clone();
                        }
                        _ => {}
                    }
                }
                entries.insert(0, (name, lists::write(array, data_form)));
                Value::Dict(entries)
            }
        }
    }
}

fn rate_of(value: &Value) -> Result<u32, NodeError> {
    let number = match value {
        Value::Int(rate) => rate.to_f64(),
        Value::Float(rate) => Some(*rate).filter(|rate| rate.fract() == 0.0),
        Value::BigInt(_) => None,
        Value::Array(scalar) if scalar.shape.is_empty() => scalar_number(scalar),
        other => return Err(mismatch("the sample rate to be an int (Hz)", other)),
    };
    match number {
        Some(rate) => in_range(rate),
        None => Err(bad_rate(brief(value))),
    }
}

/// The value of a numpy scalar such as `np.int64(16000)`, when it is a whole number.
fn scalar_number(scalar: &Array) -> Option<f64> {
    let mut bytes = scalar.data.as_slice().to_vec();
    if scalar.dtype.descr.starts_with('>') {
        bytes.reverse();
    }
    let float = |number: f64| Some(number).filter(|number| number.fract() == 0.0);
    let signed = match (scalar.dtype.descr.get(1..2)?, bytes.as_slice()) {
        ("f", &[a, b, c, d]) => return float(f32::from_le_bytes([a, b, c, d]).into()),
        ("f", &[a, b, c, d, e, f, g, h]) => {
            return float(f64::from_le_bytes([a, b, c, d, e, f, g, h]));
        }
        ("i", _) => true,
        ("u", _) => false,
        _ => return None,
    };
    let fill = if signed && bytes.last()? & 0x80 != 0 { 0xff } else { 0 };
    bytes.resize(16, fill);
    i128::from_le_bytes(bytes.try_into().ok()?).to_f64()
}

fn in_range(rate: f64) -> Result<u32, NodeError> {
    if (RATE_RANGE_HZ.0..=RATE_RANGE_HZ.1).contains(&rate) {
        return rate.to_u32().ok_or_else(|| bad_rate(rate.to_string()));
    }
    Err(bad_rate(rate.to_string()))
}

fn bad_rate(got: String) -> NodeError {
    NodeErrorKind::BadValue { what: "the sample rate", expected: RATE_WORDS.to_owned(), got }.into()
}

pub(crate) fn mismatch(expected: &'static str, got: &Value) -> NodeError {
    NodeErrorKind::TypeMismatch { expected, got: got.type_name().to_owned() }.into()
}

/// A short text that describes a value in an error.
pub(crate) fn brief(value: &Value) -> String {
    match value {
        Value::Int(n) => n.to_string(),
        Value::BigInt(n) => format!("an int of {} bits", n.bits()),
        Value::Float(n) => n.to_string(),
        Value::Bool(b) => b.to_string(),
        Value::Str(text) => format!("'{}'", Brief(text)),
        other => other.type_name().to_owned(),
    }
}
