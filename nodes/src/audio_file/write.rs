//! Writes WAV files and headerless PCM, piece by piece.
//!
//! A WAV file begins with open sizes, as programs write them to pipes, so that what a recorder that
//! was cut off leaves can be read; the sizes are put in when the file is finished. Beyond 4 GiB it is
//! an RF64 file (EBU Tech 3306), for whose longer sizes there is room from the start.

use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use ipc_protocol::Array;

use super::AudioFileError;
use super::wav::{A_LAW, EXTENSIBLE, FLOAT, MU_LAW, PCM};
use crate::builtin::interleaved;
use crate::error::NodeErrorKind;
use crate::pcm::Encoding;

/// The bytes of a header.
const HEADER_BYTES: usize = 104;
/// The end of the id of WAVE_FORMAT_EXTENSIBLE that follows the codec's number.
const ID_TAIL: [u8; 14] = [0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71];

/// What a file is to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileFormat {
    /// Samples per second and channel.
    pub sample_rate_hz: u32,
    /// Number of channels, 1 to 65,535.
    pub channels: u16,
    /// Format of the samples.
    pub encoding: Encoding,
    /// Whether there is no header.
    pub is_raw: bool,
}

/// A file that is being written. Dropped without [`finish`](Self::finish), it is one that was cut
/// off: its header states no sizes.
#[derive(Debug)]
pub struct Writer {
    path: PathBuf,
    file: BufWriter<File>,
    format: FileFormat,
    data_bytes: u64,
}

impl Writer {
    /// Makes the file, or replaces what it held. `format` of `.raw` and `.pcm` files is headerless.
    ///
    /// # Errors
    /// The operating system refuses it, or no file can have that rate or so many channels.
    pub fn create(path: &Path, format: FileFormat) -> Result<Self, AudioFileError> {
        if format.sample_rate_hz == 0 || format.channels == 0 {
            return Err(AudioFileError::BadWriteFormat { path: path.to_owned(), format });
        }
        let made = File::create(path).map_err(|source| write_error(path, source))?;
        let mut file = BufWriter::new(made);
        if !format.is_raw {
            let header = header(format, None);
            file.write_all(&header).map_err(|source| write_error(path, source))?;
        }
        Ok(Self { path: path.to_owned(), file, format, data_bytes: 0 })
    }

    /// Appends samples of shape `(samples,)` or `(channels, samples)`, in any format that
    /// FormatConverterNode takes.
    ///
    /// # Errors
    /// The array is no audio or has another number of channels, or the operating system refuses to
    /// write.
    pub fn write(&mut self, array: Array) -> Result<(), AudioFileError> {
        let channels = match array.shape.as_slice() {
            [channels, _] => *channels,
            _ => 1,
        };
        let samples = |source| AudioFileError::NoSamples { path: self.path.clone(), source };
        if channels != u64::from(self.format.channels) {
            return Err(samples(
                NodeErrorKind::StreamChanged {
                    what: "channel count",
                    before: self.format.channels.into(),
                    now: channels,
                }
                .into(),
            ));
        }
        let data = interleaved(array, self.format.encoding).map_err(samples)?;
        let bytes = data.as_slice();
        self.file.write_all(bytes).map_err(|source| write_error(&self.path, source))?;
        self.data_bytes += bytes.len() as u64;
        Ok(())
    }

    /// Writes what is left, and the sizes of the header where the file allows to go back to it.
    ///
    /// # Errors
    /// The operating system refuses to write.
    pub fn finish(mut self) -> Result<(), AudioFileError> {
        self.end().map_err(|source| write_error(&self.path, source))
    }

    fn end(&mut self) -> io::Result<()> {
        if !self.format.is_raw && self.data_bytes % 2 == 1 {
            // Chunks have an even length.
            self.file.write_all(&[0])?;
        }
        self.file.flush()?;
        let file = self.file.get_mut();
        if !self.format.is_raw && file.metadata()?.is_file() {
            file.seek(SeekFrom::Start(0))?;
            file.write_all(&header(self.format, Some(self.data_bytes)))?;
        }
        Ok(())
    }
}

/// The header of a file with so many bytes of samples; `None` if that is not known yet.
pub(in crate::audio_file) fn header(format: FileFormat, data_bytes: Option<u64>) -> Vec<u8> {
    let encoding = format.encoding;
    let frame_bytes = encoding.bytes() as u64 * u64::from(format.channels);
    let all = data_bytes.map(|data| data + data % 2 + (HEADER_BYTES as u64 - 8));
    let is_long = all.is_some_and(|all| all >= u64::from(u32::MAX));
    let size = |bytes: Option<u64>| {
        bytes.and_then(|bytes| u32::try_from(bytes).ok()).filter(|_| !is_long).unwrap_or(u32::MAX)
    };
    let frames = data_bytes.map(|data| data / frame_bytes.max(1));
    let mut out = Vec::with_capacity(HEADER_BYTES);
    out.extend(if is_long { b"RF64" } else { b"RIFF" });
    out.extend(size(all).to_le_bytes());
    out.extend(b"WAVE");
    // The longer sizes, or room for them.
    out.extend(if is_long { b"ds64" } else { b"JUNK" });
    out.extend(28_u32.to_le_bytes());
    for long in [all, data_bytes, frames] {
        out.extend(long.filter(|_| is_long).unwrap_or(0).to_le_bytes());
    }
    out.extend([0; 4]);
    out.extend(b"fmt ");
    out.extend(format_chunk(format));
    out.extend(b"data");
    out.extend(size(data_bytes).to_le_bytes());
    out
}

/// Length and body of the format chunk, always of WAVE_FORMAT_EXTENSIBLE's length.
fn format_chunk(format: FileFormat) -> Vec<u8> {
    let encoding = format.encoding;
    let code = match encoding {
        Encoding::U8 | Encoding::I16 | Encoding::I24 | Encoding::I32 => PCM,
        Encoding::F32 | Encoding::F64 => FLOAT,
        Encoding::ALaw => A_LAW,
        Encoding::MuLaw => MU_LAW,
    };
    let bytes = u16::try_from(encoding.bytes()).unwrap_or(0);
    // More than two channels or 16 bits need it; other readers know the plain one better.
    let is_extensible = format.channels > 2 || matches!(encoding, Encoding::I24 | Encoding::I32);
    let frame_bytes = bytes.saturating_mul(format.channels);
    let byte_rate = u32::from(frame_bytes).saturating_mul(format.sample_rate_hz);
    let mut out = 40_u32.to_le_bytes().to_vec();
    out.extend(if is_extensible { EXTENSIBLE } else { code }.to_le_bytes());
    out.extend(format.channels.to_le_bytes());
    out.extend(format.sample_rate_hz.to_le_bytes());
    out.extend(byte_rate.to_le_bytes());
    out.extend(frame_bytes.to_le_bytes());
    out.extend((8 * bytes).to_le_bytes());
    out.extend(22_u16.to_le_bytes());
    out.extend((8 * bytes).to_le_bytes());
    // No places of speakers are stated.
    out.extend([0; 4]);
    out.extend(code.to_le_bytes());
    out.extend(ID_TAIL);
    out
}

fn write_error(path: &Path, source: io::Error) -> AudioFileError {
    AudioFileError::CannotWrite { path: path.to_owned(), source }
}
