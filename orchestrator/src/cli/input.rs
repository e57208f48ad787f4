//! Inputs of a run from files and standard input: audio files, JSON, JSON lines.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use ipc_protocol::Value;
use nodes::audio_file::{self, AudioFileError, Damage, RawFormat};
use nodes::pcm::Encoding;

use super::marker::{self, MarkerError};
use crate::manifest::json::{self, JsonError};

/// Arguments that name the input of a pipeline.
#[derive(Debug, Default, Clone, clap::Args)]
pub(super) struct RunInput {
    /// Input: an audio file (WAV, AIFF, FLAC, OGG, MP3), .json (one item), .jsonl (an item per
    /// line), or - for JSON lines on standard input. Without it, source nodes produce the items
    #[arg(long, value_name = "FILE")]
    pub(super) input: Option<PathBuf>,
    /// Format of the input, if the file name does not show it
    #[arg(long, value_enum, requires = "input", value_name = "FORMAT")]
    pub(super) input_format: Option<InputFormat>,
    /// The input is audio without a header: signed 16-bit little-endian samples
    #[arg(long, value_name = "RATE[,CHANNELS]", requires = "input", value_parser = parse_raw,
          conflicts_with = "input_format")]
    pub(super) raw: Option<RawFormat>,
}

/// Format of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum InputFormat {
    /// One JSON value, one item
    Json,
    /// One JSON value on each line, each an item; empty lines are skipped
    Jsonl,
    /// An audio file, one item
    Audio,
}

/// Why an input cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum InputError {
    #[error("the manifest and the input cannot both come from standard input")]
    StdinTwice,
    #[error("cannot read the input {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("input {}: {error}", path.display())]
    Json { path: PathBuf, error: JsonError },
    #[error("input {}, line {line}: column {}: {}", path.display(), error.column, error.kind)]
    JsonLine { path: PathBuf, line: usize, error: JsonError },
    #[error("input {}, item {item}: {error}", path.display())]
    Marker { path: PathBuf, item: usize, error: MarkerError },
    #[error("input: {0}")]
    Audio(#[from] AudioFileError),
}

/// Input of a pipeline.
pub(super) enum Input {
    /// No input: source nodes produce the items.
    Sources,
    /// Items, each read from the input when the run needs it.
    Items(Box<dyn Iterator<Item = Result<Value, InputError>>>),
}

impl std::fmt::Debug for Input {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::Sources => "Sources",
            Self::Items(_) => "Items",
        })
    }
}

impl RunInput {
    pub(super) fn is_stdin(&self) -> bool {
        self.input.as_deref().is_some_and(super::is_stdin)
    }

    fn format(&self, path: &Path) -> InputFormat {
        if self.raw.is_some() {
            return InputFormat::Audio;
        }
        let extension = path.extension().map(|text| text.to_ascii_lowercase());
        let by_name = match extension.as_deref().and_then(|text| text.to_str()) {
            Some("json") => InputFormat::Json,
            Some("jsonl" | "ndjson") => InputFormat::Jsonl,
            _ if self.is_stdin() => InputFormat::Jsonl,
            _ => InputFormat::Audio,
        };
        self.input_format.unwrap_or(by_name)
    }
}

impl Input {
    /// Opens the input that the arguments name. An input of a single item is read completely, so
    /// that a bad file is reported before any worker starts.
    pub(super) fn open(arguments: &RunInput) -> Result<Self, InputError> {
        let Some(path) = &arguments.input else { return Ok(Self::Sources) };
        let only = |value: Value| Self::Items(Box::new(std::iter::once(Ok(value))));
        match arguments.format(path) {
            InputFormat::Audio => {
                let file = if arguments.is_stdin() { Path::new("/dev/stdin") } else { path };
                let recording = audio_file::read(file, arguments.raw)?;
                warn(&recording.damage);
                Ok(only(Value::Audio(recording.audio)))
            }
            InputFormat::Json => {
                let mut text = String::new();
                let read = open_text(path)?.read_to_string(&mut text);
                read.map_err(|source| InputError::Read { path: path.clone(), source })?;
                let parsed = json::parse(&text)
                    .map_err(|error| InputError::Json { path: path.clone(), error })?;
                Ok(only(unmarked(parsed.value, path, 1)?))
            }
            InputFormat::Jsonl => {
                let lines = Lines { path: path.clone(), text: open_text(path)?, line: 0, item: 0 };
                Ok(Self::Items(Box::new(lines)))
            }
        }
    }
}

/// Tells what of a file is missing. Text that cannot be written to standard error is dropped.
fn warn(damage: &[Damage]) {
    let mut out = io::stderr().lock();
    drop(damage.iter().try_for_each(|damage| writeln!(out, "warning: {damage}")));
}

fn open_text(path: &Path) -> Result<Box<dyn BufRead>, InputError> {
    if super::is_stdin(path) {
        return Ok(Box::new(BufReader::new(io::stdin())));
    }
    match File::open(path) {
        Ok(file) => Ok(Box::new(BufReader::new(file))),
        Err(source) => Err(InputError::Read { path: path.to_owned(), source }),
    }
}

fn unmarked(value: Value, path: &Path, item: usize) -> Result<Value, InputError> {
    marker::resolve(value).map_err(|error| InputError::Marker {
        path: path.to_owned(),
        item,
        error,
    })
}

/// Reads one item from each line that is not empty.
struct Lines {
    path: PathBuf,
    text: Box<dyn BufRead>,
    line: usize,
    item: usize,
}

impl Iterator for Lines {
    type Item = Result<Value, InputError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let mut text = String::new();
            self.line += 1;
            match self.text.read_line(&mut text) {
                Ok(0) => return None,
                Ok(_) if text.trim().is_empty() => {}
                Ok(_) => {
                    self.item += 1;
                    return Some(self.value(&text));
                }
                Err(source) => {
                    return Some(Err(InputError::Read { path: self.path.clone(), source }));
                }
            }
        }
    }
}

impl Lines {
    fn value(&self, text: &str) -> Result<Value, InputError> {
        let parsed = json::parse(text.trim_end()).map_err(|error| {
            let path = self.path.clone();
            InputError::JsonLine { path, line: self.line, error }
        })?;
        unmarked(parsed.value, &self.path, self.item)
    }
}

/// Reads `RATE[,CHANNELS]`.
fn parse_raw(text: &str) -> Result<RawFormat, String> {
    let (rate, channels) = text.split_once(',').unwrap_or((text, "1"));
    let positive = |part: &str| part.trim().parse::<u32>().ok().filter(|number| *number > 0);
    match (positive(rate), positive(channels)) {
        (Some(sample_rate_hz), Some(channels)) => {
            Ok(RawFormat { sample_rate_hz, channels, encoding: Encoding::I16 })
        }
        _ => Err("expected RATE[,CHANNELS] in Hz, such as 16000 or 48000,2".to_owned()),
    }
}
