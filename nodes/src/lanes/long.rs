//! The transform of one long signal, whose values are spread over the lanes: value `n` is in lane
//! `n % lanes`. Each lane is transformed by itself; then values of all lanes are transformed together,
//! for which squares of values are turned over so that they lie in one lane.
//!
//! Values and spectrum are in their order.

use std::f64::consts::PI;

use pulp::Simd;

use super::square::Square;
use super::{Aligned, Complex, Passes, lane_count, on_circle, product};

/// The transform of one length.
#[derive(Debug)]
pub(crate) struct Long {
    /// Of one lane.
    along: Passes,
    /// Of one value from each lane.
    across: Passes,
    /// For each value of a lane's spectrum the factors of all lanes: real parts, then imaginary parts.
    twiddles: Vec<f32>,
}

/// Memory for one length.
#[derive(Debug)]
pub(crate) struct LongWork {
    /// What is transformed.
    values: Aligned,
    other: Aligned,
    across: [Aligned; 2],
    squares: [Square; 2],
}

impl LongWork {
    /// What is transformed next.
    #[inline(always)]
    pub(crate) fn values<S: Simd>(&mut self) -> &mut [Complex<S>] {
        self.values.pairs::<S>()
    }
}

impl Long {
    /// `None` unless vectors have at least four lanes, and the length is a multiple of the square of
    /// their lanes, without another prime factor than 2, 3 and 5.
    pub(crate) fn new(length: usize) -> Option<Self> {
        let lanes = lane_count();
        let (along, rest) = Passes::new(length / lanes);
        if lanes < 4 || length == 0 || !length.is_multiple_of(lanes * lanes) || rest != 1 {
            return None;
        }
        let factors = |row: usize| {
            let factor = move |lane| on_circle(-2.0 * PI * (row * lane) as f64 / length as f64);
            [0, 1].into_iter().flat_map(move |part| (0..lanes).map(move |lane| factor(lane)[part]))
        };
        let twiddles = (0..length / lanes).flat_map(factors).collect();
        Some(Self { along, across: Passes::new(lanes).0, twiddles })
    }

    pub(crate) fn work(&self) -> LongWork {
        let rows = Aligned::new(2 * self.along.length);
        let row = Aligned::new(2 * self.across.length);
        LongWork {
            values: rows.clone(),
            other: rows,
            across: [row.clone(), row],
            squares: [Square::new(), Square::new()],
        }
    }

    /// Returns the spectrum of the values.
    #[inline(always)]
    pub(crate) fn forward<'a, S: Simd>(
        &self,
        simd: S,
        work: &'a mut LongWork,
    ) -> &'a mut [Complex<S>] {
        let LongWork { values, other, across, squares } = work;
        let (spectra, out) = self.along.run(simd, values.pairs::<S>(), other.pairs::<S>());
        let (count, factors) = (spectra.len() / S::F32_LANES, self.factors::<S>());
        for at in 0..count {
            let rows = at * S::F32_LANES..(at + 1) * S::F32_LANES;
            for (row, (value, factor)) in
                spectra[rows.clone()].iter().zip(&factors[rows]).enumerate()
            {
                let value = product(simd, *value, *factor);
                for (square, part) in squares.iter_mut().zip(value) {
                    square.rows::<S>()[row] = part;
                }
            }
            let [from, to] = &mut *across;
            let (from, to) = (from.pairs::<S>(), to.pairs::<S>());
            let [real, imaginary] = &mut *squares;
            let (real, imaginary) = (real.turn_over::<S>(), imaginary.turn_over::<S>());
            for (to, (real, imaginary)) in from.iter_mut().zip(real.iter().zip(imaginary)) {
                *to = [*real, *imaginary];
            }
            let (found, _) = self.across.run(simd, from, to);
            for (part, found) in found.iter().enumerate() {
                out[part * count + at] = *found;
            }
        }
        out
    }

    /// Returns the values of a spectrum, times the length. Real and imaginary parts are exchanged, in
    /// the spectrum and in the values.
    #[inline(always)]
    pub(crate) fn backward<'a, S: Simd>(
        &self,
        simd: S,
        work: &'a mut LongWork,
    ) -> &'a mut [Complex<S>] {
        let LongWork { values, other, across, squares } = work;
        let (values, other) = (values.pairs::<S>(), other.pairs::<S>());
        let (count, factors) = (values.len() / S::F32_LANES, self.factors::<S>());
        for at in 0..count {
            let [from, to] = &mut *across;
            let (from, to) = (from.pairs::<S>(), to.pairs::<S>());
            for (part, to) in from.iter_mut().enumerate() {
                *to = values[part * count + at];
            }
            let (found, _) = self.across.run(simd, from, to);
            for (row, found) in found.iter().enumerate() {
                for (square, part) in squares.iter_mut().zip(found) {
                    square.rows::<S>()[row] = *part;
                }
            }
            let [real, imaginary] = &mut *squares;
            let (real, imaginary) = (real.turn_over::<S>(), imaginary.turn_over::<S>());
            let rows = at * S::F32_LANES..(at + 1) * S::F32_LANES;
            let parts = real.iter().zip(imaginary.iter());
            for (to, ((real, imaginary), factor)) in
                other[rows.clone()].iter_mut().zip(parts.zip(&factors[rows]))
            {
                *to = product(simd, [*real, *imaginary], *factor);
            }
        }
        self.along.run(simd, other, values).0
    }

    #[inline(always)]
    fn factors<S: Simd>(&self) -> &[Complex<S>] {
        S::as_simd_f32s(&self.twiddles).0.as_chunks::<2>().0
    }
}
