//! The power of every line of the spectra of real signals, one signal in each lane. Signals of `n` samples
//! are transformed as `n / 2` complex values: the even samples are the real parts, the odd ones the
//! imaginary parts. So no line of one signal depends on another signal.
//!
//! The values are transformed where they lie, which leaves their order turned round (decimation in
//! frequency): half as much memory as [`Transform`](super::Transform) takes, so that 512 samples of
//! sixteen signals stay in the first cache.

use std::f64::consts::PI;

use pulp::Simd;

use super::radix::{Four, Small, Two, add, sub};
use super::square::{Square, load_real};
use super::{Aligned, Complex, on_circle, power, product, splat};

/// The transform of one length.
#[derive(Debug)]
pub(crate) struct Real {
    /// Complex values.
    length: usize,
    passes: Vec<Pass>,
    /// Where the line of a number lies after all passes.
    places: Vec<usize>,
    /// For the lines up to half of them, what turns the share of the odd samples.
    turns: Vec<[f32; 2]>,
}

/// Transforms of four values, within parts of one length.
#[derive(Debug)]
struct Pass {
    part: usize,
    /// For each place in a quarter of the part, the factors of all outputs but the first.
    twiddles: Vec<[[f32; 2]; 3]>,
}

/// Memory for one length.
#[derive(Debug)]
pub(crate) struct RealWork {
    values: Aligned,
    square: Square,
}

impl Real {
    /// For signals of so many samples: a power of two, at least two.
    pub(crate) fn new(samples: usize) -> Self {
        let length = samples / 2;
        let parts = std::iter::successors(Some(length), |part| Some(part / 4));
        let passes: Vec<Pass> = parts.take_while(|part| *part >= 4).map(Pass::new).collect();
        let place = |line: usize| {
            let (mut place, mut rest, mut part) = (0, line, length);
            while part > 1 {
                let radix = if part >= 4 { 4 } else { 2 };
                part /= radix;
                place += rest % radix * part;
                rest /= radix;
            }
            place
        };
        // A quarter of a turn more takes the factor `i` out of the difference.
        let turn = |line: usize| on_circle(-2.0 * PI * line as f64 / samples as f64 - PI / 2.0);
        Self {
            length,
            passes,
            places: (0..length).map(place).collect(),
            turns: (0..=length / 2).map(turn).collect(),
        }
    }

    /// Lines of a spectrum.
    pub(crate) fn lines(&self) -> usize {
        self.length + 1
    }

    pub(crate) fn work(&self) -> RealWork {
        RealWork { values: Aligned::new(2 * self.length), square: Square::new() }
    }

    /// Adds four times the power of each line to `powers`, for signals through a window that is not longer
    /// than the transform. Where signals or samples are missing there are zeros.
    #[inline(always)]
    pub(crate) fn add_powers<S: Simd>(
        &self,
        simd: S,
        (signals, window): (&[&[f32]], &[f32]),
        work: &mut RealWork,
        powers: &mut [S::f32s],
    ) {
        let values = work.values.vectors::<S>();
        load_real(simd, signals, window, &mut work.square, values);
        let values = values.as_chunks_mut::<2>().0;
        for pass in &self.passes {
            pass.run(simd, values);
        }
        if self.length.ilog2() % 2 == 1 {
            for [a, b] in values.as_chunks_mut::<2>().0 {
                [*a, *b] = Two::of(simd, [*a, *b]);
            }
        }
        let [even, odd] = values[0];
        let ends = [(0, simd.add_f32s(even, odd)), (self.length, simd.sub_f32s(even, odd))];
        for (line, both) in ends {
            let both = simd.add_f32s(both, both);
            powers[line] = simd.mul_add_e_f32s(both, both, powers[line]);
        }
        for (line, turn) in self.turns.iter().enumerate().skip(1) {
            let mirrored = self.length - line;
            let both = [line, mirrored].map(|line| values[self.places[line]]);
            let [low, high] = pair(simd, both, *turn);
            powers[line] = simd.add_f32s(powers[line], low);
            if mirrored > line {
                powers[mirrored] = simd.add_f32s(powers[mirrored], high);
            }
        }
    }
}

impl Pass {
    fn new(part: usize) -> Self {
        let twiddle = |place: usize| on_circle(-2.0 * PI * place as f64 / part as f64);
        let twiddles = (0..part / 4).map(|at| [twiddle(at), twiddle(2 * at), twiddle(3 * at)]);
        Self { part, twiddles: twiddles.collect() }
    }

    #[inline(always)]
    fn run<S: Simd>(&self, simd: S, values: &mut [Complex<S>]) {
        for part in values.chunks_exact_mut(self.part) {
            let (low, high) = part.split_at_mut(self.part / 2);
            let (a, b) = low.split_at_mut(self.part / 4);
            let (c, d) = high.split_at_mut(self.part / 4);
            let inputs = a.iter_mut().zip(b).zip(c.iter_mut().zip(d));
            for (at, (((a, b), (c, d)), twiddles)) in inputs.zip(&self.twiddles).enumerate() {
                let made = Four::of(simd, [*a, *b, *c, *d]);
                *a = made[0];
                for (k, out) in [b, c, d].into_iter().enumerate() {
                    *out = match at {
                        0 => made[k + 1],
                        _ => product(simd, made[k + 1], splat(simd, twiddles[k])),
                    };
                }
            }
        }
    }
}

/// Four times the powers of a line and of the one as far below the Nyquist frequency.
#[inline(always)]
fn pair<S: Simd>(simd: S, [a, b]: [Complex<S>; 2], turn: [f32; 2]) -> [S::f32s; 2] {
    let b = [b[0], simd.neg_f32s(b[1])];
    let even = add(simd, a, b);
    let odd = product(simd, sub(simd, a, b), splat(simd, turn));
    [power(simd, add(simd, even, odd)), power(simd, sub(simd, even, odd))]
}
