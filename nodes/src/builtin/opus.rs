//! OpusEncoderNode and OpusDecoderNode: sound as packets of Opus, as calls and streams carry them, by
//! libopus. Only with the feature `opus` of this crate; files in Ogg are read without it.

mod decoder;
mod encoder;
#[cfg(test)]
mod tests;

use opusic_c::{Channels, SampleRate};

pub(super) use decoder::TYPE as DECODER;
pub(super) use encoder::TYPE as ENCODER;

/// The rates of Opus, for error texts.
const RATES: &str = "8000, 12000, 16000, 24000 or 48000";

/// A rate that Opus has.
fn opus_rate(hz: u32) -> Option<SampleRate> {
    Some(match hz {
        8_000 => SampleRate::Hz8000,
        12_000 => SampleRate::Hz12000,
        16_000 => SampleRate::Hz16000,
        24_000 => SampleRate::Hz24000,
        48_000 => SampleRate::Hz48000,
        _ => return None,
    })
}

/// As many channels as a packet can have.
fn opus_channels(channels: usize) -> Option<Channels> {
    match channels {
        1 => Some(Channels::Mono),
        2 => Some(Channels::Stereo),
        _ => None,
    }
}
