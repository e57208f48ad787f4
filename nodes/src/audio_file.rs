//! Reads audio files into float samples, in pieces of bounded size or whole: WAV (`audio_file/wav.rs`),
//! and what symphonia knows (`audio_file/packets.rs`), recognized by their contents; headerless PCM in
//! the format that the caller gives. Writes WAV and headerless PCM (`audio_file/write.rs`).
//!
//! As players do, it reads what there is of a file, and says what is missing or damaged.

mod aiff;
mod error;
mod opus;
mod packets;
mod pieces;
mod tags;
#[cfg(test)]
mod tests;
mod wav;
mod write;

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use ipc_protocol::Audio;
use ipc_protocol::memory::prefer_large_pages;

use crate::builtin::samples;
use crate::pcm::{self, Encoding};
pub use error::{AudioFileError, Damage};
use packets::{Packets, Tail};
pub use pieces::Pieces;
use wav::WavError;
pub use write::{FileFormat, Writer};

/// The formats that [`read`] knows, for messages.
pub const SUPPORTED: &str = "WAV, AIFF, FLAC, Ogg Vorbis, Ogg Opus, MP3 and AAC in MP4 (and headerless \
                             PCM when its rate is given)";
/// The highest sample rate of a file, in Hz.
const HIGHEST_RATE_HZ: u32 = 768_000;
/// Bytes of PCM that are read at once.
const BLOCK_BYTES: usize = 1 << 16;
/// More samples than this come out of a byte only where the audio is almost silent.
const MOST_SAMPLES_PER_BYTE: u64 = 64;
/// Sizes that programs state which write to a pipe, rather than the largest one there is.
const OPEN_ENDED: std::ops::RangeInclusive<u64> = 0x7fff_0000..=0xffff_ffff;
/// What follows an empty data chunk is looked at up to this size.
const LONGEST_TAIL: u64 = 1 << 20;

/// Format of a file without a header: little-endian samples, channels interleaved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawFormat {
    /// Samples per second and channel.
    pub sample_rate_hz: u32,
    /// Number of channels, at least 1.
    pub channels: u32,
    /// Format of the samples.
    pub encoding: Encoding,
}

/// What was read of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Recording {
    /// float32 samples in [-1, 1] of shape `(channels, samples)`.
    pub audio: Audio,
    /// What of the file is missing or damaged.
    pub damage: Vec<Damage>,
}

/// Reads a whole file. A file without samples is an array without samples.
///
/// `raw` is the format of a file without a header. Without `raw` the format is recognized from the
/// contents, whatever the file is called.
///
/// # Errors
/// See [`AudioFileError`]. A file of which something can be read is no error.
pub fn read(path: &Path, raw: Option<RawFormat>) -> Result<Recording, AudioFileError> {
    let mut reader = Reader::open(path, raw)?;
    let expected = reader.expected_samples();
    let mut planes: Vec<_> = (0..reader.channels()).map(|_| Vec::with_capacity(expected)).collect();
    planes.iter_mut().for_each(|plane| prefer_large_pages(plane.spare_capacity_mut()));
    while reader.read(&mut planes)? {}
    let audio =
        Audio { samples: samples::planar_array(planes), sample_rate_hz: reader.sample_rate_hz() };
    Ok(Recording { audio, damage: reader.damage })
}

/// A file that is read in pieces.
pub struct Reader {
    path: PathBuf,
    source: Source,
    sample_rate_hz: u32,
    channels: usize,
    damage: Vec<Damage>,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("path", &self.path).finish_non_exhaustive()
    }
}

enum Source {
    Pcm(Pcm),
    Packets(Box<Packets>),
}

impl Reader {
    /// Opens a file and reads its header.
    ///
    /// # Errors
    /// The file is none of [`SUPPORTED`], or nothing of it can be read.
    pub fn open(path: &Path, raw: Option<RawFormat>) -> Result<Self, AudioFileError> {
        let mut file = File::open(path).map_err(|source| io_error(path, source))?;
        let metadata = file.metadata().map_err(|source| io_error(path, source))?;
        if metadata.is_dir() {
            return Err(io_error(path, io::Error::from(io::ErrorKind::IsADirectory)));
        }
        let length = metadata.is_file().then_some(metadata.len());
        if length == Some(0) {
            return Err(AudioFileError::Empty { path: path.to_owned() });
        }
        if let Some(format) = raw {
            return Self::raw(path, file, format);
        }
        let Some(length) = length else { return Self::pipe(path, file) };
        let begin = tags::before(&mut file).map_err(|source| io_error(path, source))?;
        let head = tags::head_of(&mut file, begin).map_err(|source| io_error(path, source))?;
        if wav::is_wav(&head) {
            let found = Self::wav(&mut file, length - begin.min(length));
            match found {
                Ok((pcm, rate_hz)) => return Self::pcm(path, pcm, rate_hz),
                Err(WavError::Codec(_)) => {}
                Err(error) => return Err(wav_error(path, error)),
            }
        }
        let io = |source| io_error(path, source);
        let mut tail = Tail { begin, end: length, ..Tail::new(file) };
        if head.starts_with(b"fLaC") {
            // symphonia would take them for a part of the last frame.
            tail.end = tags::end(&mut tail.file, length).map_err(io)?;
        }
        let mut missing = None;
        if aiff::is_aiff(&head) {
            let sizes = aiff::sizes(&mut tail.file, length - begin.min(length)).map_err(io)?;
            tail.patches = sizes.patches;
            missing = sizes.missing.filter(|(_, stated)| !OPEN_ENDED.contains(stated));
        }
        let mut new = Self::packets(path, Packets::open(path, tail)?)?;
        new.damage.extend(missing.map(|(missing, stated)| {
            let path = path.to_owned();
            Damage::CutOff { path, missing, stated, unit: "bytes of audio" }
        }));
        Ok(new)
    }

    /// Samples per second.
    #[must_use]
    pub fn sample_rate_hz(&self) -> u32 {
        self.sample_rate_hz
    }

    /// Number of channels.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// What is missing or damaged, as far as the file was read.
    #[must_use]
    pub fn damage(&self) -> &[Damage] {
        &self.damage
    }

    /// Samples per channel that memory is set aside for: what the header says, as far as a file of that
    /// length has room for it; 0 where unknown.
    fn expected_samples(&self) -> usize {
        let length = std::fs::metadata(&self.path).map_or(0, |metadata| metadata.len());
        let samples = match &self.source {
            Source::Pcm(pcm) => {
                let frame_bytes = pcm.encoding.bytes() as u64 * self.channels as u64;
                pcm.stated.map_or(length, |stated| stated.min(length)) / frame_bytes
            }
            Source::Packets(packets) => {
                let room =
                    length.saturating_mul(MOST_SAMPLES_PER_BYTE) / self.channels.max(1) as u64;
                packets.stated_samples().unwrap_or(0).min(room)
            }
        };
        usize::try_from(samples).unwrap_or(0)
    }

    /// Appends the next samples, at most some ten thousand, to `planes`, one vector per channel.
    /// False at the end of the file.
    ///
    /// # Errors
    /// The operating system refuses to read, or the file changes its rate or channels.
    pub fn read(&mut self, planes: &mut [Vec<f32>]) -> Result<bool, AudioFileError> {
        match &mut self.source {
            Source::Packets(packets) => packets.read(planes, &mut self.damage),
            Source::Pcm(pcm) => {
                let more = pcm.read(planes).map_err(|source| io_error(&self.path, source))?;
                if !more {
                    let path = || self.path.clone();
                    self.damage.extend(pcm.missing().map(|(missing, stated)| Damage::CutOff {
                        path: path(),
                        missing,
                        stated,
                        unit: "bytes of audio",
                    }));
                }
                Ok(more)
            }
        }
    }

    fn raw(path: &Path, file: File, format: RawFormat) -> Result<Self, AudioFileError> {
        let channels = usize::try_from(format.channels).unwrap_or(0);
        if format.sample_rate_hz == 0 || channels == 0 {
            return Err(AudioFileError::BadRawFormat { path: path.to_owned(), format });
        }
        let pcm = Pcm::new(Box::new(file), format.encoding, channels, None);
        Self::pcm(path, pcm, format.sample_rate_hz)
    }

    /// What comes through a pipe cannot be looked at twice.
    fn pipe(path: &Path, mut file: File) -> Result<Self, AudioFileError> {
        let mut head = Vec::new();
        Read::take(&mut file, 12).read_to_end(&mut head).map_err(|e| io_error(path, e))?;
        if !wav::is_wav(&head) {
            return Self::packets(path, Packets::pipe(path, io::Cursor::new(head).chain(file))?);
        }
        let mut input = BufReader::new(io::Cursor::new(head).chain(file));
        let header = wav::read(&mut input).map_err(|error| wav_error(path, error))?;
        let pcm = Pcm::new(Box::new(input), header.encoding, header.channels, header.data_bytes);
        Self::pcm(path, pcm, header.rate_hz)
    }

    fn wav(file: &mut File, length: u64) -> Result<(Pcm, u32), WavError> {
        let begin = file.stream_position()?;
        let mut input = BufReader::new(&mut *file);
        let mut header = wav::read(&mut input)?;
        let data = input.stream_position()?;
        let rest = length.saturating_sub(data - begin);
        if header.is_zero && rest <= LONGEST_TAIL {
            let mut tail = Vec::new();
            input.read_to_end(&mut tail)?;
            if wav::is_chunks(&tail) {
                header.data_bytes = Some(0);
            }
        }
        drop(input);
        let mut own = file.try_clone()?;
        own.seek(SeekFrom::Start(data))?;
        Ok((
            Pcm::new(Box::new(own), header.encoding, header.channels, header.data_bytes),
            header.rate_hz,
        ))
    }

    fn pcm(path: &Path, pcm: Pcm, sample_rate_hz: u32) -> Result<Self, AudioFileError> {
        let channels = pcm.channels;
        Self::checked(path, Source::Pcm(pcm), sample_rate_hz, channels)
    }

    fn packets(path: &Path, packets: Packets) -> Result<Self, AudioFileError> {
        let (sample_rate_hz, channels) = packets.spec();
        Self::checked(path, Source::Packets(Box::new(packets)), sample_rate_hz, channels)
    }

    fn checked(
        path: &Path,
        source: Source,
        sample_rate_hz: u32,
        channels: usize,
    ) -> Result<Self, AudioFileError> {
        let path = path.to_owned();
        if !(1..=HIGHEST_RATE_HZ).contains(&sample_rate_hz) {
            return Err(AudioFileError::BadRate { path, rate_hz: sample_rate_hz });
        }
        Ok(Self { path, source, sample_rate_hz, channels, damage: Vec::new() })
    }
}

/// PCM up to its stated end, or the end of the file.
struct Pcm {
    input: Box<dyn Read + Send>,
    encoding: Encoding,
    channels: usize,
    /// Bytes that the header states, and that have been read.
    stated: Option<u64>,
    taken: u64,
    buffer: Vec<u8>,
}

impl Pcm {
    fn new(
        input: Box<dyn Read + Send>,
        encoding: Encoding,
        channels: usize,
        stated: Option<u64>,
    ) -> Self {
        Self { input, encoding, channels, stated, taken: 0, buffer: Vec::new() }
    }

    fn read(&mut self, planes: &mut [Vec<f32>]) -> io::Result<bool> {
        let frame = self.encoding.bytes() * self.channels;
        let block = (BLOCK_BYTES / frame).max(1) * frame;
        let left = self.stated.map_or(u64::MAX, |stated| stated - self.taken);
        self.buffer.clear();
        let taken = (&mut self.input).take(left.min(block as u64)).read_to_end(&mut self.buffer)?;
        self.taken += taken as u64;
        // The rest of a frame that the end cuts off has no use.
        let whole = taken - taken % frame;
        pcm::append_planes(&self.buffer[..whole], self.encoding, planes);
        Ok(whole > 0)
    }

    /// Bytes that the header states and the file does not have, and how many it states.
    fn missing(&self) -> Option<(u64, u64)> {
        let stated = self.stated.filter(|stated| !OPEN_ENDED.contains(stated))?;
        (stated > self.taken).then(|| (stated - self.taken, stated))
    }
}

fn io_error(path: &Path, source: io::Error) -> AudioFileError {
    let path = path.to_owned();
    match source.kind() {
        io::ErrorKind::NotFound => AudioFileError::NotFound { path },
        _ => AudioFileError::Io { path, source },
    }
}

fn wav_error(path: &Path, error: WavError) -> AudioFileError {
    let path = path.to_owned();
    match error {
        WavError::Io(source) => AudioFileError::Io { path, source },
        WavError::Codec(code) => AudioFileError::UnsupportedCodec {
            path,
            feature: format!("WAV with the codec 0x{code:04x}"),
        },
        WavError::Bad(reason) => {
            AudioFileError::Corrupt { path, decoded_samples: 0, reason: reason.to_owned() }
        }
    }
}
