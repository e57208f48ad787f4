//! Nodes that take sound and give sound: what they share around the change itself, an [`Effect`].

#[cfg(test)]
mod tests;

use ipc_protocol::{Array, Order, Value};

use super::audio_item::{self, AudioItem, BareRate, Form};
use super::samples::{self, Element};
use crate::error::{NodeError, NodeErrorKind};
use crate::node::{Emit, Node};
use crate::params::{ParamDefault, ParamKind, ParamProblem, ParamSpec, Params};

/// One vector of samples for each channel.
pub(super) type Channels = Vec<Vec<f32>>;

/// A change of sound. What it does with a recording does not depend on how that is cut into pieces.
pub(super) trait Effect: Send {
    /// Begins a recording.
    ///
    /// # Errors
    /// It cannot be changed at that rate or with so many channels.
    fn begin(&mut self, rate_hz: u32, channels: usize) -> Result<(), NodeError>;

    /// Takes a piece, and returns what is ready.
    fn push(&mut self, piece: Channels) -> Channels;

    /// Ends the recording, and returns the rest.
    fn finish(&mut self) -> Channels {
        Channels::new()
    }
}

/// The sample rate of bare arrays.
pub(super) const SAMPLE_RATE: ParamSpec = ParamSpec {
    name: "sample_rate",
    aliases: &[],
    kind: ParamKind::Int,
    default: ParamDefault::Int(16_000),
    range: Some(audio_item::RATE_RANGE_HZ),
    unit: "Hz",
    doc: "Sample rate of bare arrays; other items carry their own.",
};

/// Whether items are pieces of one recording.
pub(super) const STREAMING: ParamSpec = ParamSpec {
    name: "streaming",
    aliases: &[],
    kind: ParamKind::Bool,
    default: ParamDefault::Bool(false),
    range: None,
    unit: "",
    doc: "False: every item is a complete recording. True: items are pieces of one stream, and a \
          flush gives its tail.",
};

/// The node of an effect.
pub(super) struct EffectNode<E> {
    effect: E,
    bare_rate: BareRate,
    is_streaming: bool,
    open: Option<Open>,
}

/// The stream in progress, and the form of its last piece.
struct Open {
    stream: Stream,
    flat: bool,
    form: Form,
}

/// Rate and channels that all pieces of a stream have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stream {
    pub(super) rate_hz: u32,
    pub(super) channels: usize,
}

impl Stream {
    /// Checks that a piece belongs to this stream.
    pub(super) fn continues(self, piece: Self) -> Result<(), NodeError> {
        let changed = |what, before, now| Err(NodeErrorKind::StreamChanged { what, before, now });
        if self.rate_hz != piece.rate_hz {
            changed("sample rate", self.rate_hz.into(), piece.rate_hz.into())?;
        }
        if self.channels != piece.channels {
            changed("channel count", self.channels as u64, piece.channels as u64)?;
        }
        Ok(())
    }
}

impl<E: Effect> EffectNode<E> {
    /// A node with the parameters [`SAMPLE_RATE`] and, if it has pieces, [`STREAMING`].
    pub(super) fn new(effect: E, params: &Params, has_pieces: bool) -> Result<Self, ParamProblem> {
        Ok(Self {
            effect,
            bare_rate: BareRate::new(params, SAMPLE_RATE.name)?,
            is_streaming: has_pieces && params.bool(STREAMING.name)?,
            open: None,
        })
    }
}

impl<E: Effect> Node for EffectNode<E> {
    fn process(&mut self, input: Value, emit: Emit<'_>) -> Result<(), NodeError> {
        let item = AudioItem::take(input)?;
        let rate_hz = self.bare_rate.of(&item);
        let planes = audio_item::planes(&item.array)?;
        let stream = Stream { rate_hz, channels: planes.channels };
        match &self.open {
            Some(open) => open.stream.continues(stream)?,
            None => self.effect.begin(rate_hz, planes.channels)?,
        }
        let flat = planes.flat;
        let mut out = self.effect.push(planes.iter().map(<[f32]>::to_vec).collect());
        if self.is_streaming {
            self.open = Some(Open { stream, flat, form: item.form.clone() });
            if out.iter().all(Vec::is_empty) {
                return Ok(());
            }
        } else {
            append(&mut out, self.effect.finish());
        }
        emit(item.form.answer(array_of(out, flat), rate_hz));
        Ok(())
    }

    fn flush(&mut self, emit: Emit<'_>) -> Result<(), NodeError> {
        let Some(open) = self.open.take() else { return Ok(()) };
        let out = self.effect.finish();
        if out.iter().any(|plane| !plane.is_empty()) {
            emit(open.form.answer(array_of(out, open.flat), open.stream.rate_hz));
        }
        Ok(())
    }

    fn take_notice(&mut self) -> Option<String> {
        self.bare_rate.take_notice()
    }
}

fn append(out: &mut Channels, rest: Channels) {
    for (plane, rest) in out.iter_mut().zip(rest) {
        plane.extend(rest);
    }
}

/// An array of the samples: `(samples,)` for one channel of an input without a channel axis, else
/// `(channels, samples)`.
pub(super) fn array_of(mut channels: Channels, flat: bool) -> Array {
    let samples = channels.first().map_or(0, Vec::len) as u64;
    let count = channels.len();
    if count != 1 {
        return samples::planar_array(channels);
    }
    let shape = if flat { vec![samples] } else { vec![1, samples] };
    samples::array_of(channels.pop().unwrap_or_default(), Element::F32, shape, Order::C)
}

/// A level in dB as a factor.
pub(super) fn factor(db: f64) -> f64 {
    10_f64.powf(db / 20.0)
}

/// The error of a frequency that is not below half the sample rate.
pub(super) fn above_nyquist(what: &'static str, hz: f64, rate_hz: u32) -> NodeError {
    NodeErrorKind::BadValue {
        what,
        expected: format!("below half the sample rate of {rate_hz} Hz"),
        got: format!("{hz} Hz"),
    }
    .into()
}
