//! Why an audio file could not be read, and what of it is missing or damaged.

use std::io;
use std::path::PathBuf;

use super::RawFormat;
use super::{FileFormat, SUPPORTED};
use crate::error::NodeError;

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
        /// The unsupported feature.
        feature: String,
    },
    /// The file has a supported container format, but no audio track.
    #[error("{} has no audio track", path.display())]
    NoAudioTrack {
        /// The path that was given.
        path: PathBuf,
    },
    /// The header names a sample rate that no audio has.
    #[error("{}: the sample rate is {rate_hz} Hz; it must be from 1 to 768000 Hz", path.display())]
    BadRate {
        /// The path that was given.
        path: PathBuf,
        /// The rate in the header.
        rate_hz: u32,
    },
    /// The file violates its format so that nothing of it can be read.
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
    /// The file has no bytes.
    #[error("{} is empty: it has no bytes, not even a header", path.display())]
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
    /// The operating system refused to make or write the file.
    #[error("cannot write {}: {source}", path.display())]
    CannotWrite {
        /// The path that was given.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
    /// No file can have the rate or the channel count that it was to have.
    #[error(
        "{}: a file needs a sample rate above 0 Hz and at least one channel, got {} Hz and {} \
         channels", path.display(), format.sample_rate_hz, format.channels
    )]
    BadWriteFormat {
        /// The path that was given.
        path: PathBuf,
        /// The format that was given.
        format: FileFormat,
    },
    /// What was to be written is no audio of the file's channels.
    #[error("{}: {source}", path.display())]
    NoSamples {
        /// The path that was given.
        path: PathBuf,
        /// What is wrong with the array.
        source: NodeError,
    },
}

/// What of a file could not be read although the rest was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// The file ends before the end that its header states.
    #[error("{} was cut off: {missing} of {stated} {unit} are missing", path.display())]
    CutOff {
        /// The path that was given.
        path: PathBuf,
        /// What is missing.
        missing: u64,
        /// What the header states.
        stated: u64,
        /// `bytes of audio` or `samples`.
        unit: &'static str,
    },
    /// The file ends in the middle of its data, and says nowhere how much there should be.
    #[error("{} was cut off: it ends in the middle of its data", path.display())]
    EndsEarly {
        /// The path that was given.
        path: PathBuf,
    },
    /// Packets that could not be decoded were left out.
    #[error("{}: {packets} damaged packets were left out", path.display())]
    Skipped {
        /// The path that was given.
        path: PathBuf,
        /// Number of packets.
        packets: u64,
    },
}
