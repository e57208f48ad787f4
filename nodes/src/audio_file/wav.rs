//! The headers of WAV files: RIFF, RF64 and BW64, as recorders and pipes write them and as they are
//! left when a recorder was cut off.
//!
//! One rule: the data reaches to its stated end, or to the end of the file. The size of the file as
//! a whole (RIFF) is not used. A size of the data of 0 or 0xFFFFFFFF, with which programs begin that
//! do not know it yet, is no statement; but 0 is one where whole chunks follow up to the end of the
//! file: then the recording is empty.

use std::io::{self, Read};

use crate::pcm::Encoding;

/// What a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) encoding: Encoding,
    pub(super) rate_hz: u32,
    pub(super) channels: usize,
    /// Bytes of audio that follow; `None` if they are not stated.
    pub(super) data_bytes: Option<u64>,
    /// Whether 0 bytes are stated.
    pub(super) is_zero: bool,
}

/// Why a header was not read.
#[derive(Debug)]
pub(super) enum WavError {
    Io(io::Error),
    /// A codec that is not PCM; symphonia may know it.
    Codec(u16),
    /// The header is damaged.
    Bad(&'static str),
}

impl From<io::Error> for WavError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Bad("it ends in its header"),
            _ => Self::Io(error),
        }
    }
}

pub(super) const PCM: u16 = 1;
pub(super) const FLOAT: u16 = 3;
pub(super) const A_LAW: u16 = 6;
pub(super) const MU_LAW: u16 = 7;
pub(super) const EXTENSIBLE: u16 = 0xfffe;
/// A format chunk is 16 to 40 bytes; longer ones hold what only other codecs need.
const LONGEST_FORMAT: u64 = 1 << 16;

/// Whether a file begins as a WAV file does.
pub(super) fn is_wav(head: &[u8]) -> bool {
    matches!(head.get(..4), Some(b"RIFF" | b"RF64" | b"BW64")) && head.get(8..12) == Some(b"WAVE")
}

/// Reads the header up to the first byte of the audio.
pub(super) fn read(source: &mut impl Read) -> Result<Header, WavError> {
    let mut head = [0; 12];
    source.read_exact(&mut head)?;
    let mut format = None;
    let mut long_data_bytes = None;
    loop {
        let mut chunk = [0; 8];
        if let Err(error) = source.read_exact(&mut chunk) {
            let why = if format.is_some() { "it has no data" } else { "it has no format" };
            return match error.kind() {
                io::ErrorKind::UnexpectedEof => Err(WavError::Bad(why)),
                _ => Err(WavError::Io(error)),
            };
        }
        let bytes = u64::from(u32_at(&chunk, 4));
        match &chunk[..4] {
            b"data" => {
                let Some((encoding, rate_hz, channels)) = format else {
                    return Err(WavError::Bad("its data comes before its format"));
                };
                let stated = match (bytes, long_data_bytes) {
                    (0xffff_ffff, long) => long.filter(|long| *long != u64::MAX),
                    (0, _) => None,
                    (bytes, _) => Some(bytes),
                };
                let is_zero = bytes == 0;
                return Ok(Header { encoding, rate_hz, channels, data_bytes: stated, is_zero });
            }
            b"fmt " if bytes <= LONGEST_FORMAT => {
                let mut body = vec![0; usize::try_from(bytes).unwrap_or(0)];
                source.read_exact(&mut body)?;
                format = Some(format_of(&body)?);
            }
            b"ds64" if (24..=LONGEST_FORMAT).contains(&bytes) => {
                let mut body = vec![0; usize::try_from(bytes).unwrap_or(0)];
                source.read_exact(&mut body)?;
                long_data_bytes =
                    Some(u64::from(u32_at(&body, 8)) | u64::from(u32_at(&body, 12)) << 32);
            }
            _ => skip(source, bytes)?,
        }
        // Chunks begin at even places.
        skip(source, bytes % 2)?;
    }
}

/// Whether `rest`, what follows a data chunk of 0 bytes, is whole chunks up to its end.
pub(super) fn is_chunks(rest: &[u8]) -> bool {
    let mut rest = rest;
    while rest.len() >= 8 {
        let is_name = rest[..4].iter().all(|byte| (0x20..0x7f).contains(byte));
        let bytes = u64::from(u32_at(rest, 4));
        let padded = usize::try_from(bytes + bytes % 2).unwrap_or(usize::MAX);
        let ends_here = usize::try_from(bytes) == Ok(rest.len() - 8);
        if !is_name || (padded > rest.len() - 8 && !ends_here) {
            return false;
        }
        rest = &rest[(8 + padded).min(rest.len())..];
    }
    rest.is_empty()
}

fn format_of(body: &[u8]) -> Result<(Encoding, u32, usize), WavError> {
    if body.len() < 16 {
        return Err(WavError::Bad("its format chunk is too short"));
    }
    let mut code = u16_at(body, 0);
    if code == EXTENSIBLE && body.len() >= 26 {
        code = u16_at(body, 24);
    }
    let channels = usize::from(u16_at(body, 2));
    let rate_hz = u32_at(body, 4);
    if channels == 0 {
        return Err(WavError::Bad("it has no channels"));
    }
    let frame_bytes = usize::from(u16_at(body, 12));
    let bits = usize::from(u16_at(body, 14));
    // What a sample occupies; a depth of 20 bits lies in 3 bytes.
    let bytes = match frame_bytes {
        frame if frame != 0 && frame % channels == 0 => frame / channels,
        _ => bits.div_ceil(8),
    };
    let encoding = match (code, bytes) {
        (PCM, 1) => Encoding::U8,
        (PCM, 2) => Encoding::I16,
        (PCM, 3) => Encoding::I24,
        (PCM, 4) => Encoding::I32,
        (FLOAT, 4) => Encoding::F32,
        (FLOAT, 8) => Encoding::F64,
        (A_LAW, 1) => Encoding::ALaw,
        (MU_LAW, 1) => Encoding::MuLaw,
        (code, _) => return Err(WavError::Codec(code)),
    };
    Ok((encoding, rate_hz, channels))
}

fn skip(source: &mut impl Read, bytes: u64) -> Result<(), WavError> {
    let skipped = io::copy(&mut source.take(bytes), &mut io::sink())?;
    if skipped < bytes {
        return Err(WavError::Bad("it ends in its header"));
    }
    Ok(())
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).map_or(0, |two| u16::from_le_bytes([two[0], two[1]]))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).map_or(0, |four| u32::from_le_bytes([four[0], four[1], four[2], four[3]]))
}
