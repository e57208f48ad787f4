//! Conversion of whole blocks by transforms of two lengths whose ratio is that of the rates
//! (overlap-save). The filter is a gain for each frequency.
//!
//! A block is longer than the filter. Near its ends the filter reaches round to the other end; what
//! is made there is left out, and made by the neighbouring blocks, which overlap.
//!
//! The frequencies lie half a line beside those of the usual transform. Then a real block of `n` samples
//! is transformed as `n / 2` complex values, and nothing is left to be done to their spectrum: the real
//! parts are the first half of the samples, the imaginary parts the second half with the other sign, and
//! all are turned by `-pi * place / n`. The lines of the spectrum are every second of the `n`, those above
//! the Nyquist frequency in place of the odd ones below it.

use std::f64::consts::PI;
use std::fmt;

use num_traits::ToPrimitive;
use rustfft::FftPlanner;
use rustfft::num_complex::Complex64;

use super::design::Response;

/// The share of a block that is kept, at least: longer ones take less time for each sample and make a
/// stream wait longer.
const LEAST_KEPT: f64 = 0.6;
/// The longest block.
const LONGEST: usize = 1 << 16;

/// Lengths in samples of input and output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lengths {
    pub(super) input: usize,
    pub(super) output: usize,
}

/// How blocks of one length are converted.
pub(super) trait Convert: fmt::Debug + Send + Sync + Sized + 'static {
    /// Memory in which a block is converted.
    type Work: fmt::Debug + Send;

    /// With a gain for each line that passes (see [`gains`]); `None` where these lengths are not possible.
    fn new(block: Lengths, gains: &[f64]) -> Option<Self>;

    fn work(&self) -> Self::Work;

    /// Converts a block.
    fn convert(&self, block: &[f32], work: &mut Self::Work, made: &mut [f32]);
}

/// A filter for one pair of rates.
#[derive(Debug)]
pub(super) struct Blocks<C> {
    block: Lengths,
    /// What is left out at either end of a block.
    edge: Lengths,
    converter: C,
}

/// Memory for one stream.
#[derive(Debug)]
pub(super) struct Work<W> {
    made: Vec<f32>,
    converter: W,
}

impl<C: Convert> Blocks<C> {
    /// The filter for `step` input samples that become `phases`, without a common divisor; `None` where
    /// no transform of a good length has this ratio. `unit` divides the number of `step`s in a block.
    pub(super) fn new(
        (step, phases): (usize, usize),
        response: &Response,
        unit: usize,
    ) -> Option<Self> {
        let reach = response.half.ceil().max(1.0);
        let edge_times = (reach.to_usize()? + 1).div_ceil(step);
        let is_kept = |times: &usize| {
            times.saturating_sub(2 * edge_times) as f64 >= LEAST_KEPT * *times as f64
        };
        let mut all = (unit..=LONGEST).step_by(unit);
        let times = all.find(|times| is_smooth(*times) && is_kept(times))?;
        let lengths = |times: usize| Lengths { input: step * times, output: phases * times };
        let (block, edge) = (lengths(times), lengths(edge_times));
        if block.input.max(block.output) > LONGEST {
            return None;
        }
        Some(Self { block, edge, converter: C::new(block, &gains(response, block))? })
    }

    /// Input samples that a block takes.
    pub(super) fn taken(&self) -> usize {
        self.block.input
    }

    /// Input samples before those that the first output of a block belongs to.
    pub(super) fn before(&self) -> usize {
        self.edge.input
    }

    pub(super) fn work(&self) -> Work<C::Work> {
        Work { made: vec![0.0; self.block.output], converter: self.converter.work() }
    }

    /// Converts the blocks of `recent`, appends at most `most` outputs, and returns where the next block
    /// begins.
    pub(super) fn run(
        &self,
        recent: &[f32],
        most: usize,
        work: &mut Work<C::Work>,
        out: &mut Vec<f32>,
    ) -> usize {
        let end = out.len().saturating_add(most);
        let mut next = 0;
        while out.len() < end
            && let Some(block) = recent.get(next..next + self.block.input)
        {
            self.converter.convert(block, &mut work.converter, &mut work.made);
            let made = &work.made[self.edge.output..self.block.output - self.edge.output];
            out.extend_from_slice(&made[..made.len().min(end - out.len())]);
            next += self.block.input - 2 * self.edge.input;
        }
        next
    }
}

/// The gains of the lines that pass, half of which are the first ones of the spectrum, and the others its
/// last ones; a constant stays what it is.
fn gains(response: &Response, block: Lengths) -> Vec<f64> {
    let mut taps = vec![Complex64::default(); block.input];
    let mut sum = 0.0;
    let reach = response.half.to_isize().unwrap_or(0);
    for tap in -reach..=reach {
        let value = response.at(tap as f64);
        let turn = Complex64::cis(-PI * tap as f64 / block.input as f64);
        sum += value;
        taps[tap.rem_euclid(block.input as isize).unsigned_abs()] = turn * value;
    }
    FftPlanner::new().plan_fft_forward(block.input).process(&mut taps);
    // The transforms multiply by half of the length.
    let scale = sum * (block.input / 2) as f64;
    let lines: Vec<f64> = taps.iter().step_by(2).map(|gain| gain.re / scale).collect();
    let passing = block.input.min(block.output) / 2;
    let (low, high) = (passing.div_ceil(2), passing / 2);
    [&lines[..low], &lines[lines.len() - high..]].concat()
}

/// The number by which the value at a place of a block is turned.
pub(super) fn turn(place: usize, length: usize) -> Complex64 {
    Complex64::cis(-PI * place as f64 / length as f64)
}

/// Whether a length has no other factors than those for which transforms are quick.
fn is_smooth(mut length: usize) -> bool {
    for factor in [2, 3, 5] {
        while length.is_multiple_of(factor) {
            length /= factor;
        }
    }
    length == 1
}
