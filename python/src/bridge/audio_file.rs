//! Audio files: read whole or in pieces, and written.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use ipc_protocol::Value;
use nodes::NodeErrorKind;
use nodes::audio_file::{self, FileFormat, Pieces, RawFormat, Reader, Writer};
use nodes::pcm::Encoding;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::convert::{Converter, Lending, Pickling, from_value, to_value};
use crate::error::{audio_file_error, from_marshal};

/// Reads an audio file. Returns float32 samples of shape (channels, samples) and their rate in Hz, and
/// a text for each thing that is missing or damaged.
#[pyfunction]
pub(super) fn read_audio<'py>(
    py: Python<'py>,
    path: PathBuf,
) -> PyResult<(Bound<'py, PyAny>, Vec<String>)> {
    let read = py.detach(|| audio_file::read(&path, None));
    let recording = read.map_err(|error| audio_file_error(py, &error))?;
    let damage = recording.damage.iter().map(ToString::to_string).collect();
    Ok((from_value(py, Value::Audio(recording.audio))?, damage))
}

/// An audio file that is read in pieces.
#[pyclass(frozen, module = "remotemedia._native")]
pub(crate) struct AudioReader {
    pieces: Mutex<Pieces>,
    #[pyo3(get)]
    sample_rate: u32,
    #[pyo3(get)]
    channels: usize,
}

impl std::fmt::Debug for AudioReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AudioReader").finish_non_exhaustive()
    }
}

#[pymethods]
impl AudioReader {
    /// `raw`: rate in Hz, channels and format of a file without a header.
    #[new]
    #[pyo3(signature = (path, raw=None))]
    fn new(py: Python<'_>, path: PathBuf, raw: Option<(u32, u32, String)>) -> PyResult<Self> {
        let raw = match raw {
            None => None,
            Some((sample_rate_hz, channels, format)) => {
                Some(RawFormat { sample_rate_hz, channels, encoding: encoding(&format)? })
            }
        };
        let opened = py.detach(|| Reader::open(&path, raw));
        let pieces = Pieces::new(opened.map_err(|error| audio_file_error(py, &error))?);
        let (sample_rate, channels) = (pieces.sample_rate_hz(), pieces.channels());
        Ok(Self { pieces: Mutex::new(pieces), sample_rate, channels })
    }

    /// The next samples, float32 of shape (channels, samples), at the end fewer, then None.
    fn read<'py>(&self, py: Python<'py>, samples: usize) -> PyResult<Option<Bound<'py, PyAny>>> {
        let read =
            py.detach(|| self.pieces.lock().unwrap_or_else(PoisonError::into_inner).next(samples));
        match read.map_err(|error| audio_file_error(py, &error))? {
            Some(audio) => from_value(py, Value::Array(audio.samples)).map(Some),
            None => Ok(None),
        }
    }

    /// A text for each thing that is missing or damaged, as far as the file was read.
    fn damage(&self) -> Vec<String> {
        let pieces = self.pieces.lock().unwrap_or_else(PoisonError::into_inner);
        pieces.damage().iter().map(ToString::to_string).collect()
    }
}

/// An audio file that is written in pieces.
#[pyclass(frozen, module = "remotemedia._native")]
pub(crate) struct AudioWriter {
    writer: Mutex<Option<Writer>>,
    converter: Converter,
}

impl std::fmt::Debug for AudioWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AudioWriter").finish_non_exhaustive()
    }
}

#[pymethods]
impl AudioWriter {
    /// `form`: rate in Hz, channels, format of the samples, and whether there is no header.
    #[new]
    fn new(py: Python<'_>, path: PathBuf, form: (u32, u16, String, bool)) -> PyResult<Self> {
        let (sample_rate_hz, channels, name, is_raw) = form;
        let format = FileFormat { sample_rate_hz, channels, encoding: encoding(&name)?, is_raw };
        let made = py.detach(|| Writer::create(&path, format));
        let writer = made.map_err(|error| audio_file_error(py, &error))?;
        Ok(Self {
            writer: Mutex::new(Some(writer)),
            converter: Converter::new("samples", Lending::Borrow, Pickling::Default),
        })
    }

    /// Appends an array of shape (samples,) or (channels, samples).
    fn write(&self, py: Python<'_>, samples: &Bound<'_, PyAny>) -> PyResult<()> {
        let value = to_value(samples, &self.converter).map_err(|error| from_marshal(py, error))?;
        let Value::Array(array) = value else {
            return Err(PyValueError::new_err("samples must be an array"));
        };
        let written = py.detach(|| {
            let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
            writer.as_mut().map(|writer| writer.write(array))
        });
        match written {
            Some(written) => written.map_err(|error| audio_file_error(py, &error)),
            None => Err(PyValueError::new_err("the file has been closed")),
        }
    }

    /// Writes what is left and the sizes of the header. Further calls do nothing.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let finished = py.detach(|| {
            let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
            writer.map_or(Ok(()), Writer::finish)
        });
        finished.map_err(|error| audio_file_error(py, &error))
    }
}

fn encoding(name: &str) -> PyResult<Encoding> {
    Encoding::from_name(name).ok_or_else(|| {
        let kind = NodeErrorKind::BadValue {
            what: "format",
            expected: format!("one of {}", Encoding::names().join(", ")),
            got: format!("'{name}'"),
        };
        PyValueError::new_err(kind.to_string())
    })
}
