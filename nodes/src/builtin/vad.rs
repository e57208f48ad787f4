//! VADNode: where in the audio there is speech. `vad/detector.rs` follows a stream by one of three
//! methods: the level (`vad/energy.rs`, decided in `vad/segments.rs` from what `vad/features.rs`
//! measures), the scores of a neural network (`vad/voice.rs`), or both (`vad/combined.rs`); scores
//! become segments in `vad/stretches.rs`.
//!
//! Which rates, shapes and samples are taken is in [`audio_item`](super::audio_item). Levels are
//! finite and at least -120 dBFS. A recording has at most one segment per 20 ms. In a stream a
//! segment of more than ten minutes comes in parts, each beginning where the one before ends, so
//! that what is kept is bounded.

mod blocks;
mod combined;
mod detector;
mod energy;
mod features;
mod parameters;
mod rank;
mod scored;
mod segments;
mod series;
mod spectra;
mod stretches;
#[cfg(test)]
mod tests;
mod texture;
mod voice;
mod weights;

use ipc_protocol::{Array, Order, Value};
use num_traits::ToPrimitive;

use super::audio_item::{self, AudioItem, BareRate, Form};
use super::effect::Stream;
use super::samples::{self, Element};
use crate::error::NodeError;
use crate::node::{Emit, Node, NodeType};
use crate::params::{ParamProblem, Params};
use detector::{Detector, Plan, Segment, frame_of};
use features::HOP_MS;

pub(super) static TYPE: NodeType = NodeType {
    name: "VADNode",
    version: "1.0.0",
    summary: "Finds the segments of audio that contain speech.",
    aliases: &[],
    capabilities: &["audio"],
    params: parameters::PARAMS,
    exclusive: &[("threshold", "energy_threshold")],
    build,
};

fn build(params: &Params) -> Result<Box<dyn Node>, ParamProblem> {
    Ok(Box::new(Vad {
        plan: parameters::plan(params)?,
        frame_length_ms: params.u32("frame_length_ms")?,
        bare_rate: BareRate::new(params, "sample_rate")?,
        is_tagged: params.text("output")? == "tagged",
        is_streaming: params.bool("streaming")?,
        open: None,
    }))
}

struct Vad {
    plan: Plan,
    frame_length_ms: u32,
    bare_rate: BareRate,
    is_tagged: bool,
    is_streaming: bool,
    /// The stream in progress; always `None` unless `is_streaming`.
    open: Option<Open>,
}

struct Open {
    detector: Detector,
    form: Form,
    /// Shape of an array without samples, for the output of `flush`.
    empty_shape: Vec<u64>,
}

impl Node for Vad {
    fn process(&mut self, input: Value, emit: Emit<'_>) -> Result<(), NodeError> {
        let item = AudioItem::take(input)?;
        let rate_hz = self.bare_rate.of(&item);
        // A stream must not hear what it refuses; a recording is looked at piece by piece as it is
        // measured, which reads it from memory once less.
        let looks_later = !self.is_streaming && matches!(self.plan, Plan::Energy(_));
        let planes = match looks_later {
            true => audio_item::unheard_planes(&item.array)?,
            false => audio_item::planes(&item.array)?,
        };
        let channels = planes.channels;
        let mut detector = self.detector(rate_hz, channels)?;
        let begin = detector.taken();
        let mut found = detector.push(&planes);
        if !detector.are_sound() {
            audio_item::check_sound(&planes)?;
        }
        let empty_shape = if planes.flat { vec![0] } else { vec![channels as u64, 0] };
        let in_piece = (begin, begin + planes.samples as u64);
        drop(planes);
        if !self.is_streaming {
            found.extend(detector.finish());
            let speech = speech_of(&found);
            self.answer(item, rate_hz, (found, speech, in_piece), emit);
            return Ok(());
        }
        let form = item.form.clone();
        if self.is_tagged {
            let mut speech = speech_of(&found);
            speech.extend(detector.unsettled().iter().map(|span| (span.start, span.end)));
            self.answer(item, rate_hz, (found, speech, in_piece), emit);
        } else if !found.is_empty() {
            emit(list(&found));
        }
        self.open = Some(Open { detector, form, empty_shape });
        Ok(())
    }

    fn flush(&mut self, emit: Emit<'_>) -> Result<(), NodeError> {
        let Some(mut open) = self.open.take() else { return Ok(()) };
        let found = open.detector.finish();
        if found.is_empty() {
            return Ok(());
        }
        if !self.is_tagged {
            emit(list(&found));
            return Ok(());
        }
        let rate_hz = open.detector.rate_hz();
        let end = open.detector.taken();
        let no_samples: Vec<f32> = Vec::new();
        let array = samples::array_of(no_samples, Element::F32, open.empty_shape, Order::C);
        let item = AudioItem { array, sample_rate_hz: Some(rate_hz), form: open.form };
        self.answer(item, rate_hz, (found, Vec::new(), (end, end)), emit);
        Ok(())
    }

    fn take_notice(&mut self) -> Option<String> {
        self.bare_rate.take_notice()
    }
}

/// The segments found, the ranges of frames with speech, and the item's range of samples.
type Findings = (Vec<Segment>, Vec<(usize, usize)>, (u64, u64));

impl Vad {
    /// The detector of the stream in progress, or a new one.
    fn detector(&mut self, rate_hz: u32, channels: usize) -> Result<Detector, NodeError> {
        if let Some(open) = &self.open {
            let (rate_before, channels_before) =
                (open.detector.rate_hz(), open.detector.channels());
            let before = Stream { rate_hz: rate_before, channels: channels_before };
            before.continues(Stream { rate_hz, channels })?;
        }
        Ok(match self.open.take() {
            Some(open) => open.detector,
            None => {
                let detector = Detector::new(rate_hz, channels, self.frame_length_ms, self.plan);
                if self.is_tagged || !self.is_streaming { detector } else { detector.unhurried() }
            }
        })
    }

    fn answer(&self, item: AudioItem, rate_hz: u32, findings: Findings, emit: Emit<'_>) {
        let (found, speech, (begin, end)) = findings;
        if !self.is_tagged {
            emit(list(&found));
            return;
        }
        let frame_samples = (u64::from(rate_hz) * u64::from(self.frame_length_ms) / 1_000).max(1);
        let total = (end - begin) / frame_samples;
        // The stretches follow each other, so only the last one that begins before can hold a frame.
        let is_speech = |frame: &u64| {
            let middle = frame_of(begin + frame * frame_samples + frame_samples / 2, rate_hz);
            let begun = speech.partition_point(|(from, _)| *from <= middle);
            begun.checked_sub(1).is_some_and(|last| middle < speech[last].1)
        };
        let speech_frames = (0..total).filter(is_speech).count() as u64;
        let info = [
            ("segments", list(&found)),
            ("is_speech", Value::Bool(speech_frames > 0 || !found.is_empty())),
            ("speech_frames", Value::Int(speech_frames.to_i64().unwrap_or(i64::MAX))),
            ("total_frames", Value::Int(total.to_i64().unwrap_or(i64::MAX))),
        ];
        emit(tagged(item.form, item.array, rate_hz, info));
    }
}

/// The audio with the results: `(audio, sample_rate, info, more...)`, or for a dict the same dict
/// with the results as further keys.
fn tagged(form: Form, array: Array, rate_hz: u32, info: [(&str, Value); 4]) -> Value {
    let info = info.map(|(key, value)| (Value::from(key), value)).to_vec();
    match form {
        Form::Dict(..) => {
            let mut answer = form.answer(array, rate_hz);
            if let Value::Dict(entries) = &mut answer {
                entries.retain(|(key, _)| info.iter().all(|(new, _)| new != key));
                entries.extend(info);
            }
            answer
        }
        Form::Tuple(rest) => {
            let mut parts =
                vec![Value::Array(array), Value::Int(rate_hz.into()), Value::Dict(info)];
            parts.extend(rest);
            Value::Tuple(parts)
        }
        Form::Audio | Form::Bare => {
            Value::Tuple(vec![Value::Array(array), Value::Int(rate_hz.into()), Value::Dict(info)])
        }
    }
}

fn speech_of(found: &[Segment]) -> Vec<(usize, usize)> {
    let frame = |ms: u32| ms.div_ceil(HOP_MS).to_usize().unwrap_or(usize::MAX);
    found.iter().map(|segment| (frame(segment.start_ms), frame(segment.end_ms))).collect()
}

fn list(found: &[Segment]) -> Value {
    let dict = |segment: &Segment| {
        Value::Dict(vec![
            (Value::from("start_ms"), Value::Int(segment.start_ms.into())),
            (Value::from("end_ms"), Value::Int(segment.end_ms.into())),
            (Value::from("energy_db"), Value::Float(segment.energy_db)),
            (Value::from("confidence"), Value::Float(segment.confidence)),
        ])
    };
    Value::List(found.iter().map(dict).collect())
}
