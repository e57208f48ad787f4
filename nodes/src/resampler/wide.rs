//! Blocks of lengths that suit the processor's vectors.

use num_traits::ToPrimitive;
use pulp::{Simd, WithSimd};

use super::blocks::{Convert, Lengths, turn};
use crate::lanes::{self, Complex, Long, LongWork, product};

/// The transforms of a block and of what it becomes.
#[derive(Debug)]
pub(super) struct Wide {
    forward: Long,
    inverse: Long,
    gains: Vec<f32>,
    /// Vector by vector the real and the imaginary parts of the turns.
    turns_before: Vec<f32>,
    turns_after: Vec<f32>,
}

impl Convert for Wide {
    type Work = [LongWork; 2];

    fn new(block: Lengths, gains: &[f64]) -> Option<Self> {
        let narrow = |number: f64| number.to_f32().unwrap_or(0.0);
        let lanes = lanes::lane_count();
        let turns = |length: usize| {
            let vector = |at: usize| {
                let turns = (at..at + lanes).map(move |place| turn(place, length));
                turns.clone().map(|turn| turn.re).chain(turns.map(|turn| turn.im)).map(narrow)
            };
            (0..length / 2).step_by(lanes).flat_map(vector).collect()
        };
        Some(Self {
            forward: Long::new(block.input / 2)?,
            inverse: Long::new(block.output / 2)?,
            gains: gains.iter().copied().map(narrow).collect(),
            turns_before: turns(block.input),
            turns_after: turns(block.output),
        })
    }

    fn work(&self) -> Self::Work {
        [self.forward.work(), self.inverse.work()]
    }

    fn convert(&self, block: &[f32], work: &mut Self::Work, made: &mut [f32]) {
        lanes::with_vectors(Conversion { wide: self, block, work, made });
    }
}

struct Conversion<'a> {
    wide: &'a Wide,
    block: &'a [f32],
    work: &'a mut [LongWork; 2],
    made: &'a mut [f32],
}

impl WithSimd for Conversion<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { wide, block, work: [before, after], made } = self;
        let (first, second) = block.split_at(block.len() / 2);
        let samples = vectors::<S>(first).iter().zip(vectors::<S>(second));
        let turns = pairs::<S>(&wide.turns_before);
        for (value, ((first, second), turn)) in
            before.values::<S>().iter_mut().zip(samples.zip(turns))
        {
            *value = product(simd, [*first, simd.neg_f32s(*second)], *turn);
        }
        let spectrum = wide.forward.forward(simd, before);
        let passing = after.values::<S>();
        let gains = vectors::<S>(&wide.gains);
        let half = gains.len() / 2;
        for (to, (from, gain)) in passing.iter_mut().zip(spectrum.iter().zip(&gains[..half])) {
            *to = filtered(simd, *from, *gain);
        }
        let (end, skipped) = (passing.len() - half, spectrum.len() - half);
        passing[half..end].fill([simd.splat_f32s(0.0); 2]);
        let high = spectrum[skipped..].iter().zip(&gains[half..]);
        for (to, (from, gain)) in passing[end..].iter_mut().zip(high) {
            *to = filtered(simd, *from, *gain);
        }
        let values = wide.inverse.backward(simd, after);
        let half = made.len() / 2;
        let (first, second) = made.split_at_mut(half);
        let made = S::as_mut_simd_f32s(first).0.iter_mut().zip(S::as_mut_simd_f32s(second).0);
        let turns = pairs::<S>(&wide.turns_after);
        for ((value, turn), (first, second)) in values.iter().zip(turns).zip(made) {
            let [imaginary, real] = product(simd, *value, *turn);
            *first = real;
            *second = simd.neg_f32s(imaginary);
        }
    }
}

/// With real and imaginary part exchanged, as the inverse wants them.
#[inline(always)]
fn filtered<S: Simd>(simd: S, [real, imaginary]: Complex<S>, gain: S::f32s) -> Complex<S> {
    [simd.mul_f32s(imaginary, gain), simd.mul_f32s(real, gain)]
}

#[inline(always)]
fn vectors<S: Simd>(numbers: &[f32]) -> &[S::f32s] {
    S::as_simd_f32s(numbers).0
}

#[inline(always)]
fn pairs<S: Simd>(numbers: &[f32]) -> &[Complex<S>] {
    vectors::<S>(numbers).as_chunks::<2>().0
}
