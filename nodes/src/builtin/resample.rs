//! ResampleNode: changes the sample rate of audio. [`audio_item`](super::audio_item) reads the
//! forms of items, `resample/stream.rs` has the resampler.

mod stream;
#[cfg(test)]
mod tests;

use ipc_protocol::{Array, Order, Value};

use super::audio_item::{self, AudioItem, Form, RATE_RANGE_HZ};
use super::samples::{self, Element};
use crate::error::{NodeError, NodeErrorKind};
use crate::node::{Emit, Node, NodeType};
use crate::params::{ParamDefault, ParamKind, ParamProblem, ParamSpec, Params};
use stream::{Quality, Stream};

pub(super) static TYPE: NodeType = NodeType {
    name: "ResampleNode",
    version: "1.0.0",
    summary: "Changes the sample rate of audio; n samples become round(n * target / input).",
    aliases: &["AudioResampleNode"],
    capabilities: &["audio"],
    params: &[
        ParamSpec {
            name: "target_rate",
            aliases: &["target_sample_rate", "output_rate", "targetRate"],
            kind: ParamKind::Int,
            default: ParamDefault::Int(16_000),
            range: Some(RATE_RANGE_HZ),
            unit: "Hz",
            doc: "Sample rate of the output.",
        },
        ParamSpec {
            name: "input_rate",
            aliases: &["source_rate", "sourceRate"],
            kind: ParamKind::Int,
            default: ParamDefault::Int(48_000),
            range: Some(RATE_RANGE_HZ),
            unit: "Hz",
            doc: "Sample rate of bare arrays; other items carry their own.",
        },
        ParamSpec {
            name: "quality",
            aliases: &[],
            kind: ParamKind::Choice(&["low", "medium", "high"]),
            default: ParamDefault::Text("high"),
            range: None,
            unit: "",
            doc: "How close to the lower Nyquist frequency the passband reaches: \
                  75 % (low), 93 % (medium), 98 % (high). Higher takes more time.",
        },
        ParamSpec {
            name: "streaming",
            aliases: &[],
            kind: ParamKind::Bool,
            default: ParamDefault::Bool(false),
            range: None,
            unit: "",
            doc: "False: every item is a complete recording. True: items are pieces of one \
                  stream, and a flush gives its tail.",
        },
    ],
    exclusive: &[],
    build,
};

fn build(params: &Params) -> Result<Box<dyn Node>, ParamProblem> {
    Ok(Box::new(Resample {
        target_hz: params.u32("target_rate")?,
        input_hz: params.u32("input_rate")?,
        quality: match params.text("quality")? {
            "low" => Quality::Low,
            "medium" => Quality::Medium,
            _ => Quality::High,
        },
        is_streaming: params.bool("streaming")?,
        stream: None,
        open: None,
    }))
}

struct Resample {
    target_hz: u32,
    /// Sample rate that is assumed for bare arrays, in Hz.
    input_hz: u32,
    quality: Quality,
    is_streaming: bool,
    /// Resampler, kept from item to item because a new one is expensive.
    stream: Option<Stream>,
    /// The stream in progress; always `None` unless `is_streaming`.
    open: Option<Open>,
}

/// Rate, channels and shape of a stream in progress, and the form of its last piece.
struct Open {
    rate_hz: u32,
    channels: usize,
    flat: bool,
    form: Form,
}

impl Node for Resample {
    fn process(&mut self, input: Value, emit: Emit<'_>) -> Result<(), NodeError> {
        let item = AudioItem::take(input)?;
        let rate_hz = item.rate_or(self.input_hz);
        let planes = audio_item::planes(&item.array)?;
        if self.is_streaming {
            self.continues(rate_hz, planes.channels)?;
            self.open = Some(Open {
                rate_hz,
                channels: planes.channels,
                flat: planes.flat,
                form: item.form.clone(),
            });
        }
        if rate_hz == self.target_hz {
            drop(planes);
            emit(item.form.answer(item.array, rate_hz));
            return Ok(());
        }
        let mut out = vec![Vec::new(); planes.channels];
        let is_streaming = self.is_streaming;
        let stream = self.stream_for(rate_hz, planes.channels)?;
        stream.push(&planes, &mut out)?;
        if !is_streaming {
            stream.finish(&mut out)?;
        }
        if is_streaming && out.iter().all(Vec::is_empty) {
            return Ok(());
        }
        let array = output_array(out, planes.flat);
        drop(planes);
        emit(item.form.answer(array, self.target_hz));
        Ok(())
    }

    fn flush(&mut self, emit: Emit<'_>) -> Result<(), NodeError> {
        let Some(open) = self.open.take() else { return Ok(()) };
        let Some(stream) = self.stream.as_mut().filter(|s| s.input_hz() == open.rate_hz) else {
            return Ok(());
        };
        let mut out = vec![Vec::new(); open.channels];
        stream.finish(&mut out)?;
        if out.iter().any(|plane| !plane.is_empty()) {
            emit(open.form.answer(output_array(out, open.flat), self.target_hz));
        }
        Ok(())
    }
}

impl Resample {
    /// Checks that a piece has the rate and the channels of the stream in progress.
    fn continues(&self, rate_hz: u32, channels: usize) -> Result<(), NodeError> {
        let Some(open) = &self.open else { return Ok(()) };
        let changed = |what, before, now| Err(NodeErrorKind::StreamChanged { what, before, now });
        if open.rate_hz != rate_hz {
            changed("sample rate", open.rate_hz.into(), rate_hz.into())?;
        }
        if open.channels != channels {
            changed("channel count", open.channels as u64, channels as u64)?;
        }
        Ok(())
    }

    /// The resampler for this rate and channel count: the existing one if it fits, else a new one.
    fn stream_for(&mut self, rate_hz: u32, channels: usize) -> Result<&mut Stream, NodeError> {
        let fits = |s: &Stream| s.input_hz() == rate_hz && s.channels() == channels;
        let stream = match self.stream.take().filter(fits) {
            Some(stream) => stream,
            None => Stream::new(rate_hz, self.target_hz, channels, self.quality)?,
        };
        Ok(self.stream.insert(stream))
    }
}

/// The output: shape `(samples,)` for an input without a channel axis, else
/// `(channels, samples)`.
fn output_array(mut out: Vec<Vec<f32>>, flat: bool) -> Array {
    match out.pop() {
        Some(only) if out.is_empty() => {
            let samples = only.len() as u64;
            let shape = if flat { vec![samples] } else { vec![1, samples] };
            samples::array_of(only, Element::F32, shape, Order::C)
        }
        Some(last) => {
            out.push(last);
            samples::planar_array(&out)
        }
        None => samples::planar_array(&[]),
    }
}
