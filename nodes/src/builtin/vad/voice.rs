//! The neural detector: earshot, which scores frames of 16 ms at 16 kHz with a network of 40 KiB.
//! Audio of other rates is resampled for it, several channels are mixed, and samples beyond full
//! scale are clipped.

use std::ops::Range;

use num_traits::ToPrimitive;

use crate::builtin::samples::Planes;
use crate::resampler::{Quality, Resampler};

const RATE_HZ: u32 = 16_000;
/// Samples of one frame of the detector.
const FRAME: usize = 256;
/// Samples per channel that are mixed and resampled at once.
const PART: usize = 8_192;

/// The scores of one stream, between 0 and 1.
pub(super) struct Voice {
    detector: Box<earshot::Detector>,
    resampler: Option<Resampler>,
    /// Samples at 16 kHz that do not fill a frame yet.
    pending: Vec<f32>,
    /// The mix of a part of a piece, and the same at 16 kHz, kept for their memory.
    mix: Vec<f32>,
    resampled: Vec<f32>,
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
            resampled: Vec::new(),
            scores: Vec::new(),
            first: 0,
        }
    }

    /// Takes a piece of the stream.
    pub(super) fn push(&mut self, piece: &Planes<'_>) {
        if let (1, None) = (piece.channels, &self.resampler) {
            return self.score(piece.iter().next().unwrap_or_default());
        }
        let (mut mix, mut resampled) = (std::mem::take(&mut self.mix), [Vec::new()]);
        std::mem::swap(&mut self.resampled, &mut resampled[0]);
        // Part by part, so that what is made stays in the cache.
        for begin in (0..piece.samples).step_by(PART) {
            let part = begin..(begin + PART).min(piece.samples);
            let mixed = match piece.channels {
                1 => &piece.iter().next().unwrap_or_default()[part],
                _ => mixed(piece, part, &mut mix),
            };
            match &mut self.resampler {
                None => self.score(mixed),
                Some(resampler) => {
                    resampled[0].clear();
                    resampler.push(std::iter::once(mixed), &mut resampled);
                    self.score(&resampled[0]);
                }
            }
        }
        let [resampled] = resampled;
        (self.mix, self.resampled) = (mix, resampled);
    }

    /// Scores what is left; the last frame is filled with silence.
    pub(super) fn finish(&mut self) {
        if let Some(resampler) = &mut self.resampler {
            let mut out = [Vec::new()];
            resampler.finish(&mut out);
            self.score(&out[0]);
        }
        let missing = self.pending.len().next_multiple_of(FRAME) - self.pending.len();
        self.score(&[0.0; FRAME][..missing]);
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

    /// Scores samples at 16 kHz.
    fn score(&mut self, samples: &[f32]) {
        let begun = self.pending.len();
        let (head, samples) = samples.split_at(samples.len().min((FRAME - begun) % FRAME));
        self.pending.extend_from_slice(head);
        if self.pending.len() == FRAME {
            let pending = std::mem::take(&mut self.pending);
            self.score_frames(&pending);
            self.pending = pending;
            self.pending.clear();
        }
        let rest = self.score_frames(samples);
        self.pending.extend_from_slice(rest);
    }

    /// Scores whole frames; returns the samples after them.
    fn score_frames<'a>(&mut self, samples: &'a [f32]) -> &'a [f32] {
        let (frames, rest) = samples.as_chunks::<FRAME>();
        for samples in frames {
            let clipped = samples.map(|sample| sample.clamp(-1.0, 1.0));
            self.scores.push(self.detector.predict_f32(&clipped));
        }
        rest
    }
}

/// The mean of all channels.
fn mixed<'a>(piece: &Planes<'_>, samples: Range<usize>, mix: &'a mut Vec<f32>) -> &'a [f32] {
    mix.clear();
    mix.resize(samples.len(), 0.0);
    let share = 1.0 / piece.channels.to_f32().unwrap_or(1.0);
    for plane in piece.iter() {
        for (sum, sample) in mix.iter_mut().zip(&plane[samples.clone()]) {
            *sum += sample * share;
        }
    }
    mix
}
