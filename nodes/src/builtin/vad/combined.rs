//! The score of `auto`: a small network over what both measures say about a frame and its
//! surroundings, 0.9 s later. `benches/peers/vad_train.py` made its weights and says from what.
//!
//! | input | frames |
//! |---|---|
//! | the voice's score as log odds | 0.04 s before, now, 0.04 and 0.08 s after; means over 0.09, 0.25, 0.81 and 1.51 s; deviation over 0.81 s |
//! | level of all bands and of each one above its noise floor | now, smoothed |
//! | level above the noise floor | 0.06 s before and after; means over 0.13 and 0.51 s |
//! | loudest level above the noise floor | now |
//! | level of all bands and of each one below its loudest | now, smoothed |
//! | share of four bands, level | now |
//! | change of level within 0.02 s, of all bands and of each one | mean over 0.31 s |
//! | level of all bands and of four less their means over 0.41 s | now (a mean over 0.11 s); mean size over 0.81 s |
//! | level of all bands and of each one above its mean from 5 s before to 0.75 s after | now, smoothed |
//! | resemblance of the spectrum to that 0.05 and 0.2 s before, by region | means over 0.05 and 0.41 s |
//!
//! Noise floor and loudest level are the 8th and the 92nd percentile from 5 s before to 0.6 s
//! after, of every second frame.

use super::features::{BANDS, Frame};
use super::series::{Series, Sums};
use super::texture::RESEMBLANCES;
use super::weights::{BIAS, HIDDEN, INPUTS, MEANS, OUT, OUT_BIAS, SCALES, WEIGHTS};

/// Level of all bands, then of each one.
const LEVELS: usize = BANDS + 1;
/// Levels whose rise and fall is measured: not the highest band.
const WAVES: usize = LEVELS - 1;
/// Percentiles are computed for every so many frames.
const STEP: usize = 10;
/// Of so many frames one counts for them.
const EVERY: usize = 2;
const BACK: usize = 500;
const AHEAD: usize = 60;
const FLOOR_PERCENT: usize = 8;
const LOUD_PERCENT: usize = 92;
/// The longest windows on either side of a frame: of log odds, of levels above the floor, of
/// rise and fall.
const ODDS_REACH: usize = 75;
const ABOVE_REACH: usize = 25;
const WAVE_REACH: usize = 40;
/// The mean that rise and fall are measured against.
const BASE_REACH: usize = 20;
/// The usual level is the mean from `BACK` before to so many frames after.
const USUAL_AHEAD: usize = 75;
/// Scores are means over so many frames on either side.
const SMOOTHING: usize = 2;

/// Where a frame lies between noise and the loudest sound, in dB.
#[derive(Debug, Clone, Copy)]
struct Standing {
    above: [f32; LEVELS],
    spread: f32,
    below_loudest: [f32; LEVELS],
}

/// The scores of one stream.
#[derive(Debug, Clone, Default)]
pub(super) struct Combined {
    odds: Series<f32>,
    /// Log odds and their squares.
    odds_sums: Sums<2>,
    levels: Series<[f32; LEVELS]>,
    smooth: Series<[f32; LEVELS]>,
    smooth_sums: Sums<LEVELS>,
    change_sums: Sums<LEVELS>,
    wave: Series<[f32; WAVES]>,
    wave_sums: Sums<WAVES>,
    texture_sums: Sums<RESEMBLANCES>,
    standing: Series<Standing>,
    above_sums: Sums<1>,
    raw: Series<f32>,
    given: usize,
}

impl Combined {
    /// Takes the voice's score and the measures of the next frame; gives the scores of earlier
    /// frames that it completes, in order.
    pub(super) fn push(&mut self, voice: f32, frame: &Frame, give: &mut dyn FnMut(f32)) {
        let voice = voice.clamp(1e-3, 1.0 - 1e-3);
        let odds = (voice / (1.0 - voice)).ln();
        self.odds.push(odds);
        self.odds_sums.push(&[odds, odds * odds]);
        let decibels = |power: f32| 10.0 * (power + 1e-9).log10();
        let mut levels = [decibels(frame.bands.iter().sum()); LEVELS];
        for (level, power) in levels[1..].iter_mut().zip(&frame.bands) {
            *level = decibels(*power);
        }
        self.levels.push(levels);
        self.texture_sums.push(&frame.resemblances);
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
        self.follow(frames, is_end);
        while self.standing.len() < frames
            && is_known(self.smooth.len(), self.standing.len() + AHEAD)
        {
            self.stand(frames);
        }
        while self.raw.len() < frames
            && is_known(self.standing.len(), self.raw.len() + ABOVE_REACH + 1)
            && is_known(self.wave.len(), self.raw.len() + WAVE_REACH + 1)
            && is_known(frames, self.raw.len() + ODDS_REACH + 1)
            && is_known(self.smooth.len(), self.raw.len() + USUAL_AHEAD + 1)
        {
            self.raw.push(score(&self.inputs(self.raw.len())));
        }
        while self.given < frames && is_known(self.raw.len(), self.given + SMOOTHING + 1) {
            give(mean(self.raw.around(self.given, SMOOTHING).iter().copied()));
            self.given += 1;
        }
    }

    /// Smooths the levels, and measures their change, rise and fall.
    fn follow(&mut self, frames: usize, is_end: bool) {
        let is_known = |known: usize, needed: usize| needed <= known || is_end;
        while self.smooth.len() < frames && is_known(frames, self.smooth.len() + 2) {
            let levels = self.levels.around(self.smooth.len(), 1);
            let smooth = std::array::from_fn(|band| mean(levels.iter().map(|l| l[band])));
            self.smooth.push(smooth);
            self.smooth_sums.push(&smooth);
        }
        while self.change_sums.len() < self.smooth.len()
            && is_known(self.smooth.len(), self.change_sums.len() + 3)
        {
            let frame = self.change_sums.len();
            let (now, later) = (self.smooth.near(frame), self.smooth.near(frame + 2));
            self.change_sums.push(&std::array::from_fn(|band| (now[band] - later[band]).abs()));
        }
        while self.wave.len() < self.smooth.len()
            && is_known(self.smooth.len(), self.wave.len() + BASE_REACH + 1)
        {
            let frame = self.wave.len();
            let base = self.smooth_sums.mean(frame, BASE_REACH);
            let now = self.smooth_sums.mean(frame, 5);
            let wave = std::array::from_fn(|band| now[band] - base[band]);
            self.wave.push(wave);
            self.wave_sums.push(&wave.map(f32::abs));
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
            sorted.extend(around.iter().step_by(EVERY).map(|levels| levels[band]));
            for (found, percent) in found.iter_mut().zip([FLOOR_PERCENT, LOUD_PERCENT]) {
                let rank = sorted.len() * percent / 100;
                *found = *sorted.select_nth_unstable_by(rank, f32::total_cmp).1;
            }
        }
        let [floor, loudest] = percentiles[0];
        for frame in begin..(begin + STEP).min(frames) {
            let levels = self.smooth.near(frame);
            let above: [f32; LEVELS] =
                std::array::from_fn(|b| (levels[b] - percentiles[b][0]).min(40.0));
            self.above_sums.push(&[above[0]]);
            self.standing.push(Standing {
                above,
                spread: loudest - floor,
                below_loudest: std::array::from_fn(|b| levels[b] - percentiles[b][1]),
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
        for reach in [4, 12, 40, ODDS_REACH] {
            put(self.odds_sums.mean(frame, reach)[0]);
        }
        let [odds, squares] = self.odds_sums.mean(frame, 40);
        put((squares - odds * odds).max(0.0).sqrt());
        let standing = self.standing.near(frame);
        standing.above.into_iter().for_each(&mut put);
        put(standing.spread);
        standing.below_loudest.into_iter().for_each(&mut put);
        for reach in [6, ABOVE_REACH] {
            put(self.above_sums.mean(frame, reach)[0]);
        }
        put(self.standing.near(frame.saturating_sub(6)).above[0]);
        put(self.standing.near(frame + 6).above[0]);
        let levels = self.levels.near(frame);
        for band in [1, 2, 4, 5] {
            put(levels[band] - levels[0]);
        }
        put(levels[0].max(-80.0));
        self.change_sums.mean(frame, 15).into_iter().for_each(&mut put);
        self.wave.near(frame).into_iter().for_each(&mut put);
        self.wave_sums.mean(frame, WAVE_REACH).into_iter().for_each(&mut put);
        for reach in [2, 20] {
            self.texture_sums.mean(frame, reach).into_iter().for_each(&mut put);
        }
        let smooth = self.smooth.near(frame);
        let usual =
            self.smooth_sums.mean_between(frame.saturating_sub(BACK), frame + USUAL_AHEAD + 1);
        smooth.iter().zip(usual).for_each(|(level, usual)| put(level - usual));
        inputs
    }

    fn forget(&mut self) {
        let needed = self.given.saturating_sub(ODDS_REACH + SMOOTHING);
        self.odds.forget(needed);
        self.odds_sums.forget(needed);
        self.levels.forget(needed);
        self.change_sums.forget(needed);
        self.wave.forget(needed);
        self.wave_sums.forget(needed);
        self.texture_sums.forget(needed);
        self.standing.forget(needed);
        self.above_sums.forget(needed);
        self.raw.forget(needed);
        self.smooth.forget(needed.saturating_sub(BACK));
        self.smooth_sums.forget(needed.saturating_sub(BACK));
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
