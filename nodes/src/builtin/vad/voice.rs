//! The neural detector: earshot, which scores frames of 16 ms at 16 kHz with a network of 40 KiB.
//! Audio of other rates is resampled for it, several channels are mixed, and samples beyond full
//! scale are clipped.

use num_traits::ToPrimitive;

use crate::builtin::samples::Planes;
use crate::resampler::{Quality, Resampler};

const RATE_HZ: u32 = 16_000;
/// Samples of one frame of the detector.
const FRAME: usize = 256;

/// The scores of one stream, between 0 and 1.
pub(super) struct Voice {
    detector: Box<earshot::Detector>,
    resampler: Option<Resampler>,
    /// Samples at 16 kHz that do not fill a frame yet.
    pending: Vec<f32>,
    /// The mix of a piece, kept for its memory.
    mix: Vec<f32>,
    /// Scores from number `first` on.
    scores: Vec<f32>,
    first: usize,
}

impl Voice {
    pub(super) fn new(rate_hz: u32) -> Self {
        let resampler =
            (rate_hz != RATE_HZ).then(|| Resampler::new(rate_hz, RATE_HZ, 1, Quality::Low));
        Self {
            detector: earshot::Detector::default_boxed(),
            resampler,
            pending: Vec::new(),
            mix: Vec::new(),
            scores: Vec::new(),
            first: 0,
        }
    }

    /// Takes a piece of the stream.
    pub(super) fn push(&mut self, piece: &Planes<'_>) {
        let mut mix = std::mem::take(&mut self.mix);
        let mixed = match piece.channels {
            1 => piece.iter().next().unwrap_or_default(),
            _ => {
                mixed(piece, &mut mix);
                &mix
            }
        };
        match &mut self.resampler {
            None => self.pending.extend_from_slice(mixed),
            Some(resampler) => {
                let mut out = [std::mem::take(&mut self.pending)];
                resampler.push(std::iter::once(mixed), &mut out);
                let [pending] = out;
                self.pending = pending;
            }
        }
        self.mix = mix;
        self.score();
    }

    /// Scores what is left; the last frame is filled with silence.
    pub(super) fn finish(&mut self) {
        if let Some(resampler) = &mut self.resampler {
            let mut out = [std::mem::take(&mut self.pending)];
            resampler.finish(&mut out);
            let [pending] = out;
            self.pending = pending;
        }
        let padded = self.pending.len().next_multiple_of(FRAME);
        self.pending.resize(padded, 0.0);
        self.score();
    }

    /// The score in the middle of a frame of 10 ms, once it is known.
    pub(super) fn score_of(&self, frame: usize) -> Option<f32> {
        let number = (frame * 160 + 80) / FRAME;
        self.scores.get(number.checked_sub(self.first)?).copied()
    }

    /// The score of the last frame.
    pub(super) fn last_score(&self) -> f32 {
        self.scores.last().copied().unwrap_or(0.0)
    }

    /// Drops the scores before a frame of 10 ms.
    pub(super) fn forget(&mut self, frame: usize) {
        let unneeded = ((frame * 160) / FRAME).saturating_sub(self.first + 1);
        if unneeded > 1_000 {
            self.scores.drain(..unneeded.min(self.scores.len()));
            self.first += unneeded;
        }
    }

    fn score(&mut self) {
        let mut frame = [0.0; FRAME];
        let frames = self.pending.as_chunks::<FRAME>().0;
        for samples in frames {
            for (clipped, sample) in frame.iter_mut().zip(samples) {
                *clipped = sample.clamp(-1.0, 1.0);
            }
            self.scores.push(self.detector.predict_f32(&frame));
        }
        let used = frames.len() * FRAME;
        self.pending.drain(..used);
    }
}

/// The mean of all channels.
fn mixed(piece: &Planes<'_>, mix: &mut Vec<f32>) {
    mix.clear();
    mix.resize(piece.samples, 0.0);
    let share = 1.0 / piece.channels.to_f32().unwrap_or(1.0);
    for plane in piece.iter() {
        for (sum, sample) in mix.iter_mut().zip(plane) {
            *sum += sample * share;
        }
    }
}
