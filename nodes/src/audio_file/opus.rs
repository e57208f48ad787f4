//! Opus for symphonia, which finds the packets of an Ogg file but does not decode them. By RFC 7845:
//! 48 kHz whatever the encoder got, one or several streams, the first samples (pre-skip) dropped, the
//! gain of the header applied.

mod streams;

use symphonia::core as symphonia_core;
use symphonia::core::audio::{
    AsGenericAudioBufferRef, AudioBuffer, AudioMut, AudioSpec, GenericAudioBufferRef,
};
use symphonia::core::codecs::CodecInfo;
use symphonia::core::codecs::audio::well_known::CODEC_ID_OPUS;
use symphonia::core::codecs::audio::{
    AudioCodecParameters, AudioDecoder, AudioDecoderOptions, FinalizeResult,
};
use symphonia::core::codecs::registry::{RegisterableAudioDecoder, SupportedAudioCodec};
use symphonia::core::errors::{Error, Result, unsupported_error};
use symphonia::core::packet::PacketRef;
use symphonia::core::support_audio_codec;

use streams::Streams;

const RATE_HZ: u32 = 48_000;
/// The longest packet: 120 ms.
const LONGEST_PACKET: usize = 5_760;
/// The mapping family whose channels are speakers.
const SPEAKERS: u8 = 1;

/// For each channel in the order of WAV files, in which other formats come too, its place in the order of
/// Vorbis, which Opus has. `None` where both are the same.
fn speakers(channels: usize) -> Option<&'static [usize]> {
    match channels {
        3 => Some(&[0, 2, 1]),
        5 => Some(&[0, 2, 1, 3, 4]),
        6 => Some(&[0, 2, 1, 5, 3, 4]),
        7 => Some(&[0, 2, 1, 6, 5, 3, 4]),
        8 => Some(&[0, 2, 1, 7, 5, 6, 3, 4]),
        _ => None,
    }
}

/// The identification header, `OpusHead`.
struct Head {
    pre_skip: usize,
    /// Linear.
    gain: f32,
    /// Streams, how many of them are stereo, and the channel of each output.
    streams: usize,
    coupled: usize,
    mapping: Vec<u8>,
}

impl Head {
    fn read(data: &[u8]) -> Option<Self> {
        let fixed: &[u8; 19] = data.first_chunk()?;
        let channels = usize::from(fixed[9]);
        let gain = i16::from_le_bytes([fixed[16], fixed[17]]);
        let (streams, coupled, mapping) = match fixed[18] {
            0 => (1, channels.checked_sub(1)?, (0..fixed[9]).collect()),
            family => {
                let listed = data.get(21..21 + channels)?;
                let mapping = match speakers(channels).filter(|_| family == SPEAKERS) {
                    Some(order) => order.iter().map(|place| listed[*place]).collect(),
                    None => listed.to_vec(),
                };
                (usize::from(*data.get(19)?), usize::from(*data.get(20)?), mapping)
            }
        };
        Some(Self {
            pre_skip: usize::from(u16::from_le_bytes([fixed[10], fixed[11]])),
            gain: 10_f32.powf(f32::from(gain) / 256.0 / 20.0),
            streams,
            coupled,
            mapping,
        })
    }
}

/// A decoder of one file.
pub(super) struct Opus {
    parameters: AudioCodecParameters,
    streams: Streams,
    gain: f32,
    /// Samples per channel that are still to be dropped.
    to_drop: usize,
    buffer: AudioBuffer<f32>,
    planes: Vec<Vec<f32>>,
}

impl AudioDecoder for Opus {
    fn codec_info(&self) -> &CodecInfo {
        &Self::supported_codecs()[0].info
    }

    fn reset(&mut self) {
        self.buffer.clear();
    }

    fn codec_params(&self) -> &AudioCodecParameters {
        &self.parameters
    }

    fn decode_ref(&mut self, packet: &PacketRef<'_>) -> Result<GenericAudioBufferRef<'_>> {
        self.buffer.clear();
        self.streams
            .decode(packet.data, &mut self.planes)
            .map_err(|_| Error::DecodeError("opus: the packet is damaged"))?;
        let decoded = self.planes.first().map_or(0, Vec::len).min(LONGEST_PACKET);
        self.buffer.render_uninit(Some(decoded));
        for (channel, plane) in self.planes.iter().enumerate() {
            let Some(out) = self.buffer.plane_mut(channel) else { break };
            for (out, sample) in out.iter_mut().zip(plane) {
                *out = sample * self.gain;
            }
        }
        let dropped = self.to_drop.min(decoded);
        self.to_drop -= dropped;
        let ending = usize::try_from(packet.trim_end.get()).unwrap_or(usize::MAX);
        self.buffer.trim(dropped, ending.min(decoded - dropped));
        Ok(self.buffer.as_generic_audio_buffer_ref())
    }

    fn finalize(&mut self) -> FinalizeResult {
        FinalizeResult::default()
    }

    fn last_decoded(&self) -> GenericAudioBufferRef<'_> {
        self.buffer.as_generic_audio_buffer_ref()
    }
}

impl RegisterableAudioDecoder for Opus {
    fn try_registry_new(
        parameters: &AudioCodecParameters,
        _options: &AudioDecoderOptions,
    ) -> Result<Box<dyn AudioDecoder>> {
        let head = parameters.extra_data.as_deref().and_then(Head::read);
        let (Some(head), Some(layout)) = (head, parameters.channels.clone()) else {
            return unsupported_error("Opus without a valid header");
        };
        let Some(streams) = Streams::new(&head) else {
            return unsupported_error("Opus with a channel mapping that is not known");
        };
        Ok(Box::new(Self {
            parameters: parameters.clone(),
            streams,
            gain: head.gain,
            to_drop: head.pre_skip,
            buffer: AudioBuffer::new(AudioSpec::new(RATE_HZ, layout), LONGEST_PACKET),
            planes: vec![Vec::new(); head.mapping.len()],
        }))
    }

    fn supported_codecs() -> &'static [SupportedAudioCodec] {
        &[support_audio_codec!(CODEC_ID_OPUS, "opus", "Opus")]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header of `channels` in streams, of which `coupled` are stereo.
    fn mapping(family: u8, streams: u8, coupled: u8, listed: &[u8]) -> Option<Vec<u8>> {
        let channels = u8::try_from(listed.len()).unwrap();
        let mut data = b"OpusHead\x01".to_vec();
        data.extend([channels, 0, 0, 0x80, 0xbb, 0, 0, 0, 0, family, streams, coupled]);
        data.extend(listed);
        Head::read(&data).map(|head| head.mapping)
    }

    #[test]
    fn speakers_come_in_the_order_of_wav_files() {
        // As libopus lists them: front left, centre, front right, rear left, rear right, bass.
        assert_eq!(mapping(1, 4, 2, &[0, 4, 1, 2, 3, 5]), Some(vec![0, 1, 4, 5, 2, 3]));
        assert_eq!(mapping(1, 5, 3, &[0, 6, 1, 2, 3, 4, 5, 7]), Some(vec![0, 1, 6, 7, 4, 5, 2, 3]));
        assert_eq!(mapping(1, 1, 1, &[0, 1]), Some(vec![0, 1]));
        assert_eq!(mapping(255, 3, 0, &[2, 0, 1]), Some(vec![2, 0, 1]), "no speakers");
    }
}
