//! ChunkerNode: cuts audio into chunks of one length, which may overlap.

use ipc_protocol::Value;
use num_traits::ToPrimitive;

use super::audio_item::{self, AudioItem, BareRate, Form};
use super::effect::{Channels, SAMPLE_RATE, STREAMING, Stream, array_of};
use crate::error::{NodeError, NodeErrorKind};
use crate::node::{Emit, Node, NodeType};
use crate::params::{ParamDefault, ParamKind, ParamProblem, ParamSpec, Params};

/// The largest share of a chunk that the one before may have too is 15 of 16, so that the chunks
/// have at most 16 times the samples of the input.
const LEAST_STEPS: usize = 16;
/// Samples of the largest chunk that is padded with zeros.
const MOST_PADDED: usize = 1 << 24;

pub(super) static TYPE: NodeType = NodeType {
    name: "ChunkerNode",
    version: "1.0.0",
    summary: "Cuts audio into chunks of one length, which may overlap.",
    aliases: &[],
    capabilities: &["audio"],
    params: &[
        ParamSpec {
            name: "chunk_ms",
            aliases: &[],
            kind: ParamKind::Float,
            default: ParamDefault::Float(20.0),
            range: Some((1.0, 3_600_000.0)),
            unit: "ms",
            doc: "Length of a chunk, rounded to whole samples.",
        },
        ParamSpec {
            name: "chunk_samples",
            aliases: &[],
            kind: ParamKind::Int,
            default: ParamDefault::Int(0),
            range: Some((0.0, 1e9)),
            unit: "samples",
            doc: "Length of a chunk, instead of chunk_ms; 0 takes chunk_ms.",
        },
        ParamSpec {
            name: "overlap_ms",
            aliases: &[],
            kind: ParamKind::Float,
            default: ParamDefault::Float(0.0),
            range: Some((0.0, 3_600_000.0)),
            unit: "ms",
            doc: "How much of a chunk the next one begins with, at most 15 of 16 parts.",
        },
        ParamSpec {
            name: "overlap_samples",
            aliases: &[],
            kind: ParamKind::Int,
            default: ParamDefault::Int(0),
            range: Some((0.0, 1e9)),
            unit: "samples",
            doc: "The same in samples, instead of overlap_ms; 0 takes overlap_ms.",
        },
        ParamSpec {
            name: "tail",
            aliases: &[],
            kind: ParamKind::Choice(&["short", "pad", "drop"]),
            default: ParamDefault::Text("short"),
            range: None,
            unit: "",
            doc: "The last chunk of a recording: shorter, padded with zeros, or left out.",
        },
        SAMPLE_RATE,
        STREAMING,
    ],
    exclusive: &[("chunk_ms", "chunk_samples"), ("overlap_ms", "overlap_samples")],
    build,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tail {
    Short,
    Pad,
    Drop,
}

/// A length in samples, or in milliseconds when that is 0.
struct Length {
    samples: usize,
    ms: f64,
}

impl Length {
    fn at(&self, rate_hz: u32) -> usize {
        match self.samples {
            0 => (f64::from(rate_hz) * self.ms / 1_000.0).round().to_usize().unwrap_or(0),
            samples => samples,
        }
    }
}

fn build(params: &Params) -> Result<Box<dyn Node>, ParamProblem> {
    let samples = |name| Ok(params.u32(name)?.to_usize().unwrap_or(0));
    Ok(Box::new(Chunker {
        chunk: Length { samples: samples("chunk_samples")?, ms: params.float("chunk_ms")? },
        overlap: Length { samples: samples("overlap_samples")?, ms: params.float("overlap_ms")? },
        tail: match params.text("tail")? {
            "pad" => Tail::Pad,
            "drop" => Tail::Drop,
            _ => Tail::Short,
        },
        bare_rate: BareRate::new(params, SAMPLE_RATE.name)?,
        is_streaming: params.bool(STREAMING.name)?,
        open: None,
    }))
}

struct Chunker {
    chunk: Length,
    overlap: Length,
    tail: Tail,
    bare_rate: BareRate,
    is_streaming: bool,
    open: Option<Open>,
}

/// A recording in progress.
struct Open {
    stream: Stream,
    flat: bool,
    form: Form,
    /// Samples that a later chunk has.
    held: Channels,
    /// How many of them no chunk has had yet.
    fresh: usize,
}

impl Open {
    fn emit(&self, chunk: Channels, emit: Emit<'_>) {
        emit(self.form.clone().answer(array_of(chunk, self.flat), self.stream.rate_hz));
    }
}

impl Node for Chunker {
    fn process(&mut self, input: Value, emit: Emit<'_>) -> Result<(), NodeError> {
        let item = AudioItem::take(input)?;
        let rate_hz = self.bare_rate.of(&item);
        let planes = audio_item::planes(&item.array)?;
        let stream = Stream { rate_hz, channels: planes.channels };
        if let Some(open) = &self.open {
            open.stream.continues(stream)?;
        }
        let (chunk, step) = self.lengths(stream)?;
        let mut open = self.open.take().unwrap_or_else(|| Open {
            stream,
            flat: planes.flat,
            form: item.form.clone(),
            held: vec![Vec::new(); planes.channels],
            fresh: 0,
        });
        for (held, plane) in open.held.iter_mut().zip(planes.iter()) {
            held.extend_from_slice(plane);
        }
        open.fresh += planes.samples;
        let held = open.held.first().map_or(0, Vec::len);
        let mut at = 0;
        while at + chunk <= held {
            open.emit(open.held.iter().map(|plane| plane[at..at + chunk].to_vec()).collect(), emit);
            at += step;
            open.fresh = held - (at + chunk - step);
        }
        open.held.iter_mut().for_each(|plane| drop(plane.drain(..at)));
        self.open = Some(open);
        if self.is_streaming { Ok(()) } else { self.flush(emit) }
    }

    fn flush(&mut self, emit: Emit<'_>) -> Result<(), NodeError> {
        let Some(mut open) = self.open.take() else { return Ok(()) };
        if open.fresh == 0 || self.tail == Tail::Drop {
            return Ok(());
        }
        let mut last = std::mem::take(&mut open.held);
        if self.tail == Tail::Pad {
            let (chunk, _) = self.lengths(open.stream)?;
            last.iter_mut().for_each(|plane| plane.resize(chunk, 0.0));
        }
        open.emit(last, emit);
        Ok(())
    }

    fn take_notice(&mut self) -> Option<String> {
        self.bare_rate.take_notice()
    }
}

impl Chunker {
    /// Length of a chunk, and how much later the next one begins, in samples.
    fn lengths(&self, stream: Stream) -> Result<(usize, usize), NodeError> {
        let chunk = self.chunk.at(stream.rate_hz).max(1);
        let overlap = self.overlap.at(stream.rate_hz);
        if self.tail == Tail::Pad && chunk.saturating_mul(stream.channels) > MOST_PADDED {
            return Err(NodeErrorKind::BadValue {
                what: "a chunk that is padded",
                expected: format!("at most {MOST_PADDED} samples in all channels"),
                got: format!("{chunk} in each of {}", stream.channels),
            }
            .into());
        }
        let step = chunk.saturating_sub(overlap);
        if step < chunk.div_ceil(LEAST_STEPS) {
            return Err(NodeErrorKind::BadValue {
                what: "the overlap",
                expected: format!("at most 15/16 of the chunk of {chunk} samples"),
                got: format!("{overlap} samples"),
            }
            .into());
        }
        Ok((chunk, step))
    }
}
