//! VADNode: where in the audio there is speech. How it is decided is in `vad/segments.rs`, from
//! what `vad/features.rs` measures; `vad/detector.rs` follows a stream.
//!
//! Which rates, shapes and samples are taken is in [`audio_item`](super::audio_item). Levels are
//! finite and at least -120 dBFS. A recording has at most one segment per 20 ms. In a stream a
//! segment of more than ten minutes comes in parts, each beginning where the one before ends, so
//! that what is kept is bounded.

mod detector;
mod features;
mod segments;
#[cfg(test)]
mod tests;

use ipc_protocol::{Array, Order, Value};
use num_traits::ToPrimitive;

use super::audio_item::{self, AudioItem, Form, RATE_RANGE_HZ};
use super::samples::{self, Element};
use crate::error::{NodeError, NodeErrorKind};
use crate::node::{Emit, Node, NodeType};
use crate::params::{ParamDefault, ParamKind, ParamProblem, ParamSpec, Params};
use detector::{Detector, Segment, frame_of};
use features::HOP_MS;
use segments::Settings;

pub(super) static TYPE: NodeType = NodeType {
    name: "VADNode",
    version: "1.0.0",
    summary: "Finds the segments of audio that contain speech.",
    aliases: &[],
    capabilities: &["audio"],
    params: PARAMS,
    exclusive: &[("threshold", "energy_threshold")],
    build,
};

const PARAMS: &[ParamSpec] = &[
    ParamSpec {
        name: "threshold",
        aliases: &["threshold_db"],
        kind: ParamKind::Float,
        default: ParamDefault::Float(-30.0),
        range: Some((-60.0, 0.0)),
        unit: "dBFS",
        doc: "RMS level between 120 Hz and 8 kHz from which sound is speech. A segment that \
              reaches it extends to where the sound fades into the noise around it.",
    },
    ParamSpec {
        name: "energy_threshold",
        aliases: &[],
        kind: ParamKind::Float,
        default: ParamDefault::Absent,
        range: Some((0.001, 1.0)),
        unit: "",
        doc: "The threshold as a linear RMS value (0.0316 is -30 dBFS); instead of threshold.",
    },
    ParamSpec {
        name: "frame_length_ms",
        aliases: &["frame_duration_ms"],
        kind: ParamKind::Int,
        default: ParamDefault::Int(30),
        range: Some((10.0, 100.0)),
        unit: "ms",
        doc: "Length of the analysis window, and of the frames that tagged output counts.",
    },
    ParamSpec {
        name: "sample_rate",
        aliases: &["sampling_rate", "sampleRate"],
        kind: ParamKind::Int,
        default: ParamDefault::Int(16_000),
        range: Some(RATE_RANGE_HZ),
        unit: "Hz",
        doc: "Sample rate of bare arrays; other items carry their own.",
    },
    ParamSpec {
        name: "min_speech_ms",
        aliases: &["min_speech_duration_ms"],
        kind: ParamKind::Int,
        default: ParamDefault::Int(90),
        range: Some((0.0, 10_000.0)),
        unit: "ms",
        doc: "Shorter segments are dropped.",
    },
    ParamSpec {
        name: "min_silence_ms",
        aliases: &["min_silence_duration_ms"],
        kind: ParamKind::Int,
        default: ParamDefault::Int(300),
        range: Some((0.0, 10_000.0)),
        unit: "ms",
        doc: "Shorter pauses do not split a segment.",
    },
    ParamSpec {
        name: "output",
        aliases: &[],
        kind: ParamKind::Choice(&["segments", "tagged"]),
        default: ParamDefault::Text("segments"),
        range: None,
        unit: "",
        doc: "segments: a list of segments per item. tagged: the audio itself with a dict of \
              segments, is_speech, speech_frames and total_frames.",
    },
    ParamSpec {
        name: "streaming",
        aliases: &[],
        kind: ParamKind::Bool,
        default: ParamDefault::Bool(false),
        range: None,
        unit: "",
        doc: "False: every item is a complete recording. True: items are pieces of one stream, \
              times count from its start, a segment is given about a second after its end (of \
              one that goes on, every ten minutes), and a flush gives the rest.",
    },
];

/// The longest segment that is given in a stream, in frames: ten minutes.
const LONGEST_IN_STREAM: usize = 60_000;

fn build(params: &Params) -> Result<Box<dyn Node>, ParamProblem> {
    let threshold_db = match params.optional_float("energy_threshold")? {
        Some(linear) => 20.0 * linear.log10(),
        None => params.float("threshold")?,
    };
    let frames = |name| Ok((params.u32(name)?.div_ceil(HOP_MS)).to_usize().unwrap_or(0));
    let is_streaming = params.bool("streaming")?;
    Ok(Box::new(Vad {
        settings: Settings {
            threshold_db: threshold_db.to_f32().unwrap_or(0.0),
            min_speech_frames: frames("min_speech_ms")?,
            min_silence_frames: frames("min_silence_ms")?,
            longest_frames: if is_streaming { LONGEST_IN_STREAM } else { usize::MAX },
        },
        frame_length_ms: params.u32("frame_length_ms")?,
        sample_rate_hz: params.u32("sample_rate")?,
        is_tagged: params.text("output")? == "tagged",
        is_streaming,
        open: None,
    }))
}

struct Vad {
    settings: Settings,
    frame_length_ms: u32,
    /// Sample rate that is assumed for bare arrays, in Hz.
    sample_rate_hz: u32,
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
        let rate_hz = item.rate_or(self.sample_rate_hz);
        let planes = audio_item::planes(&item.array)?;
        let channels = planes.channels;
        let mut detector = self.detector(rate_hz, channels)?;
        let begin = detector.taken();
        let mut found = detector.push(&planes);
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
}

/// The segments found, the ranges of frames with speech, and the item's range of samples.
type Findings = (Vec<Segment>, Vec<(usize, usize)>, (u64, u64));

impl Vad {
    /// The detector of the stream in progress, or a new one.
    fn detector(&mut self, rate_hz: u32, channels: usize) -> Result<Detector, NodeError> {
        if let Some(open) = &self.open {
            let (before, now) = (&open.detector, (rate_hz, channels));
            let changed =
                |what, before, now| Err(NodeErrorKind::StreamChanged { what, before, now });
            if before.rate_hz() != now.0 {
                changed("sample rate", before.rate_hz().into(), now.0.into())?;
            }
            if before.channels() != now.1 {
                changed("channel count", before.channels() as u64, now.1 as u64)?;
            }
        }
        Ok(match self.open.take() {
            Some(open) => open.detector,
            None => Detector::new(rate_hz, channels, self.frame_length_ms, self.settings),
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
