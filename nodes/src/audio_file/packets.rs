//! Files that symphonia decodes, packet by packet. A packet that is damaged is left out; a file that
//! ends early gives what it has.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use symphonia::core::codecs::audio::well_known::CODEC_ID_FLAC;
use symphonia::core::codecs::audio::{AudioDecoder, AudioDecoderOptions};
use symphonia::core::codecs::registry::CodecRegistry;
use symphonia::core::errors::Error as DecodeError;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, FormatReader, TrackType};
use symphonia::core::io::ReadOnlySource;
use symphonia::core::io::{MediaSource, MediaSourceStream, MediaSourceStreamOptions};
use symphonia::core::meta::MetadataOptions;

use super::aiff::Patch;
use super::opus::Opus;
use super::{AudioFileError, Damage};

/// Error text of symphonia for a file in no format that it knows. Its errors have no codes, so the
/// text is compared; a test fails when symphonia changes it.
const NO_FORMAT_FITS: &str = "core (probe): no suitable format reader found";

/// A file that is being decoded.
pub(super) struct Packets {
    path: PathBuf,
    format: Box<dyn FormatReader>,
    decoder: Box<dyn AudioDecoder>,
    track_id: u32,
    /// Samples per channel that the header declares, or as estimated from its rate.
    stated_samples: Option<u64>,
    /// The same only for FLAC, where the number is exact.
    declared_samples: Option<u64>,
    /// Sample rate (Hz) and channels.
    spec: (u32, usize),
    /// The first packet, which shows the rate and the channels.
    first: Option<Vec<Vec<f32>>>,
    packet: Vec<Vec<f32>>,
    decoded_samples: u64,
    skipped: u64,
    has_ended: bool,
    /// What ended the packets, if it was not the end of the file.
    broken: Option<String>,
}

/// A file from a place on.
pub(super) struct Tail {
    pub(super) file: File,
    pub(super) begin: u64,
    /// The first byte that is not read.
    pub(super) end: u64,
    /// Where it is read next, after `begin`.
    pub(super) at: u64,
    /// What counts instead of bytes of the file.
    pub(super) patches: Vec<Patch>,
}

impl Tail {
    /// The whole file.
    pub(super) fn new(file: File) -> Self {
        Self { file, begin: 0, end: u64::MAX, at: 0, patches: Vec::new() }
    }
}

impl Read for Tail {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == 0 {
            self.file.seek(SeekFrom::Start(self.begin))?;
        }
        let left = self.end.saturating_sub(self.begin + self.at);
        let room = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.file.read(&mut buffer[..room])?;
        for (place, bytes) in &self.patches {
            for (place, byte) in (*place..).zip(bytes) {
                let index = place.checked_sub(self.at).and_then(|at| usize::try_from(at).ok());
                if let Some(here) = index.and_then(|index| buffer[..count].get_mut(index)) {
                    *here = *byte;
                }
            }
        }
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for Tail {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let to = match to {
            SeekFrom::Start(at) => SeekFrom::Start(at.saturating_add(self.begin)),
            other => other,
        };
        self.at = self.file.seek(to)?.saturating_sub(self.begin);
        Ok(self.at)
    }
}

impl MediaSource for Tail {
    fn is_seekable(&self) -> bool {
        true
    }

    fn byte_len(&self) -> Option<u64> {
        let length = self.file.metadata().ok()?.len();
        Some(length.min(self.end).saturating_sub(self.begin))
    }
}

impl Packets {
    /// A file whose audio begins after some bytes of tags.
    pub(super) fn open(path: &Path, file: Tail) -> Result<Self, AudioFileError> {
        Self::new(path, Box::new(file))
    }

    pub(super) fn pipe(
        path: &Path,
        input: impl Read + Send + Sync + 'static,
    ) -> Result<Self, AudioFileError> {
        Self::new(path, Box::new(ReadOnlySource::new(input)))
    }

    fn new(path: &Path, source: Box<dyn MediaSource>) -> Result<Self, AudioFileError> {
        let source = MediaSourceStream::new(source, MediaSourceStreamOptions::default());
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
        let decoder = codecs()
            .make_audio_decoder(parameters, &AudioDecoderOptions::default())
            .map_err(|error| decode_error(path, 0, error))?;
        let is_flac = parameters.codec == CODEC_ID_FLAC;
        let channels = parameters.channels.as_ref().map_or(0, |channels| channels.count());
        let mut new = Self {
            path: path.to_owned(),
            stated_samples: track.num_frames,
            declared_samples: track.num_frames.filter(|_| is_flac),
            spec: (parameters.sample_rate.unwrap_or(0), channels),
            track_id: track.id,
            format,
            decoder,
            first: None,
            packet: Vec::new(),
            decoded_samples: 0,
            skipped: 0,
            has_ended: false,
            broken: None,
        };
        if let Some(spec) = new.next()? {
            new.spec = spec;
            new.first = Some(std::mem::take(&mut new.packet));
        } else if let Some(reason) = new.reason() {
            return Err(AudioFileError::Corrupt { path: new.path, decoded_samples: 0, reason });
        }
        Ok(new)
    }

    /// Sample rate (Hz) and channels.
    pub(super) fn spec(&self) -> (u32, usize) {
        self.spec
    }

    /// Samples per channel that there may be.
    pub(super) fn stated_samples(&self) -> Option<u64> {
        self.stated_samples
    }

    /// Appends the next packet; false at the end.
    pub(super) fn read(
        &mut self,
        planes: &mut [Vec<f32>],
        damage: &mut Vec<Damage>,
    ) -> Result<bool, AudioFileError> {
        let (spec, packet) = match self.first.take() {
            Some(first) => (Some(self.spec), first),
            None => (self.next()?, std::mem::take(&mut self.packet)),
        };
        let Some(spec) = spec else {
            self.end(damage);
            return Ok(false);
        };
        if spec != self.spec {
            return Err(AudioFileError::Changes {
                path: self.path.clone(),
                before: self.spec,
                now: spec,
                decoded_samples: usize::try_from(self.decoded_samples).unwrap_or(usize::MAX),
            });
        }
        for (plane, new) in planes.iter_mut().zip(&packet) {
            plane.extend_from_slice(new);
        }
        self.decoded_samples += packet.first().map_or(0, Vec::len) as u64;
        self.packet = packet;
        Ok(true)
    }

    /// Decodes the next packet into `packet`; its rate and channels.
    fn next(&mut self) -> Result<Option<(u32, usize)>, AudioFileError> {
        while !self.has_ended {
            let packet = match self.format.next_packet() {
                Ok(Some(packet)) => packet,
                Ok(None) => break,
                Err(DecodeError::IoError(source)) if !is_end(&source) => {
                    return Err(AudioFileError::Io { path: self.path.clone(), source });
                }
                Err(error) => {
                    self.broken = Some(reason_of(&error));
                    break;
                }
            };
            if packet.track_id != self.track_id {
                continue;
            }
            match self.decoder.decode(&packet) {
                Ok(decoded) => {
                    decoded.copy_to_vecs_planar(&mut self.packet);
                    return Ok(Some((decoded.spec().rate(), self.packet.len())));
                }
                Err(DecodeError::DecodeError(_) | DecodeError::IoError(_)) => self.skipped += 1,
                Err(error) => return Err(decode_error(&self.path, self.decoded_samples, error)),
            }
        }
        self.has_ended = true;
        Ok(None)
    }

    /// What was wrong, if nothing could be decoded.
    fn reason(&self) -> Option<String> {
        let is_cut_off = self.declared_samples.is_some_and(|samples| samples > 0);
        match (&self.broken, self.spec) {
            (Some(reason), _) => Some(reason.clone()),
            (None, _) if self.skipped > 0 || is_cut_off => {
                Some("none of its packets can be decoded".to_owned())
            }
            (None, (0, _) | (_, 0)) => Some("it has no audio".to_owned()),
            (None, _) => None,
        }
    }

    fn end(&mut self, damage: &mut Vec<Damage>) {
        let path = || self.path.clone();
        let missing = self.declared_samples.filter(|stated| *stated > self.decoded_samples);
        if let Some(stated) = missing {
            let missing = stated - self.decoded_samples;
            damage.push(Damage::CutOff { path: path(), missing, stated, unit: "samples" });
        } else if self.broken.is_some() {
            damage.push(Damage::EndsEarly { path: path() });
        }
        if self.skipped > 0 {
            damage.push(Damage::Skipped { path: path(), packets: self.skipped });
        }
        (self.broken, self.skipped, self.declared_samples) = (None, 0, None);
    }
}

/// Symphonia's decoders, and Opus.
fn codecs() -> &'static CodecRegistry {
    static CODECS: OnceLock<CodecRegistry> = OnceLock::new();
    CODECS.get_or_init(|| {
        let mut codecs = CodecRegistry::new();
        symphonia::default::register_enabled_codecs(&mut codecs);
        codecs.register_audio_decoder::<Opus>();
        codecs
    })
}

fn is_end(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::UnexpectedEof
}

fn probe_error(path: &Path, error: DecodeError) -> AudioFileError {
    match error {
        // A file that is shorter than any known header ends while it is being probed.
        DecodeError::IoError(source) if is_end(&source) => {
            AudioFileError::UnknownFormat { path: path.to_owned() }
        }
        DecodeError::Unsupported(NO_FORMAT_FITS) => {
            AudioFileError::UnknownFormat { path: path.to_owned() }
        }
        other => decode_error(path, 0, other),
    }
}

fn decode_error(path: &Path, decoded: u64, error: DecodeError) -> AudioFileError {
    let path = path.to_owned();
    match error {
        DecodeError::Unsupported(feature) => {
            AudioFileError::UnsupportedCodec { path, feature: feature.to_owned() }
        }
        DecodeError::IoError(source) if !is_end(&source) => AudioFileError::Io { path, source },
        other => AudioFileError::Corrupt {
            path,
            decoded_samples: usize::try_from(decoded).unwrap_or(usize::MAX),
            reason: reason_of(&other),
        },
    }
}

fn reason_of(error: &DecodeError) -> String {
    match error {
        DecodeError::IoError(_) => "it ends in the middle of its data".to_owned(),
        other => other.to_string(),
    }
}
