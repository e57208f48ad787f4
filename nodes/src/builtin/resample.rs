//! ResampleNode: changes the sample rate of audio. Forms of items, and which rates, shapes and
//! samples are taken, are in [`audio_item`](super::audio_item), the resampler itself in
//! [`resampler`](crate::resampler). All that comes out is finite float32, or int16 if asked for.
//!
//! What an item makes of memory is bounded: an output has at most 16 times as many samples as its
//! input. Smaller outputs are always allowed (16 million samples, or one million written as lists),
//! larger ones than a thousand million samples never. Items at the target rate pass as they are.

#[cfg(test)]
mod tests;

use ipc_protocol::{Array, Order, Value};

use super::audio_item::{self, AudioItem, BareRate, Form, RATE_RANGE_HZ};
use super::effect::{STREAMING, Stream};
use super::samples::{self, Element, Planes};
use crate::error::{NodeError, NodeErrorKind};
use crate::node::{Emit, Node, NodeType};
use crate::params::{ParamDefault, ParamKind, ParamProblem, ParamSpec, Params};
use crate::pcm::{self, Encoding};
use crate::resampler::{Quality, Resampler, output_samples};

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
            kind: ParamKind::Choice(&["low", "medium", "high", "very_high"]),
            default: ParamDefault::Text("high"),
            range: None,
            unit: "",
            doc: "How close to the lower Nyquist frequency the passband reaches, and how far all \
                  beyond that frequency is rejected: 75 % and 80 dB (low), 88 % and 100 dB \
                  (medium), 91.5 % and 126 dB (high), 95 % and 150 dB (very_high). Higher takes \
                  more time.",
        },
        ParamSpec {
            name: "format",
            aliases: &["output_format"],
            kind: ParamKind::Choice(&["f32", "i16"]),
            default: ParamDefault::Text("f32"),
            range: None,
            unit: "",
            doc: "Format of the output: f32, or i16 (rounded to the nearest, clipped at full \
                  scale).",
        },
        STREAMING,
    ],
    exclusive: &[],
    build,
};

fn build(params: &Params) -> Result<Box<dyn Node>, ParamProblem> {
    Ok(Box::new(Resample {
        target_hz: params.u32("target_rate")?,
        bare_rate: BareRate::new(params, "input_rate")?,
        quality: match params.text("quality")? {
            "low" => Quality::Low,
            "medium" => Quality::Medium,
            "very_high" => Quality::VeryHigh,
            _ => Quality::High,
        },
        format: match params.text("format")? {
            "i16" => Element::I16,
            _ => Element::F32,
        },
        is_streaming: params.bool("streaming")?,
        stream: None,
        open: None,
    }))
}

struct Resample {
    target_hz: u32,
    bare_rate: BareRate,
    quality: Quality,
    format: Element,
    is_streaming: bool,
    /// Resampler, kept from item to item for its memory.
    stream: Option<Resampler>,
    /// The stream in progress; always `None` unless `is_streaming`.
    open: Option<Open>,
}

/// Rate, channels and shape of a stream in progress, and the form of its last piece.
struct Open {
    stream: Stream,
    flat: bool,
    form: Form,
}

impl Node for Resample {
    fn process(&mut self, input: Value, emit: Emit<'_>) -> Result<(), NodeError> {
        let item = AudioItem::take(input)?;
        let rate_hz = self.bare_rate.of(&item);
        let planes = audio_item::planes(&item.array)?;
        let stream = Stream { rate_hz, channels: planes.channels };
        if let Some(open) = &self.open {
            open.stream.continues(stream)?;
        }
        let is_same = rate_hz == self.target_hz;
        let out = if is_same { None } else { Some(self.resample(&item.form, &planes, rate_hz)?) };
        if self.is_streaming {
            self.open = Some(Open { stream, flat: planes.flat, form: item.form.clone() });
        }
        let Some(out) = out else {
            drop(planes);
            emit(item.form.answer(item.array, rate_hz));
            return Ok(());
        };
        if self.is_streaming && out.iter().all(Vec::is_empty) {
            return Ok(());
        }
        let array = output_array(out, planes.flat, self.format);
        drop(planes);
        emit(item.form.answer(array, self.target_hz));
        Ok(())
    }

    fn flush(&mut self, emit: Emit<'_>) -> Result<(), NodeError> {
        let Some(open) = self.open.take() else { return Ok(()) };
        let Some(stream) = self.stream.as_mut().filter(|s| s.input_hz() == open.stream.rate_hz)
        else {
            return Ok(());
        };
        let mut out = vec![Vec::new(); open.stream.channels];
        stream.finish(&mut out);
        if out.iter().any(|plane| !plane.is_empty()) {
            let array = output_array(out, open.flat, self.format);
            emit(open.form.answer(array, self.target_hz));
        }
        Ok(())
    }

    fn take_notice(&mut self) -> Option<String> {
        self.bare_rate.take_notice()
    }
}

impl Resample {
    /// What is ready of the item at the target rate, one vector per channel.
    fn resample(
        &mut self,
        form: &Form,
        planes: &Planes<'_>,
        rate_hz: u32,
    ) -> Result<Vec<Vec<f32>>, NodeError> {
        let (channels, to_hz) = (planes.channels, self.target_hz);
        let taken = (planes.samples as u64).saturating_mul(channels as u64);
        let samples = output_samples(planes.samples as u64, rate_hz, to_hz);
        let wanted = samples.saturating_mul(channels as u64);
        let limit = most_samples(form, taken);
        if wanted > limit {
            let (from_hz, samples) = (rate_hz, taken);
            return Err(
                NodeErrorKind::OutputTooLarge { from_hz, to_hz, samples, wanted, limit }.into()
            );
        }
        let fits = |s: &Resampler| s.input_hz() == rate_hz && s.channels() == channels;
        if !self.stream.as_ref().is_some_and(fits) {
            self.stream = Some(Resampler::new(rate_hz, to_hz, channels, self.quality));
        }
        let room = usize::try_from(samples).unwrap_or(0);
        let mut out: Vec<Vec<f32>> = (0..channels).map(|_| Vec::with_capacity(room)).collect();
        if let Some(stream) = &mut self.stream {
            stream.push(planes.iter(), &mut out);
            if !self.is_streaming {
                stream.finish(&mut out);
            }
        }
        Ok(out)
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
fn output_array(mut out: Vec<Vec<f32>>, flat: bool, format: Element) -> Array {
    let samples = out.first().map_or(0, Vec::len) as u64;
    let shape = if flat { vec![samples] } else { vec![out.len() as u64, samples] };
    if format == Element::I16 {
        let mut all = vec![0_i16; out.iter().map(Vec::len).sum()];
        let mut rest = all.as_mut_slice();
        for plane in &out {
            let (own, further) = rest.split_at_mut(plane.len());
            pcm::encode_f32(Encoding::I16, plane, bytemuck::cast_slice_mut(own));
            rest = further;
        }
        return samples::array_of(all, Element::I16, shape, Order::C);
    }
    match out.pop() {
        Some(mut only) if out.is_empty() => {
            // What is ready of a stream may be far less than what was expected.
            if only.capacity() / 2 > only.len() {
                only.shrink_to_fit();
            }
            samples::array_of(only, Element::F32, shape, Order::C)
        }
        Some(last) => {
            out.push(last);
            samples::planar_array(out)
        }
        None => samples::planar_array(out),
    }
}
