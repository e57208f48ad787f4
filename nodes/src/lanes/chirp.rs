//! A transform of any length by one of a length without large prime factors (Bluestein): a spectrum is
//! a convolution with a chirp.

use std::f64::consts::PI;

use num_traits::ToPrimitive;
use pulp::Simd;
use rustfft::FftPlanner;
use rustfft::num_complex::Complex64;

use super::{Complex, Passes, on_circle, product, splat};

/// The chirp of one length.
#[derive(Debug)]
pub(super) struct Chirp {
    /// By it the signal is multiplied, and the spectrum.
    factors: Vec<[f32; 2]>,
    /// The spectrum of its conjugate.
    spectrum: Vec<[f32; 2]>,
}

impl Chirp {
    /// The chirp of a length, and the transform that it needs.
    pub(super) fn new(length: usize) -> (Passes, Self) {
        let longer = (2 * length).next_power_of_two();
        // The square is taken modulo the period, so that the angle keeps its digits.
        let angle = |n: usize| -PI * (n * n % (2 * length)) as f64 / length as f64;
        let mut conjugate = vec![Complex64::default(); longer];
        for n in 0..length {
            let value = Complex64::cis(-angle(n)) / longer as f64;
            conjugate[n] = value;
            conjugate[(longer - n) % longer] = value;
        }
        FftPlanner::new().plan_fft_forward(longer).process(&mut conjugate);
        let narrow = |part: f64| part.to_f32().unwrap_or(0.0);
        let chirp = Self {
            factors: (0..length).map(|n| on_circle(angle(n))).collect(),
            spectrum: conjugate.iter().map(|z| [narrow(z.re), narrow(z.im)]).collect(),
        };
        (Passes::new(longer).0, chirp)
    }

    #[inline(always)]
    pub(super) fn run<'a, S: Simd>(
        &self,
        simd: S,
        passes: &Passes,
        values: &'a mut [Complex<S>],
        other: &'a mut [Complex<S>],
    ) -> &'a mut [Complex<S>] {
        for (value, factor) in values.iter_mut().zip(&self.factors) {
            *value = product(simd, *value, splat(simd, *factor));
        }
        values[self.factors.len()..].fill(splat(simd, [0.0; 2]));
        let (spectrum, other) = passes.run(simd, values, other);
        for (value, factor) in spectrum.iter_mut().zip(&self.spectrum) {
            // With real and imaginary part exchanged, a transform is its inverse.
            let [real, imaginary] = product(simd, *value, splat(simd, *factor));
            *value = [imaginary, real];
        }
        let (found, _) = passes.run(simd, spectrum, other);
        for (value, factor) in found.iter_mut().zip(&self.factors) {
            let [imaginary, real] = *value;
            *value = product(simd, [real, imaginary], splat(simd, *factor));
        }
        found
    }
}
