//! Tests of the transforms, beside rustfft.

use rustfft::FftPlanner;
use rustfft::num_complex::Complex32;

use super::*;

struct Run<'a> {
    transform: &'a Transform,
    signals: &'a [Vec<Complex32>],
}

impl WithSimd for Run<'_> {
    type Output = Vec<Vec<Complex32>>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Self::Output {
        let memory = 2 * self.transform.memory();
        let (mut a, mut b) = (Aligned::new(memory), Aligned::new(memory));
        let [values, other] = [&mut a, &mut b].map(|m| m.pairs::<S>());
        for (n, value) in values[..self.signals[0].len()].iter_mut().enumerate() {
            let lane = |lane: usize| self.signals[lane % self.signals.len()][n];
            for (part, vector) in value.iter_mut().enumerate() {
                let lanes = bytemuck::cast_slice_mut::<_, f32>(std::slice::from_mut(vector));
                for (at, out) in lanes.iter_mut().enumerate() {
                    *out = if part == 0 { lane(at).re } else { lane(at).im };
                }
            }
        }
        let spectrum = self.transform.run(simd, values, other);
        (0..self.signals.len().min(S::F32_LANES))
            .map(|lane| {
                let part = |vector: &S::f32s| {
                    bytemuck::cast_slice::<_, f32>(std::slice::from_ref(vector))[lane]
                };
                spectrum.iter().map(|[re, im]| Complex32::new(part(re), part(im))).collect()
            })
            .collect()
    }
}

#[test]
fn each_lane_is_transformed_by_itself() {
    let mut random = fastrand::Rng::with_seed(1);
    for length in [1, 2, 3, 4, 5, 6, 7, 8, 14, 15, 16, 25, 30, 64, 90, 400, 401, 512, 1_000, 2_048]
    {
        let mut value = || Complex32::new(random.f32() - 0.5, random.f32() - 0.5);
        let signals: Vec<Vec<Complex32>> =
            (0..MOST_LANES).map(|_| (0..length).map(|_| value()).collect()).collect();
        let transform = Transform::new(length);
        let fft = FftPlanner::new().plan_fft_forward(length);
        let found = with_vectors(Run { transform: &transform, signals: &signals });
        for (found, signal) in found.iter().zip(&signals) {
            let mut wanted = signal.clone();
            fft.process(&mut wanted);
            for (bin, (a, b)) in found.iter().zip(&wanted).enumerate() {
                let most = 1e-6 * (length as f32).sqrt();
                assert!((a - b).norm() <= most, "bin {bin} of {length}: {a} for {b}");
            }
        }
    }
}

struct Powers<'a> {
    real: &'a Real,
    signals: &'a [&'a [f32]],
    window: &'a [f32],
}

impl WithSimd for Powers<'_> {
    type Output = Vec<Vec<f32>>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Self::Output {
        let mut memory = Aligned::new(self.real.lines());
        let powers = memory.vectors::<S>();
        let signals = &self.signals[..S::F32_LANES];
        let mut work = self.real.work();
        for _ in 0..2 {
            self.real.add_powers(simd, (signals, self.window), &mut work, powers);
        }
        let lane = |lane: usize| {
            let power = |vector: &S::f32s| {
                bytemuck::cast_slice::<_, f32>(std::slice::from_ref(vector))[lane] / 8.0
            };
            powers.iter().map(power).collect()
        };
        (0..S::F32_LANES).map(lane).collect()
    }
}

#[test]
fn powers_of_real_signals_are_those_of_their_lines() {
    let mut random = fastrand::Rng::with_seed(2);
    for length in [2, 4, 8, 16, 32, 256, 512, 1_024] {
        let window: Vec<f32> = (0..length - length / 16).map(|_| random.f32()).collect();
        let all: Vec<Vec<f32>> = (0..MOST_LANES)
            .map(|lane| (0..length - lane % 2).map(|_| random.f32() - 0.5).collect())
            .collect();
        let signals: Vec<&[f32]> = all.iter().map(Vec::as_slice).collect();
        let real = Real::new(length);
        let found = with_vectors(Powers { real: &real, signals: &signals, window: &window });
        let fft = FftPlanner::new().plan_fft_forward(length);
        for (found, signal) in found.iter().zip(&signals) {
            let mut wanted: Vec<Complex32> =
                signal.iter().zip(&window).map(|(x, w)| Complex32::new(x * w, 0.0)).collect();
            wanted.resize(length, Complex32::default());
            fft.process(&mut wanted);
            assert_eq!(found.len(), length / 2 + 1);
            for (line, (a, b)) in found.iter().zip(&wanted).enumerate() {
                let off = (a - b.norm_sqr()).abs();
                assert!(off <= 1e-5 * (length as f32), "line {line} of {length}: {a} for {b}");
            }
        }
        // What one signal gives does not depend on those beside it.
        let alone: Vec<&[f32]> =
            signals.iter().enumerate().map(|(lane, s)| if lane == 0 { *s } else { &[] }).collect();
        let lone = with_vectors(Powers { real: &real, signals: &alone, window: &window });
        assert_eq!(lone[0], found[0]);
    }
}
