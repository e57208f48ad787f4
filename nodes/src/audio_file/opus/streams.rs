//! The streams of an Opus packet: all but the last are self-delimiting (RFC 6716, appendix B), and
//! become plain packets here. Each has a decoder of its own (RFC 7845, section 5.1.1).

use opus_decoder::{OpusDecoder, OpusError};

use super::{Head, LONGEST_PACKET, RATE_HZ};

/// The decoders of one file.
pub(super) struct Streams {
    /// Each with its channels: the stereo ones come first.
    decoders: Vec<(OpusDecoder, usize)>,
    /// The decoded channel of each output; `None` is silence.
    mapping: Vec<Option<usize>>,
    pcm: Vec<i16>,
}

impl Streams {
    /// `None` when the header contradicts itself.
    pub(super) fn new(head: &Head) -> Option<Self> {
        let decoded = head.streams + head.coupled;
        let fits = |channel: &u8| usize::from(*channel) < decoded || *channel == u8::MAX;
        if head.streams == 0 || head.coupled > head.streams || !head.mapping.iter().all(fits) {
            return None;
        }
        let mut decoders = Vec::with_capacity(head.streams);
        for stream in 0..head.streams {
            let channels = if stream < head.coupled { 2 } else { 1 };
            decoders.push((OpusDecoder::new(RATE_HZ, channels).ok()?, channels));
        }
        let mapping =
            head.mapping.iter().map(|at| (*at != u8::MAX).then_some(usize::from(*at))).collect();
        Some(Self { decoders, mapping, pcm: vec![0; 2 * LONGEST_PACKET] })
    }

    /// Decodes a packet into `out`, one vector for each output channel.
    pub(super) fn decode(&mut self, packet: &[u8], out: &mut [Vec<f32>]) -> Result<(), OpusError> {
        out.iter_mut().for_each(Vec::clear);
        let (mut rest, mut first, mut samples) = (packet, 0, None);
        let last = self.decoders.len() - 1;
        for (stream, (decoder, channels)) in self.decoders.iter_mut().enumerate() {
            let own;
            let plain = if stream == last {
                rest
            } else {
                let (found, length) = plain_packet(rest).ok_or(OpusError::InvalidPacket)?;
                rest = &rest[length..];
                own = found;
                own.as_slice()
            };
            let decoded = decoder.decode(plain, &mut self.pcm, false)?;
            if *samples.get_or_insert(decoded) != decoded {
                return Err(OpusError::InvalidPacket);
            }
            for channel in 0..*channels {
                let outputs = self.mapping.iter().zip(&mut *out);
                for (_, out) in outputs.filter(|(from, _)| **from == Some(first + channel)) {
                    let pcm = self.pcm[..decoded * *channels].iter();
                    let of_channel = pcm.skip(channel).step_by(*channels);
                    out.extend(of_channel.map(|sample| f32::from(*sample) / 32_768.0));
                }
            }
            first += *channels;
        }
        for out in out {
            out.resize(samples.unwrap_or(0), 0.0);
        }
        Ok(())
    }
}

/// A self-delimiting packet as a plain one, and the bytes it took: the length of its last frame is
/// left out.
fn plain_packet(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let length_at = |at: usize| -> Option<(usize, usize)> {
        let first = usize::from(*bytes.get(at)?);
        Some(match first {
            0..252 => (first, at + 1),
            _ => (first + 4 * usize::from(*bytes.get(at + 1)?), at + 2),
        })
    };
    let (head, body, length) = match bytes.first()? & 3 {
        code @ (0 | 1) => {
            let (frame, body) = length_at(1)?;
            (1, body, frame * (usize::from(code) + 1))
        }
        2 => {
            let (first, head) = length_at(1)?;
            let (second, body) = length_at(head)?;
            (head, body, first + second)
        }
        _ => {
            let flags = *bytes.get(1)?;
            let frames = usize::from(flags & 0x3f);
            let (mut head, mut length) = (2, 0);
            if flags & 0x40 != 0 {
                loop {
                    let padding = *bytes.get(head)?;
                    head += 1;
                    length += usize::from(padding.min(254));
                    if padding < u8::MAX {
                        break;
                    }
                }
            }
            let is_variable = flags & 0x80 != 0;
            for _ in 1..if is_variable { frames } else { 1 } {
                let (frame, next) = length_at(head)?;
                (head, length) = (next, length + frame);
            }
            let (last, body) = length_at(head)?;
            (head, body, length + if is_variable { last } else { last * frames })
        }
    };
    let plain = [bytes.get(..head)?, bytes.get(body..body + length)?].concat();
    Some((plain, body + length))
}
