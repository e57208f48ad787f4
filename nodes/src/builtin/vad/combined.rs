//! The score of `auto`: a small network over what both measures say about a frame and its
//! surroundings, 0.9 s later. `benches/peers/vad_train.py` made its weights and says from what.
//!
//! | input | frames |
//! |---|---|
//! | the voice's score as log odds | 0.04 s before, now, 0.04 and 0.08 s after; means over 0.09, 0.25 and 0.81 s |
//! | level of all bands and of each one above its noise floor | now, smoothed |
//! | level above the noise floor | 0.06 s before and after; means over 0.13 and 0.51 s |
//! | loudest level above the noise floor, level below the loudest | now |
//! | share of four bands, level | now |
//! | change of level within 0.02 s | mean over 0.31 s |
//!
//! Noise floor and loudest level are the 8th and the 92nd percentile from 5 s before to 0.6 s after.

use super::features::BANDS;
use super::weights::{BIAS, HIDDEN, INPUTS, MEANS, OUT, OUT_BIAS, SCALES, WEIGHTS};

/// Level of all bands, then of each one.
const LEVELS: usize = BANDS + 1;
/// Percentiles are computed for every so many frames.
const STEP: usize = 10;
const BACK: usize = 500;
const AHEAD: usize = 60;
const FLOOR_PERCENT: usize = 8;
const LOUD_PERCENT: usize = 92;
/// The longest window on either side of a frame: of log odds, and of levels above the floor.
const ODDS_REACH: usize = 40;
const ABOVE_REACH: usize = 25;
/// Scores are means over so many frames on either side.
const SMOOTHING: usize = 2;

/// Values of frames, the earliest of which may have been dropped.
#[derive(Debug, Clone)]
struct Series<T> {
    items: Vec<T>,
    first: usize,
}

impl<T> Default for Series<T> {
    fn default() -> Self {
        Self { items: Vec::new(), first: 0 }
    }
}

impl<T: Copy> Series<T> {
    /// Number of frames so far.
    fn len(&self) -> usize {
        self.first + self.items.len()
    }

    fn push(&mut self, item: T) {
        self.items.push(item);
    }

    /// The value of a frame, or of the nearest one there is.
    fn near(&self, frame: usize) -> T {
        self.items[frame.clamp(self.first, self.len() - 1) - self.first]
    }

    /// Frames from `reach` before to `reach` after, as far as they exist.
    fn around(&self, frame: usize, reach: usize) -> &[T] {
        self.between(frame.saturating_sub(reach), frame + reach + 1)
    }

    fn between(&self, from: usize, to: usize) -> &[T] {
        let index = |frame: usize| frame.clamp(self.first, self.len()) - self.first;
        &self.items[index(from)..index(to)]
    }

    fn forget(&mut self, before: usize) {
        let unneeded = before.saturating_sub(self.first).min(self.items.len());
        if unneeded > 1_000 {
            self.items.drain(..unneeded);
            self.first += unneeded;
        }
    }
}

/// Where a frame lies between noise and the loudest sound, in dB.
#[derive(Debug, Clone, Copy)]
struct Standing {
    above: [f32; LEVELS],
    spread: f32,
    below_loudest: f32,
}

/// The scores of one stream.
#[derive(Debug, Clone, Default)]
pub(super) struct Combined {
    odds: Series<f32>,
    levels: Series<[f32; LEVELS]>,
    smooth: Series<[f32; LEVELS]>,
    standing: Series<Standing>,
    raw: Series<f32>,
    given: usize,
}

impl Combined {
    /// Takes the voice's score and the band powers of the next frame; gives the scores of earlier
    /// frames that it completes, in order.
    pub(super) fn push(&mut self, voice: f32, bands: &[f32; BANDS], give: &mut dyn FnMut(f32)) {
        let voice = voice.clamp(1e-3, 1.0 - 1e-3);
        self.odds.push((voice / (1.0 - voice)).ln());
        let decibels = |power: f32| 10.0 * (power + 1e-9).log10();
        let mut levels = [decibels(bands.iter().sum()); LEVELS];
        for (level, power) in levels[1..].iter_mut().zip(bands) {
            *level = decibels(*power);
        }
        self.levels.push(levels);
        self.advance(false, give);
        self.forget();
    }

    /// Ends the stream; gives the scores of the remaining frames.
    pub(super) fn finish(&mut self, give: &mut dyn FnMut(f32)) {
        self.advance(true, give);
    }

    /// Computes what later frames cannot change, or everything at the end.
    fn advance(&mut self, is_end: bool, give: &mut dyn FnMut(f32)) {
        let frames = self.levels.len();
        let is_known = |known: usize, needed: usize| needed <= known || is_end;
        while self.smooth.len() < frames && is_known(frames, self.smooth.len() + 2) {
            let levels = self.levels.around(self.smooth.len(), 1);
            self.smooth.push(std::array::from_fn(|band| mean(levels.iter().map(|l| l[band]))));
        }
        while self.standing.len() < frames
            && is_known(self.smooth.len(), self.standing.len() + AHEAD)
        {
            self.stand(frames);
        }
        while self.raw.len() < frames
            && is_known(self.standing.len(), self.raw.len() + ABOVE_REACH + 1)
            && is_known(frames, self.raw.len() + ODDS_REACH + 1)
        {
            self.raw.push(score(&self.inputs(self.raw.len())));
        }
        while self.given < frames && is_known(self.raw.len(), self.given + SMOOTHING + 1) {
            give(mean(self.raw.around(self.given, SMOOTHING).iter().copied()));
            self.given += 1;
        }
    }

    /// The standing of the next frames up to a multiple of `STEP`.
    fn stand(&mut self, frames: usize) {
        let begin = self.standing.len();
        let around = self.smooth.between(begin.saturating_sub(BACK), begin + AHEAD);
        let mut sorted = Vec::with_capacity(around.len());
        let mut percentiles = [[0.0; 2]; LEVELS];
        for (band, found) in percentiles.iter_mut().enumerate() {
            sorted.clear();
            sorted.extend(around.iter().map(|levels| levels[band]));
            for (found, percent) in found.iter_mut().zip([FLOOR_PERCENT, LOUD_PERCENT]) {
                let rank = sorted.len() * percent / 100;
                *found = *sorted.select_nth_unstable_by(rank, f32::total_cmp).1;
            }
        }
        let [floor, loudest] = percentiles[0];
        for frame in begin..(begin + STEP).min(frames) {
            let levels = self.smooth.near(frame);
            self.standing.push(Standing {
                above: std::array::from_fn(|b| (levels[b] - percentiles[b][0]).min(40.0)),
                spread: loudest - floor,
                below_loudest: levels[0] - loudest,
            });
        }
    }

    /// What the network gets for a frame.
    fn inputs(&self, frame: usize) -> [f32; INPUTS] {
        let mut inputs = [0.0; INPUTS];
        let mut next = inputs.iter_mut();
        let mut put = |value: f32| {
            if let Some(input) = next.next() {
                *input = value;
            }
        };
        put(self.odds.near(frame.saturating_sub(4)));
        for later in [0, 4, 8] {
            put(self.odds.near(frame + later));
        }
        for reach in [4, 12, ODDS_REACH] {
            put(mean(self.odds.around(frame, reach).iter().copied()));
        }
        let standing = self.standing.near(frame);
        standing.above.into_iter().for_each(&mut put);
        put(standing.spread);
        put(standing.below_loudest);
        for reach in [6, ABOVE_REACH] {
            put(mean(self.standing.around(frame, reach).iter().map(|s| s.above[0])));
        }
        put(self.standing.near(frame.saturating_sub(6)).above[0]);
        put(self.standing.near(frame + 6).above[0]);
        let levels = self.levels.near(frame);
        for band in [1, 2, 4, 5] {
            put(levels[band] - levels[0]);
        }
        put(levels[0].max(-80.0));
        let change = |at: usize| (self.smooth.near(at)[0] - self.smooth.near(at + 2)[0]).abs();
        let end = (frame + 16).min(self.smooth.len());
        put(mean((frame.saturating_sub(15)..end).map(change)));
        inputs
    }

    fn forget(&mut self) {
        let needed = self.given.saturating_sub(2 * ODDS_REACH);
        self.odds.forget(needed);
        self.levels.forget(needed);
        self.standing.forget(needed);
        self.raw.forget(needed);
        self.smooth.forget(needed.saturating_sub(BACK));
    }
}

/// The network: one hidden layer of rectified sums.
fn score(inputs: &[f32; INPUTS]) -> f32 {
    let mut scaled = [0.0; INPUTS];
    for (i, scaled) in scaled.iter_mut().enumerate() {
        *scaled = (inputs[i] - MEANS[i]) * SCALES[i];
    }
    let mut odds = OUT_BIAS;
    for hidden in 0..HIDDEN {
        let products = WEIGHTS[hidden].iter().zip(&scaled).map(|(weight, input)| weight * input);
        odds += OUT[hidden] * (BIAS[hidden] + products.sum::<f32>()).max(0.0);
    }
    1.0 / (1.0 + (-odds).exp())
}

fn mean(values: impl ExactSizeIterator<Item = f32>) -> f32 {
    let count = values.len().max(1) as f32;
    values.sum::<f32>() / count
}
