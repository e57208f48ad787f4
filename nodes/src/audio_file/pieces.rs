//! Cuts what a file holds into pieces of one length, with no more than a piece and a packet in
//! memory.

use ipc_protocol::Audio;

use super::{AudioFileError, Damage, Reader};
use crate::builtin::samples;

/// The pieces of one file.
#[derive(Debug)]
pub struct Pieces {
    reader: Reader,
    /// Samples that were read and not given yet.
    held: Vec<Vec<f32>>,
    has_ended: bool,
}

impl Pieces {
    /// The pieces of an opened file.
    #[must_use]
    pub fn new(reader: Reader) -> Self {
        let held = vec![Vec::new(); reader.channels()];
        Self { reader, held, has_ended: false }
    }

    /// The next piece: so many samples per channel, at the end of the file fewer. `None` after that.
    ///
    /// # Errors
    /// As [`Reader::read`].
    pub fn next(&mut self, samples: usize) -> Result<Option<Audio>, AudioFileError> {
        let wanted = samples.max(1);
        while !self.has_ended && self.held_samples() < wanted {
            self.has_ended = !self.reader.read(&mut self.held)?;
        }
        let count = self.held_samples().min(wanted);
        if count == 0 {
            return Ok(None);
        }
        let planes: Vec<Vec<f32>> =
            self.held.iter_mut().map(|plane| plane.drain(..count).collect()).collect();
        let sample_rate_hz = self.reader.sample_rate_hz();
        Ok(Some(Audio { samples: samples::planar_array(planes), sample_rate_hz }))
    }

    /// Samples per second.
    #[must_use]
    pub fn sample_rate_hz(&self) -> u32 {
        self.reader.sample_rate_hz()
    }

    /// Number of channels.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.reader.channels()
    }

    /// What is missing or damaged, as far as the file was read.
    #[must_use]
    pub fn damage(&self) -> &[Damage] {
        self.reader.damage()
    }

    fn held_samples(&self) -> usize {
        self.held.first().map_or(0, Vec::len)
    }
}
