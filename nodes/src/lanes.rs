//! Fourier transforms of many signals at once, one in each lane of the processor's vectors (pulp): no
//! value moves to another lane, so every instruction works on all of them. `lanes/radix.rs` has the
//! small transforms that long ones are made of, `lanes/chirp.rs` leads every
//! length back to one of those. `lanes/real.rs` gives the powers of real signals. `lanes/long.rs`
//! transforms a single signal with all lanes.

mod chirp;
mod long;
mod radix;
mod real;
mod square;
#[cfg(test)]
mod tests;

use std::f64::consts::PI;

use chirp::Chirp;
pub(crate) use long::{Long, LongWork};
use num_traits::ToPrimitive;
use pulp::{Arch, Simd, WithSimd};
use radix::{Five, Four, Small, Three, Two};
pub(crate) use real::{Real, RealWork};
pub(crate) use square::{Square, load};

/// Real and imaginary parts of one value of each signal.
pub(crate) type Complex<S> = [<S as Simd>::f32s; 2];

/// Lanes of the widest vector.
pub(crate) const MOST_LANES: usize = 16;

/// Runs work with the widest vectors of the processor.
pub(crate) fn with_vectors<W: WithSimd>(work: W) -> W::Output {
    Arch::new().dispatch(work)
}

/// Lanes of the widest vectors of the processor.
pub(crate) fn lane_count() -> usize {
    with_vectors(LaneCount)
}

struct LaneCount;

impl WithSimd for LaneCount {
    type Output = usize;

    fn with_simd<S: Simd>(self, _: S) -> usize {
        S::F32_LANES
    }
}

/// Memory for vectors, which begin where a line of the cache does.
#[derive(Debug, Clone, Default)]
pub(crate) struct Aligned(Vec<Line>);

#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C, align(64))]
struct Line([f32; MOST_LANES]);

impl Aligned {
    /// Zeros for so many vectors of any width.
    pub(crate) fn new(vectors: usize) -> Self {
        Self(vec![Line([0.0; MOST_LANES]); vectors])
    }

    /// As vectors of one width. Those of fewer lanes lie closer together.
    #[inline(always)]
    pub(crate) fn vectors<S: Simd>(&mut self) -> &mut [S::f32s] {
        let count = self.0.len();
        &mut S::as_mut_simd_f32s(bytemuck::cast_slice_mut(&mut self.0)).0[..count]
    }

    /// The number in one lane of each vector of the width that the processor has.
    pub(crate) fn lane(&self, lane: usize) -> impl Iterator<Item = f32> + '_ {
        let numbers: &[f32] = bytemuck::cast_slice(&self.0);
        numbers.iter().skip(lane).step_by(lane_count()).copied()
    }

    /// As pairs of vectors: real and imaginary parts.
    #[inline(always)]
    pub(crate) fn pairs<S: Simd>(&mut self) -> &mut [Complex<S>] {
        self.vectors::<S>().as_chunks_mut::<2>().0
    }
}

/// The transform of one length.
#[derive(Debug)]
pub(crate) struct Transform {
    length: usize,
    /// Of the length itself, or of the longer one that `chirp` needs.
    passes: Passes,
    /// Where the length has another prime factor than 2, 3 and 5.
    chirp: Option<Chirp>,
}

/// Small transforms of one length, at all places.
#[derive(Debug)]
struct Pass {
    radix: usize,
    /// How many of them there are at each of the `stride` places side by side.
    count: usize,
    stride: usize,
    /// For each of the `count`, the factors of its outputs but the first.
    twiddles: Vec<[f32; 2]>,
}

impl Transform {
    /// For signals of so many values, at least one.
    pub(crate) fn new(length: usize) -> Self {
        let (passes, rest) = Passes::new(length);
        if rest == 1 {
            return Self { length, passes, chirp: None };
        }
        let (passes, chirp) = Chirp::new(length);
        Self { length, passes, chirp: Some(chirp) }
    }

    /// Values that each of the two memories of `run` holds.
    pub(crate) fn memory(&self) -> usize {
        self.passes.length
    }

    /// Transforms the first of `values` and returns the spectrum, which is in `values` or in `other`.
    #[inline(always)]
    pub(crate) fn run<'a, S: Simd>(
        &self,
        simd: S,
        values: &'a mut [Complex<S>],
        other: &'a mut [Complex<S>],
    ) -> &'a mut [Complex<S>] {
        let found = match &self.chirp {
            None => self.passes.run(simd, values, other).0,
            Some(chirp) => chirp.run(simd, &self.passes, values, other),
        };
        &mut found[..self.length]
    }
}

/// A transform as many small ones, pass after pass.
#[derive(Debug)]
struct Passes {
    length: usize,
    passes: Vec<Pass>,
}

impl Passes {
    /// Those of a length, and its largest divisor without the prime factors 2, 3 and 5; unless that
    /// is 1 they are no transform.
    fn new(length: usize) -> (Self, usize) {
        let mut passes = Vec::new();
        let (mut rest, mut stride) = (length, 1);
        for radix in [5, 3, 4, 2] {
            while rest.is_multiple_of(radix) {
                passes.push(Pass::new(radix, rest / radix, stride));
                rest /= radix;
                stride *= radix;
            }
        }
        (Self { length, passes }, rest)
    }

    /// Returns the memory with the spectrum, and the other one.
    #[inline(always)]
    fn run<'a, S: Simd>(
        &self,
        simd: S,
        values: &'a mut [Complex<S>],
        other: &'a mut [Complex<S>],
    ) -> (&'a mut [Complex<S>], &'a mut [Complex<S>]) {
        let (mut from, mut to) = (&mut values[..self.length], &mut other[..self.length]);
        for pass in &self.passes {
            match pass.radix {
                5 => pass.run::<S, 5, Five>(simd, from, to),
                4 => pass.run::<S, 4, Four>(simd, from, to),
                3 => pass.run::<S, 3, Three>(simd, from, to),
                _ => pass.run::<S, 2, Two>(simd, from, to),
            }
            std::mem::swap(&mut from, &mut to);
        }
        (from, to)
    }
}

impl Pass {
    fn new(radix: usize, count: usize, stride: usize) -> Self {
        let length = radix * count;
        let places = (0..count).flat_map(|at| (1..radix).map(move |k| at * k));
        let twiddle = |place: usize| on_circle(-2.0 * PI * place as f64 / length as f64);
        Self { radix, count, stride, twiddles: places.map(twiddle).collect() }
    }

    /// One step of Stockham's method, whose output is in order.
    #[inline(always)]
    fn run<S: Simd, const R: usize, T: Small<R>>(
        &self,
        simd: S,
        from: &[Complex<S>],
        to: &mut [Complex<S>],
    ) {
        let apart = self.count * self.stride;
        let outputs = to.chunks_exact_mut(R * self.stride);
        for (at, out) in outputs.enumerate() {
            let twiddles = &self.twiddles[at * (R - 1)..][..R - 1];
            let mut factors = [[simd.splat_f32s(0.0); 2]; R];
            let mut inputs: [&[Complex<S>]; R] = [&[]; R];
            for k in 0..R {
                inputs[k] = &from[at * self.stride + k * apart..][..self.stride];
                if k > 0 {
                    factors[k] = splat(simd, twiddles[k - 1]);
                }
            }
            for place in 0..self.stride {
                let mut values = factors;
                for k in 0..R {
                    values[k] = inputs[k][place];
                }
                let made = T::of(simd, values);
                out[place] = made[0];
                for k in 1..R {
                    out[k * self.stride + place] =
                        if at == 0 { made[k] } else { product(simd, made[k], factors[k]) };
                }
            }
        }
    }
}

#[inline(always)]
pub(crate) fn splat<S: Simd>(simd: S, number: [f32; 2]) -> Complex<S> {
    [simd.splat_f32s(number[0]), simd.splat_f32s(number[1])]
}

/// The number of length 1 at an angle.
pub(crate) fn on_circle(angle: f64) -> [f32; 2] {
    [angle.cos(), angle.sin()].map(|part| part.to_f32().unwrap_or(0.0))
}

#[inline(always)]
pub(crate) fn product<S: Simd>(simd: S, [a, b]: Complex<S>, [c, d]: Complex<S>) -> Complex<S> {
    let real = simd.negate_mul_add_e_f32s(b, d, simd.mul_f32s(a, c));
    let imaginary = simd.mul_add_e_f32s(a, d, simd.mul_f32s(b, c));
    [real, imaginary]
}

/// Power of a line of the spectra of two real signals that were transformed together, times 4: of the
/// one that was the real part, and of the other. `mirrored` is the value of the line as far below 0.
#[inline(always)]
pub(crate) fn powers<S: Simd>(simd: S, at: Complex<S>, mirrored: Complex<S>) -> [S::f32s; 2] {
    let ([a, b], [c, d]) = (at, mirrored);
    [
        power(simd, [simd.add_f32s(a, c), simd.sub_f32s(b, d)]),
        power(simd, [simd.sub_f32s(a, c), simd.add_f32s(b, d)]),
    ]
}

#[inline(always)]
fn power<S: Simd>(simd: S, [real, imaginary]: Complex<S>) -> S::f32s {
    simd.mul_add_e_f32s(real, real, simd.mul_f32s(imaginary, imaginary))
}
