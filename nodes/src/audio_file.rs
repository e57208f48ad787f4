//! Reads a whole audio file into float samples: WAV, AIFF, FLAC, OGG Vorbis and MP3, recognized by
//! their contents (symphonia), and headerless 16-bit PCM in the format that the caller gives.

#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};

use ipc_protocol::Audio;
use symphonia::core::codecs::audio::well_known::CODEC_ID_FLAC;
use symphonia::core::codecs::audio::{AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error as DecodeError;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, FormatReader, TrackType};
use symphonia::core::io::{MediaSourceStream, MediaSourceStreamOptions};
use symphonia::core::meta::MetadataOptions;

use crate::builtin::samples;

/// The formats that [`read`] knows, for messages.
pub const SUPPORTED: &str =
    "WAV, AIFF, FLAC, OGG Vorbis and MP3 (and headerless 16-bit PCM when its rate is given)";

/// Error text of symphonia for a file in no format that it knows. Its errors have no codes, so the
/// text is compared; a test fails when symphonia changes it.
const NO_FORMAT_FITS: &str = "core (probe): no suitable format reader found";

/// Format of a file without a header: signed 16-bit little-endian samples, channels interleaved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawFormat {
    /// Samples per second and channel.
    pub sample_rate_hz: u32,
    /// Number of channels, at least 1.
    pub channels: u32,
}

/// Why an audio file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum AudioFileError {
    /// The file does not exist.
    #[error("there is no file {}", path.display())]
    NotFound {
        /// The path that was given.
        path: PathBuf,
    },
    /// The operating system refused to open or read the file.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The path that was given.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
    /// The contents are in no supported format.
    #[error("{} is in no known audio format; supported are {SUPPORTED}", path.display())]
    UnknownFormat {
        /// The path that was given.
        path: PathBuf,
    },
    /// The container format is supported, the codec of its audio is not.
    #[error("{}: {feature}; supported are {SUPPORTED}", path.display())]
    UnsupportedCodec {
        /// The path that was given.
        path: PathBuf,
        /// The unsupported feature, as symphonia describes it.
        feature: &'static str,
    },
    /// The file has a supported container format, but no audio track.
    #[error("{} has no audio track", path.display())]
    NoAudioTrack {
        /// The path that was given.
        path: PathBuf,
    },
    /// The file violates its format, or ends too early.
    #[error("{} is damaged after {decoded_samples} samples: {reason}", path.display())]
    Corrupt {
        /// The path that was given.
        path: PathBuf,
        /// Samples per channel that were read before the damage.
        decoded_samples: usize,
        /// Description of the damage.
        reason: String,
    },
    /// The sample rate or the number of channels changes within the file.
    #[error(
        "{} changes from {} Hz, {} channel(s) to {} Hz, {} channel(s) after {decoded_samples} \
         samples; split it first", path.display(), before.0, before.1, now.0, now.1
    )]
    Changes {
        /// The path that was given.
        path: PathBuf,
        /// Sample rate (Hz) and channels at the start.
        before: (u32, usize),
        /// Sample rate (Hz) and channels afterwards.
        now: (u32, usize),
        /// Samples per channel before the change.
        decoded_samples: usize,
    },
    /// The file has no samples.
    #[error("{} holds no audio samples", path.display())]
    Empty {
        /// The path that was given.
        path: PathBuf,
    },
    /// The format given for a headerless file has a sample rate or a channel count of 0.
    #[error(
        "{}: a headerless file needs a sample rate above 0 Hz and at least one channel, \
         got {} Hz and {} channels", path.display(), format.sample_rate_hz, format.channels
    )]
    BadRawFormat {
        /// The path that was given.
        path: PathBuf,
        /// The format that was given.
        format: RawFormat,
    },
}

/// Reads a whole file into float32 samples in [-1, 1] of shape `(channels, samples)`.
///
/// `raw` is the format of a file without a header. Without `raw` the format is recognized from the
/// contents, whatever the file is called.
///
/// # Errors
/// See [`AudioFileError`]. A damaged file is an error, even if its first half could be read.
pub fn read(path: &Path, raw: Option<RawFormat>) -> Result<Audio, AudioFileError> {
    let file = File::open(path).map_err(|source| io_error(path, source))?;
    let length = file.metadata().map_err(|source| io_error(path, source))?;
    if length.is_dir() {
        return Err(io_error(path, io::Error::from(io::ErrorKind::IsADirectory)));
    }
    if length.is_file() && length.len() == 0 {
        return Err(AudioFileError::Empty { path: path.to_owned() });
    }
    match raw {
        Some(format) => read_raw(path, file, format),
        None => Reading::new(path, file)?.run(),
    }
}

fn io_error(path: &Path, source: io::Error) -> AudioFileError {
    let path = path.to_owned();
    match source.kind() {
        io::ErrorKind::NotFound => AudioFileError::NotFound { path },
        _ => AudioFileError::Io { path, source },
    }
}

fn read_raw(path: &Path, mut file: File, format: RawFormat) -> Result<Audio, AudioFileError> {
    let channels = usize::try_from(format.channels).unwrap_or(0);
    if format.sample_rate_hz == 0 || channels == 0 {
        return Err(AudioFileError::BadRawFormat { path: path.to_owned(), format });
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(|source| io_error(path, source))?;
    let frame_bytes = channels * 2;
    if bytes.len() % frame_bytes != 0 {
        return Err(AudioFileError::Corrupt {
            path: path.to_owned(),
            decoded_samples: bytes.len() / frame_bytes,
            reason: format!(
                "it ends within a sample: {} bytes are not a multiple of {frame_bytes} \
                 (2 bytes, {channels} channels)",
                bytes.len()
            ),
        });
    }
    let mut planes = vec![Vec::with_capacity(bytes.len() / frame_bytes); channels];
    for frame in bytes.chunks_exact(frame_bytes) {
        for (plane, sample) in planes.iter_mut().zip(frame.as_chunks::<2>().0) {
            plane.push(samples::from_i16(i16::from_le_bytes(*sample)));
        }
    }
    Ok(audio(&planes, format.sample_rate_hz))
}

fn audio(planes: &[Vec<f32>], sample_rate_hz: u32) -> Audio {
    Audio { samples: samples::planar_array(planes), sample_rate_hz }
}

/// A file that is being decoded.
struct Reading<'a> {
    path: &'a Path,
    format: Box<dyn FormatReader>,
    decoder: Box<dyn AudioDecoder>,
    track_id: u32,
    planes: Vec<Vec<f32>>,
    /// Samples per channel that the header declares; only for FLAC, where the number is exact.
    declared_samples: Option<u64>,
    /// The header does not say how long the file is, see [`is_open_ended`].
    is_open_ended: bool,
    /// Sample rate (Hz) and channels, known from the first packet on.
    spec: Option<(u32, usize)>,
}

impl<'a> Reading<'a> {
    fn new(path: &'a Path, mut file: File) -> Result<Self, AudioFileError> {
        let is_open_ended = is_open_ended(&mut file).map_err(|source| io_error(path, source))?;
        let source = MediaSourceStream::new(Box::new(file), MediaSourceStreamOptions::default());
        let mut hint = Hint::new();
        if let Some(extension) = path.extension().and_then(|e| e.to_str()) {
            hint.with_extension(extension);
        }
        let format = symphonia::default::get_probe()
            .probe(&hint, source, FormatOptions::default(), MetadataOptions::default())
            .map_err(|error| probe_error(path, error))?;
        let no_track = || AudioFileError::NoAudioTrack { path: path.to_owned() };
        let track = format.default_track(TrackType::Audio).ok_or_else(no_track)?;
        let parameters =
            track.codec_params.as_ref().and_then(|p| p.audio()).ok_or_else(no_track)?;
        let decoder = symphonia::default::get_codecs()
            .make_audio_decoder(parameters, &AudioDecoderOptions::default())
            .map_err(|error| decode_error(path, 0, error))?;
        let declared_samples = track.num_frames.filter(|_| parameters.codec == CODEC_ID_FLAC);
        let track_id = track.id;
        Ok(Self {
            path,
            format,
            decoder,
            track_id,
            planes: Vec::new(),
            declared_samples,
            is_open_ended,
            spec: None,
        })
    }

    fn run(mut self) -> Result<Audio, AudioFileError> {
        let mut packet_planes: Vec<Vec<f32>> = Vec::new();
        while let Some(packet) = match self.format.next_packet() {
            Ok(packet) => packet,
            Err(error) if self.is_open_ended && is_end(&error) => None,
            Err(error) => return Err(self.failed(error)),
        } {
            if packet.track_id != self.track_id {
                continue;
            }
            let spec = match self.decoder.decode(&packet) {
                Ok(decoded) => {
                    decoded.copy_to_vecs_planar(&mut packet_planes);
                    (decoded.spec().rate(), packet_planes.len())
                }
                Err(error) => return Err(self.failed(error)),
            };
            self.append(spec, &packet_planes)?;
        }
        let decoded_samples = self.decoded_samples();
        if let Some(declared) = self.declared_samples.filter(|n| *n > decoded_samples as u64) {
            return Err(AudioFileError::Corrupt {
                path: self.path.to_owned(),
                decoded_samples,
                reason: format!("it should have {declared} samples"),
            });
        }
        match self.spec {
            Some((sample_rate_hz, _)) if decoded_samples > 0 => {
                Ok(audio(&self.planes, sample_rate_hz))
            }
            _ => Err(AudioFileError::Empty { path: self.path.to_owned() }),
        }
    }

    fn append(
        &mut self,
        spec: (u32, usize),
        packet_planes: &[Vec<f32>],
    ) -> Result<(), AudioFileError> {
        let before = *self.spec.get_or_insert(spec);
        if before != spec {
            return Err(AudioFileError::Changes {
                path: self.path.to_owned(),
                before,
                now: spec,
                decoded_samples: self.decoded_samples(),
            });
        }
        self.planes.resize(spec.1, Vec::new());
        for (plane, new) in self.planes.iter_mut().zip(packet_planes) {
            plane.extend_from_slice(new);
        }
        Ok(())
    }

    fn decoded_samples(&self) -> usize {
        self.planes.first().map_or(0, Vec::len)
    }

    fn failed(&self, error: DecodeError) -> AudioFileError {
        decode_error(self.path, self.decoded_samples(), error)
    }
}

/// Whether the header of a WAV file leaves its length open, because the file was written to a pipe.
/// A pipe as input cannot be rewound after a look at its header, so its length counts as open.
fn is_open_ended(file: &mut File) -> io::Result<bool> {
    if !file.metadata()?.is_file() {
        return Ok(true);
    }
    let mut head = Vec::new();
    Read::take(&mut *file, 8).read_to_end(&mut head)?;
    file.rewind()?;
    Ok(match head.split_first_chunk::<4>() {
        Some((b"RIFF", length)) => {
            let length = length.try_into().map(u32::from_le_bytes);
            length.is_ok_and(|length| length == 0 || length >= 0x7fff_0000)
        }
        _ => false,
    })
}

fn is_end(error: &DecodeError) -> bool {
    matches!(error, DecodeError::IoError(source) if source.kind() == io::ErrorKind::UnexpectedEof)
}

fn probe_error(path: &Path, error: DecodeError) -> AudioFileError {
    match error {
        // A file that is shorter than any known header ends while it is being probed.
        error if is_end(&error) => AudioFileError::UnknownFormat { path: path.to_owned() },
        DecodeError::Unsupported(NO_FORMAT_FITS) => {
            AudioFileError::UnknownFormat { path: path.to_owned() }
        }
        other => decode_error(path, 0, other),
    }
}

fn decode_error(path: &Path, decoded_samples: usize, error: DecodeError) -> AudioFileError {
    let path = path.to_owned();
    match error {
        DecodeError::Unsupported(feature) => AudioFileError::UnsupportedCodec { path, feature },
        DecodeError::IoError(source) if source.kind() != io::ErrorKind::UnexpectedEof => {
            AudioFileError::Io { path, source }
        }
        DecodeError::IoError(_) => AudioFileError::Corrupt {
            path,
            decoded_samples,
            reason: "it ends in the middle of its data".to_owned(),
        },
        other => AudioFileError::Corrupt { path, decoded_samples, reason: other.to_string() },
    }
}
