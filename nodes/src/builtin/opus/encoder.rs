//! OpusEncoderNode: packets of 20 ms.

use ipc_protocol::Value;
use num_traits::ToPrimitive;
use opusic_c::{Application, Bitrate, Encoder, ErrorCode};

use super::{opus_channels, opus_rate};
use crate::builtin::audio_item::{self, AudioItem, BareRate};
use crate::builtin::effect::{Channels, SAMPLE_RATE, STREAMING, Stream};
use crate::error::{NodeError, NodeErrorKind};
use crate::node::{Emit, Node, NodeType};
use crate::params::{ParamDefault, ParamKind, ParamProblem, ParamSpec, Params};
use crate::resampler::{Quality, Resampler};

const PACKETS_PER_SECOND: usize = 50;
/// The rate of sound that comes at one that Opus does not have.
const OTHER_RATES_HZ: u32 = 48_000;
/// Larger than any packet of 20 ms.
const MOST_PACKET_BYTES: usize = 4_000;

pub(crate) static TYPE: NodeType = NodeType {
    name: "OpusEncoderNode",
    version: "1.0.0",
    summary: "Encodes audio as packets of Opus, each of 20 ms.",
    aliases: &[],
    capabilities: &["audio"],
    params: &[
        ParamSpec {
            name: "bitrate",
            aliases: &[],
            kind: ParamKind::Int,
            default: ParamDefault::Int(64_000),
            range: Some((6_000.0, 510_000.0)),
            unit: "bit/s",
            doc: "Bits of a second, of all channels together, on average.",
        },
        ParamSpec {
            name: "application",
            aliases: &[],
            kind: ParamKind::Choice(&["audio", "voip", "low_delay"]),
            default: ParamDefault::Text("audio"),
            range: None,
            unit: "",
            doc: "audio: closest to the input. voip: speech is filtered and emphasized. low_delay: \
                  2.5 ms behind the input instead of 6.5, without the modes for speech.",
        },
        ParamSpec {
            name: "complexity",
            aliases: &[],
            kind: ParamKind::Int,
            default: ParamDefault::Int(10),
            range: Some((0.0, 10.0)),
            unit: "",
            doc: "0 takes least time, 10 gives the best sound.",
        },
        SAMPLE_RATE,
        STREAMING,
    ],
    exclusive: &[],
    build,
};

fn build(params: &Params) -> Result<Box<dyn Node>, ParamProblem> {
    Ok(Box::new(OpusEncoder {
        bitrate: params.u32("bitrate")?,
        application: match params.text("application")? {
            "voip" => Application::Voip,
            "low_delay" => Application::LowDelay,
            _ => Application::Audio,
        },
        complexity: params.u32("complexity")?.to_u8().unwrap_or(10),
        bare_rate: BareRate::new(params, SAMPLE_RATE.name)?,
        is_streaming: params.bool(STREAMING.name)?,
        open: None,
    }))
}

struct OpusEncoder {
    bitrate: u32,
    application: Application,
    complexity: u8,
    bare_rate: BareRate,
    is_streaming: bool,
    open: Option<Open>,
}

/// A recording in progress.
struct Open {
    stream: Stream,
    encoder: Encoder,
    resampler: Option<Resampler>,
    /// Samples per channel of a packet.
    frame: usize,
    /// Samples that are in no packet yet.
    held: Channels,
    interleaved: Vec<f32>,
}

impl Node for OpusEncoder {
    fn process(&mut self, input: Value, emit: Emit<'_>) -> Result<(), NodeError> {
        let item = AudioItem::take(input)?;
        let rate_hz = self.bare_rate.of(&item);
        let planes = audio_item::planes(&item.array)?;
        let stream = Stream { rate_hz, channels: planes.channels };
        let mut open = match self.open.take() {
            None => self.begin(stream)?,
            Some(open) => match open.stream.continues(stream) {
                Ok(()) => open,
                Err(error) => {
                    self.open = Some(open);
                    return Err(error);
                }
            },
        };
        match &mut open.resampler {
            Some(resampler) => resampler.push(planes.iter(), &mut open.held),
            None => {
                for (held, plane) in open.held.iter_mut().zip(planes.iter()) {
                    held.extend_from_slice(plane);
                }
            }
        }
        open.encode(emit)?;
        self.open = Some(open);
        if self.is_streaming { Ok(()) } else { self.flush(emit) }
    }

    fn flush(&mut self, emit: Emit<'_>) -> Result<(), NodeError> {
        let Some(mut open) = self.open.take() else { return Ok(()) };
        if let Some(resampler) = &mut open.resampler {
            resampler.finish(&mut open.held);
        }
        open.encode(emit)?;
        let held = open.held.first().map_or(0, Vec::len);
        if held == 0 && !open.has_begun() {
            return Ok(());
        }
        // A decoder gives the last sample as much later.
        let behind = open.encoder.get_look_ahead().map_err(failed)?.to_usize().unwrap_or(0);
        let end = (held + behind).next_multiple_of(open.frame);
        open.held.iter_mut().for_each(|held| held.resize(end, 0.0));
        open.encode(emit)
    }

    fn take_notice(&mut self) -> Option<String> {
        self.bare_rate.take_notice()
    }
}

impl OpusEncoder {
    fn begin(&self, stream: Stream) -> Result<Open, NodeError> {
        let Some(channels) = opus_channels(stream.channels) else {
            return Err(NodeErrorKind::BadValue {
                what: "the number of channels",
                expected: "1 or 2 (MixChannelsNode makes fewer)".to_owned(),
                got: stream.channels.to_string(),
            }
            .into());
        };
        let own = opus_rate(stream.rate_hz);
        let rate_hz = if own.is_some() { stream.rate_hz } else { OTHER_RATES_HZ };
        let rate = own.unwrap_or(opusic_c::SampleRate::Hz48000);
        let mut encoder = Encoder::new(channels, rate, self.application).map_err(failed)?;
        encoder.set_bitrate(Bitrate::Value(self.bitrate)).map_err(failed)?;
        encoder.set_complexity(self.complexity).map_err(failed)?;
        let (from, count) = (stream.rate_hz, stream.channels);
        Ok(Open {
            stream,
            encoder,
            resampler: own
                .is_none()
                .then(|| Resampler::new(from, OTHER_RATES_HZ, count, Quality::High)),
            frame: rate_hz.to_usize().unwrap_or(0) / PACKETS_PER_SECOND,
            held: vec![Vec::new(); count],
            interleaved: Vec::new(),
        })
    }
}

impl Open {
    /// Whether a packet was made.
    fn has_begun(&self) -> bool {
        !self.interleaved.is_empty()
    }

    /// Emits a packet for each whole frame that is held.
    fn encode(&mut self, emit: Emit<'_>) -> Result<(), NodeError> {
        let whole = self.held.first().map_or(0, Vec::len) / self.frame * self.frame;
        for begin in (0..whole).step_by(self.frame) {
            self.interleaved.clear();
            for at in begin..begin + self.frame {
                self.interleaved.extend(self.held.iter().map(|held| held[at].clamp(-1.0, 1.0)));
            }
            let mut packet = vec![0; MOST_PACKET_BYTES];
            let made = self.encoder.encode_float_to_slice(&self.interleaved, &mut packet);
            packet.truncate(made.map_err(failed)?);
            packet.shrink_to_fit();
            emit(Value::Bytes(packet.into()));
        }
        self.held.iter_mut().for_each(|held| drop(held.drain(..whole)));
        Ok(())
    }
}

/// libopus refuses nothing that it is given here, unless memory is at an end.
fn failed(error: ErrorCode) -> NodeError {
    NodeErrorKind::BadValue {
        what: "the sound",
        expected: "what libopus encodes".to_owned(),
        got: error.message().to_owned(),
    }
    .into()
}
