//! Conversion of whole blocks by Fourier transforms of two lengths whose ratio is that of the rates
//! (overlap-save). The filter is a gain for each frequency.
//!
//! A block is longer than the filter. Near its ends the filter reaches round to the other end; what
//! is made there is left out, and made by the neighbouring blocks, which overlap.

use std::fmt;
use std::sync::Arc;

use num_traits::{FromPrimitive, ToPrimitive};
use realfft::num_complex::Complex;
use realfft::{ComplexToReal, FftNum, RealFftPlanner, RealToComplex};

use super::design::Response;

/// Length of a block in lengths of the filter, at least: longer ones take less time for each sample and
/// make a stream wait longer.
const LEAST_BLOCK: f64 = 2.6;
/// The longest transform.
const LONGEST: usize = 1 << 16;

/// Lengths in samples of input and output.
#[derive(Debug, Clone, Copy)]
struct Lengths {
    input: usize,
    output: usize,
}

/// A filter for one pair of rates.
pub(super) struct Blocks<T> {
    block: Lengths,
    /// What is left out at either end of a block.
    edge: Lengths,
    /// Of each frequency that passes; the others are below the rejection.
    gains: Vec<T>,
    forward: Arc<dyn RealToComplex<T>>,
    inverse: Arc<dyn ComplexToReal<T>>,
}

/// Memory in which blocks are converted.
#[derive(Debug, Default)]
pub(super) struct Work<T> {
    block: Vec<T>,
    spectrum: Vec<Complex<T>>,
    passed: Vec<Complex<T>>,
    made: Vec<T>,
    scratch: Vec<Complex<T>>,
}

impl<T: FftNum + Default + FromPrimitive + ToPrimitive> Blocks<T> {
    /// The filter for `step` input samples that become `phases`, without a common divisor; `None` where
    /// no transform of a good length has this ratio.
    pub(super) fn new(step: usize, phases: usize, response: &Response) -> Option<Self> {
        let reach = response.half.ceil().max(1.0);
        let least = (reach * 2.0 * LEAST_BLOCK / step as f64).to_usize()?;
        let times = (least.max(2)..).find(|times| times.is_multiple_of(2) && is_smooth(*times))?;
        let edge_times = (reach.to_usize()? + 1).div_ceil(step);
        let lengths = |times: usize| Lengths { input: step * times, output: phases * times };
        let (block, edge) = (lengths(times), lengths(edge_times));
        if block.input.max(block.output) > LONGEST || times <= 2 * edge_times {
            return None;
        }
        let mut planner = RealFftPlanner::new();
        let forward = planner.plan_fft_forward(block.input);
        let inverse = planner.plan_fft_inverse(block.output);
        let gains = gains(response, block)?.into_iter().map(T::from_f64).collect::<Option<_>>()?;
        Some(Self { block, edge, gains, forward, inverse })
    }

    /// Input samples that a block takes.
    pub(super) fn taken(&self) -> usize {
        self.block.input
    }

    /// Input samples before those that the first output of a block belongs to.
    pub(super) fn before(&self) -> usize {
        self.edge.input
    }

    pub(super) fn work(&self) -> Work<T> {
        let scratch = self.forward.get_scratch_len().max(self.inverse.get_scratch_len());
        Work {
            block: self.forward.make_input_vec(),
            spectrum: self.forward.make_output_vec(),
            passed: self.inverse.make_input_vec(),
            made: self.inverse.make_output_vec(),
            scratch: vec![Complex::default(); scratch],
        }
    }

    /// Converts the blocks of `recent`, appends at most `most` outputs, and returns where the next block
    /// begins.
    pub(super) fn run(
        &self,
        recent: &[f32],
        most: usize,
        work: &mut Work<T>,
        out: &mut Vec<f32>,
    ) -> usize {
        let end = out.len().saturating_add(most);
        let mut next = 0;
        while out.len() < end
            && let Some(block) = recent.get(next..next + self.block.input)
        {
            self.convert(block, work);
            let made = &work.made[self.edge.output..self.block.output - self.edge.output];
            let made = &made[..made.len().min(end - out.len())];
            out.extend(made.iter().map(|sample| sample.to_f32().unwrap_or(0.0)));
            next += self.block.input - 2 * self.edge.input;
        }
        next
    }

    fn convert(&self, block: &[f32], work: &mut Work<T>) {
        for (to, from) in work.block.iter_mut().zip(block) {
            *to = T::from_f32(*from).unwrap_or_else(T::zero);
        }
        let Work { block, spectrum, passed, made, scratch } = work;
        let forward = self.forward.get_scratch_len();
        // They fail for wrong lengths only, which `work` has made.
        let _done = self.forward.process_with_scratch(block, spectrum, &mut scratch[..forward]);
        passed.fill(Complex::default());
        for (to, (from, gain)) in passed.iter_mut().zip(spectrum.iter().zip(&self.gains)) {
            *to = from * *gain;
        }
        let inverse = self.inverse.get_scratch_len();
        let _done = self.inverse.process_with_scratch(passed, made, &mut scratch[..inverse]);
    }
}

impl<T> fmt::Debug for Blocks<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Blocks").field("block", &self.block).finish_non_exhaustive()
    }
}

/// The gains of the frequencies below both Nyquist frequencies; a constant stays what it is.
fn gains(response: &Response, block: Lengths) -> Option<Vec<f64>> {
    let mut planner = RealFftPlanner::<f64>::new();
    let forward = planner.plan_fft_forward(block.input);
    let mut taps = forward.make_input_vec();
    taps[0] = response.at(0.0);
    for tap in 1..=response.half.to_usize()? {
        let value = response.at(tap as f64);
        taps[tap] = value;
        taps[block.input - tap] = value;
    }
    let mut spectrum = forward.make_output_vec();
    forward.process(&mut taps, &mut spectrum).ok()?;
    // The transforms multiply by the length.
    let scale = spectrum[0].re * block.input as f64;
    let passing = block.input.min(block.output) / 2;
    Some(spectrum[..passing].iter().map(|gain| gain.re / scale).collect())
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
