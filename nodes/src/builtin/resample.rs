//! ResampleNode: changes the sample rate of audio. Forms of items, and which rates, shapes and
//! samples are taken, are in [`audio_item`](super::audio_item), the resampler itself in
//! `resample/stream.rs`. All that comes out is finite float32.
//!
//! What an item makes of memory is bounded: an output has at most 16 times as many samples as its
//! input. Smaller outputs are always allowed (16 million samples, or one million written as lists),
//! larger ones than a thousand million samples never. Items at the target rate pass as they are.

mod stream;
#[cfg(test)]
mod tests;

use ipc_protocol::{Array, Order, Value};

use super::audio_item::{self, AudioItem, Form, RATE_RANGE_HZ};
use super::samples::{self, Element, Planes};
use crate::error::{NodeError, NodeErrorKind};
use crate::node::{Emit, Node, NodeType};
use crate::params::{ParamDefault, ParamKind, ParamProblem, ParamSpec, Params};
use stream::{Quality, Stream, output_samples};

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
            doc: "Sample rate of the output, which may have 16 times the samples of the input, \
                  or 16 million (one million in lists).",
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
        }
        let is_same = rate_hz == self.target_hz;
        let out = if is_same { None } else { Some(self.resample(&item.form, &planes, rate_hz)?) };
        if self.is_streaming {
            self.open = Some(Open {
                rate_hz,
                channels: planes.channels,
                flat: planes.flat,
                form: item.form.clone(),
            });
        }
        let Some(out) = out else {
            drop(planes);
            emit(item.form.answer(item.array, rate_hz));
            return Ok(());
        };
        if self.is_streaming && out.iter().all(Vec::is_empty) {
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

    /// What is ready of the item at the target rate, one vector per channel. A resampler that fails
    /// in the middle of an item is not used again.
    fn resample(
        &mut self,
        form: &Form,
        planes: &Planes<'_>,
        rate_hz: u32,
    ) -> Result<Vec<Vec<f32>>, NodeError> {
        let (channels, to_hz) = (planes.channels, self.target_hz);
        let fits = |s: &Stream| s.input_hz() == rate_hz && s.channels() == channels;
        let taken = (planes.samples as u64).saturating_mul(channels as u64);
        let wanted = output_samples(planes.samples as u64, rate_hz, to_hz);
        let wanted = wanted.saturating_mul(channels as u64);
        let limit = most_samples(form, taken);
        if wanted > limit {
            let (from_hz, samples) = (rate_hz, taken);
            return Err(
                NodeErrorKind::OutputTooLarge { from_hz, to_hz, samples, wanted, limit }.into()
            );
        }
        if !self.stream.as_ref().is_some_and(fits) {
            self.stream = Some(Stream::new(rate_hz, to_hz, channels, self.quality)?);
        }
        let mut out = vec![Vec::new(); channels];
        let Some(mut stream) = self.stream.take() else { return Ok(out) };
        let pushed = stream.push(planes, &mut out);
        let finished = match pushed {
            Ok(()) if !self.is_streaming => stream.finish(&mut out),
            pushed => pushed,
        };
        match finished {
            Ok(()) => self.stream = Some(stream),
            Err(_) => self.open = None,
        }
        finished.map(|()| out)
    }
}

/// How many samples may be made of so many.
fn most_samples(form: &Form, taken: u64) -> u64 {
    // A number of a list takes many times the memory of a sample in an array.
    let always = if form.is_lists() { 1 << 20 } else { 1 << 24 };
    taken.saturating_mul(16).clamp(always, 1 << 30)
}

/// The output: shape `(samples,)` for an input without a channel axis, else
/// `(channels, samples)`.
fn output_array(mut out: Vec<Vec<f32>>, flat: bool) -> Array {
    match out.pop() {
        Some(mut only) if out.is_empty() => {
            // A block of the resampler may be far longer than what is left of it.
            if only.capacity() / 2 > only.len() {
                only.shrink_to_fit();
            }
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
