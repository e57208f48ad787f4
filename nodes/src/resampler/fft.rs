//! Blocks of any length, by rustfft.

use std::fmt;
use std::sync::Arc;

use num_traits::{FromPrimitive, ToPrimitive};
use rustfft::num_complex::{Complex, Complex64};
use rustfft::{Fft, FftNum, FftPlanner};

use super::blocks::{Convert, Lengths, turn};
use crate::lanes;

/// The transforms of a block and of what it becomes.
pub(super) struct Transforms<T> {
    forward: Arc<dyn Fft<T>>,
    inverse: Arc<dyn Fft<T>>,
    gains: Vec<T>,
    turns_before: Vec<Complex<T>>,
    turns_after: Vec<Complex<T>>,
}

/// Memory in which a block is converted.
#[derive(Debug)]
pub(super) struct Work<T> {
    block: Vec<Complex<T>>,
    made: Vec<Complex<T>>,
    scratch: Vec<Complex<T>>,
}

impl<T: FftNum + Default + FromPrimitive + ToPrimitive> Convert for Transforms<T> {
    type Work = Work<T>;

    fn new(block: Lengths, gains: &[f64]) -> Option<Self> {
        let narrow = |z: Complex64| Some(Complex::new(T::from_f64(z.re)?, T::from_f64(z.im)?));
        let turns = |length: usize| {
            (0..length / 2).map(|at| narrow(turn(at, length))).collect::<Option<_>>()
        };
        let mut planner = FftPlanner::new();
        Some(Self {
            forward: planner.plan_fft_forward(block.input / 2),
            inverse: planner.plan_fft_inverse(block.output / 2),
            gains: gains.iter().map(|gain| T::from_f64(*gain)).collect::<Option<_>>()?,
            turns_before: turns(block.input)?,
            turns_after: turns(block.output)?,
        })
    }

    fn work(&self) -> Work<T> {
        let zeros = |count: usize| vec![Complex::default(); count];
        let (forward, inverse) = (&self.forward, &self.inverse);
        Work {
            block: zeros(self.turns_before.len()),
            made: zeros(self.turns_after.len()),
            scratch: zeros(
                forward.get_inplace_scratch_len().max(inverse.get_inplace_scratch_len()),
            ),
        }
    }

    fn convert(&self, block: &[f32], work: &mut Work<T>, made: &mut [f32]) {
        lanes::with_vectors(|| self.pack(block, &mut work.block));
        self.forward.process_with_scratch(&mut work.block, &mut work.scratch);
        lanes::with_vectors(|| self.filter(&work.block, &mut work.made));
        self.inverse.process_with_scratch(&mut work.made, &mut work.scratch);
        lanes::with_vectors(|| self.unpack(&work.made, made));
    }
}

impl<T: FftNum + Default + FromPrimitive + ToPrimitive> Transforms<T> {
    #[inline(always)]
    fn pack(&self, block: &[f32], values: &mut [Complex<T>]) {
        let (first, second) = block.split_at(values.len());
        let number = |sample: &f32| T::from_f32(*sample).unwrap_or_else(T::zero);
        let samples = first.iter().zip(second).zip(&self.turns_before);
        for (value, ((first, second), turn)) in values.iter_mut().zip(samples) {
            *value = Complex::new(number(first), -number(second)) * turn;
        }
    }

    #[inline(always)]
    fn filter(&self, from: &[Complex<T>], to: &mut [Complex<T>]) {
        let (low, high) = (self.gains.len().div_ceil(2), self.gains.len() / 2);
        let (low_gains, high_gains) = self.gains.split_at(low);
        for (to, (from, gain)) in to.iter_mut().zip(from.iter().zip(low_gains)) {
            *to = from * *gain;
        }
        let end = to.len() - high;
        to[low..end].fill(Complex::default());
        let from = &from[from.len() - high..];
        for (to, (from, gain)) in to[end..].iter_mut().zip(from.iter().zip(high_gains)) {
            *to = from * *gain;
        }
    }

    #[inline(always)]
    fn unpack(&self, values: &[Complex<T>], made: &mut [f32]) {
        let (first, second) = made.split_at_mut(values.len());
        let made = first.iter_mut().zip(second);
        for ((value, turn), (first, second)) in values.iter().zip(&self.turns_after).zip(made) {
            let value = value * turn.conj();
            *first = value.re.to_f32().unwrap_or(0.0);
            *second = (-value.im).to_f32().unwrap_or(0.0);
        }
    }
}

impl<T> fmt::Debug for Transforms<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Transforms").finish_non_exhaustive()
    }
}
