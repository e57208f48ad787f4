//! Transforms of two, three, four and five values.
//!
//! Every function is inlined always, and there are no closures: what is not inlined is compiled without
//! the processor's vectors.

use pulp::Simd;

use super::Complex;

/// A transform of `R` values.
pub(super) trait Small<const R: usize> {
    fn of<S: Simd>(simd: S, values: [Complex<S>; R]) -> [Complex<S>; R];
}

pub(super) struct Two;
pub(super) struct Three;
pub(super) struct Four;
pub(super) struct Five;

impl Small<2> for Two {
    #[inline(always)]
    fn of<S: Simd>(simd: S, [a, b]: [Complex<S>; 2]) -> [Complex<S>; 2] {
        [add(simd, a, b), sub(simd, a, b)]
    }
}

impl Small<3> for Three {
    #[inline(always)]
    fn of<S: Simd>(simd: S, [a, b, c]: [Complex<S>; 3]) -> [Complex<S>; 3] {
        const SINE: f32 = 0.866_025_4;
        let sum = add(simd, b, c);
        let half = add_times(simd, a, -0.5, sum);
        let difference = times(simd, SINE, sub(simd, b, c));
        let [second, third] = turned(simd, half, difference);
        [add(simd, a, sum), second, third]
    }
}

impl Small<4> for Four {
    #[inline(always)]
    fn of<S: Simd>(simd: S, [a, b, c, d]: [Complex<S>; 4]) -> [Complex<S>; 4] {
        let [even, odd] = Two::of(simd, [a, c]);
        let [sum, difference] = Two::of(simd, [b, d]);
        let [second, fourth] = turned(simd, odd, difference);
        [add(simd, even, sum), second, sub(simd, even, sum), fourth]
    }
}

impl Small<5> for Five {
    #[inline(always)]
    fn of<S: Simd>(simd: S, [a, b, c, d, e]: [Complex<S>; 5]) -> [Complex<S>; 5] {
        /// Cosines and sines of one and two fifths of a turn.
        const COSINES: [f32; 2] = [0.309_017, -0.809_017];
        const SINES: [f32; 2] = [0.951_056_5, 0.587_785_25];
        let [outer, outer_difference] = Two::of(simd, [b, e]);
        let [inner, inner_difference] = Two::of(simd, [c, d]);
        let real = add_times(simd, add_times(simd, a, COSINES[0], outer), COSINES[1], inner);
        let imaginary =
            add_times(simd, times(simd, SINES[0], outer_difference), SINES[1], inner_difference);
        let [second, fifth] = turned(simd, real, imaginary);
        let real = add_times(simd, add_times(simd, a, COSINES[1], outer), COSINES[0], inner);
        let imaginary =
            add_times(simd, times(simd, SINES[1], outer_difference), -SINES[0], inner_difference);
        let [third, fourth] = turned(simd, real, imaginary);
        [add(simd, add(simd, a, outer), inner), second, third, fourth, fifth]
    }
}

#[inline(always)]
pub(super) fn add<S: Simd>(simd: S, a: Complex<S>, b: Complex<S>) -> Complex<S> {
    [simd.add_f32s(a[0], b[0]), simd.add_f32s(a[1], b[1])]
}

#[inline(always)]
pub(super) fn sub<S: Simd>(simd: S, a: Complex<S>, b: Complex<S>) -> Complex<S> {
    [simd.sub_f32s(a[0], b[0]), simd.sub_f32s(a[1], b[1])]
}

#[inline(always)]
fn times<S: Simd>(simd: S, factor: f32, a: Complex<S>) -> Complex<S> {
    let factor = simd.splat_f32s(factor);
    [simd.mul_f32s(factor, a[0]), simd.mul_f32s(factor, a[1])]
}

/// `a + factor * b`.
#[inline(always)]
fn add_times<S: Simd>(simd: S, a: Complex<S>, factor: f32, b: Complex<S>) -> Complex<S> {
    let factor = simd.splat_f32s(factor);
    [simd.mul_add_e_f32s(factor, b[0], a[0]), simd.mul_add_e_f32s(factor, b[1], a[1])]
}

/// `a - i b` and `a + i b`.
#[inline(always)]
fn turned<S: Simd>(simd: S, a: Complex<S>, b: Complex<S>) -> [Complex<S>; 2] {
    let minus = [simd.add_f32s(a[0], b[1]), simd.sub_f32s(a[1], b[0])];
    let plus = [simd.sub_f32s(a[0], b[1]), simd.add_f32s(a[1], b[0])];
    [minus, plus]
}
