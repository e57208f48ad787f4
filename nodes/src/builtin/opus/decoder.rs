//! OpusDecoderNode: sound from packets.

use ipc_protocol::{Audio, Order, Value};
use num_traits::ToPrimitive;
use opusic_c::Decoder;

use super::{RATES, opus_channels, opus_rate};
use crate::builtin::audio_item;
use crate::builtin::samples::{self, Element};
use crate::error::{NodeError, NodeErrorKind};
use crate::node::{Emit, Node, NodeType};
use crate::params::{ParamDefault, ParamKind, ParamProblem, ParamSpec, Params};

const LONGEST_PACKET_MS: usize = 120;
const USUAL_PACKET_MS: usize = 20;

pub(crate) static TYPE: NodeType = NodeType {
    name: "OpusDecoderNode",
    version: "1.0.0",
    summary: "Decodes packets of Opus.",
    aliases: &[],
    capabilities: &["packets"],
    params: &[
        ParamSpec {
            name: "sample_rate",
            aliases: &[],
            kind: ParamKind::Int,
            default: ParamDefault::Int(48_000),
            range: Some((8_000.0, 48_000.0)),
            unit: "Hz",
            doc: "Rate of the sound: 8000, 12000, 16000, 24000 or 48000, whatever the encoder got.",
        },
        ParamSpec {
            name: "channels",
            aliases: &[],
            kind: ParamKind::Int,
            default: ParamDefault::Int(1),
            range: Some((1.0, 2.0)),
            unit: "",
            doc: "Channels of the sound, whatever the encoder got.",
        },
    ],
    exclusive: &[],
    build,
};

fn build(params: &Params) -> Result<Box<dyn Node>, ParamProblem> {
    Ok(Box::new(OpusDecoder {
        rate_hz: params.u32("sample_rate")?,
        channels: params.u32("channels")?.to_usize().unwrap_or(1),
        open: None,
    }))
}

struct OpusDecoder {
    rate_hz: u32,
    channels: usize,
    open: Option<Open>,
}

/// A stream in progress.
struct Open {
    decoder: Decoder,
    /// Samples per channel of the last packet, in place of which a lost one is.
    last: usize,
}

impl Node for OpusDecoder {
    fn process(&mut self, input: Value, emit: Emit<'_>) -> Result<(), NodeError> {
        let Value::Bytes(packet) = &input else {
            return Err(audio_item::mismatch(
                "a packet of Opus as bytes (b'' stands for one that was lost)",
                &input,
            ));
        };
        let packet = packet.as_slice();
        let rate = self.rate_hz.to_usize().unwrap_or(0);
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.begin(rate)?,
        };
        let longest = rate * LONGEST_PACKET_MS / 1_000;
        let room = if packet.is_empty() { open.last } else { longest };
        let mut sound = vec![0.0; room * self.channels];
        let decoded = open.decoder.decode_float_to_slice(packet, &mut sound, false);
        let result = decoded.map_err(|error| {
            let got = format!("{} bytes: {}", packet.len(), error.message());
            NodeErrorKind::BadValue { what: "the packet", expected: "one of Opus".to_owned(), got }
        });
        if let Ok(samples) = result {
            open.last = samples;
        }
        self.open = Some(open);
        let samples = result?;
        let all: Vec<f32> = (0..self.channels)
            .flat_map(|channel| sound[channel..].iter().step_by(self.channels).take(samples))
            .copied()
            .collect();
        let shape = vec![self.channels as u64, samples as u64];
        let samples = samples::array_of(all, Element::F32, shape, Order::C);
        emit(Value::Audio(Audio { samples, sample_rate_hz: self.rate_hz }));
        Ok(())
    }

    fn flush(&mut self, _: Emit<'_>) -> Result<(), NodeError> {
        self.open = None;
        Ok(())
    }
}

impl OpusDecoder {
    fn begin(&self, rate: usize) -> Result<Open, NodeError> {
        let wrong = |got: String| NodeErrorKind::BadValue {
            what: "sample_rate",
            expected: RATES.to_owned(),
            got,
        };
        let opus_rate = opus_rate(self.rate_hz).ok_or_else(|| wrong(self.rate_hz.to_string()))?;
        let channels = opus_channels(self.channels).unwrap_or(opusic_c::Channels::Mono);
        let decoder =
            Decoder::new(channels, opus_rate).map_err(|error| wrong(error.message().to_owned()))?;
        Ok(Open { decoder, last: rate * USUAL_PACKET_MS / 1_000 })
    }
}
