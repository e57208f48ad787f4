//! Tests of the resampler: length, pieces, and how much of a sine remains.

use std::f64::consts::PI;

use num_traits::ToPrimitive;
use rubato::audioadapter_buffers::direct::SequentialSliceOfVecs;
use rubato::{Fft, FixedSync, Indexing, Resampler as _, WindowFunction};

use super::{Quality, Resampler, output_samples};

fn run(resampler: &mut Resampler, input: &[f32], piece: usize) -> Vec<f32> {
    let mut out = vec![Vec::new()];
    for part in input.chunks(piece) {
        resampler.push(std::iter::once(part), &mut out);
    }
    resampler.finish(&mut out);
    out.remove(0)
}

fn sine(hz: f64, rate_hz: u32, samples: usize) -> Vec<f32> {
    let turn = |n: usize| 2.0 * PI * hz * n as f64 / f64::from(rate_hz);
    (0..samples).map(|n| (0.5 * turn(n).sin()).to_f32().unwrap()).collect()
}

const PAIRS: [(u32, u32); 12] = [
    (48_000, 16_000),
    (16_000, 48_000),
    (44_100, 48_000),
    (48_000, 44_100),
    (44_101, 48_000),
    (8_000, 16_000),
    (1_000, 768_000),
    (768_000, 1_000),
    (767_999, 16_000),
    (16_000, 767_999),
    (22_050, 16_000),
    (11_025, 8_000),
];

// spec: NRA-06
#[test]
fn lengths_are_exact_and_pieces_change_no_bit() {
    for (from, to) in PAIRS {
        for samples in [0, 1, 2, 999, 5_000] {
            let input = sine(200.0, from, samples);
            let mut resampler = Resampler::new(from, to, 1, Quality::High);
            let whole = run(&mut resampler, &input, usize::MAX);
            assert_eq!(whole.len() as u64, output_samples(samples as u64, from, to));
            for piece in [1, 7, 960] {
                assert_eq!(run(&mut resampler, &input, piece), whole, "{from} to {to} by {piece}");
            }
        }
    }
}

#[test]
fn a_sine_stays_where_it_is() {
    for (from, to) in PAIRS {
        let hz = 0.3 * f64::from(from.min(to)) / 2.0;
        let input = sine(hz, from, (from as usize).max(4_000));
        for (quality, most_db) in
            [(Quality::Low, -75.0), (Quality::Medium, -95.0), (Quality::High, -115.0)]
        {
            let mut resampler = Resampler::new(from, to, 1, quality);
            let out = run(&mut resampler, &input, usize::MAX);
            let wanted = sine(hz, to, out.len());
            let edge = out.len() / 4;
            let middle = edge..out.len() - edge;
            let error: f64 = middle
                .clone()
                .map(|n| (f64::from(out[n]) - f64::from(wanted[n])).powi(2))
                .sum::<f64>()
                / middle.len() as f64;
            let error_db = 10.0 * (error / 0.125).log10();
            assert!(error_db < most_db, "{from} to {to}, {quality:?}: {error_db:.1} dB");
        }
    }
}

/// The same by rubato, whose blocks are `block` input samples.
fn by_rubato(from: u32, to: u32, block: usize, input: &[f32]) -> Vec<f32> {
    let (from, to) = (from as usize, to as usize);
    let window = WindowFunction::BlackmanHarris2;
    let mut fft = Fft::<f32>::new_custom(from, to, block, 1, 1, window, FixedSync::Both).unwrap();
    let (block, made) = (fft.input_frames_next(), fft.output_frames_next());
    let blocks = input.len() / block;
    let input = vec![input.to_vec()];
    let mut output = vec![vec![0.0; blocks * made]];
    let source = SequentialSliceOfVecs::new(&input, 1, input[0].len()).unwrap();
    let mut sink = SequentialSliceOfVecs::new_mut(&mut output, 1, blocks * made).unwrap();
    for number in 0..blocks {
        let at = Indexing::new().input_offset(number * block).output_offset(number * made);
        fft.process_into_buffer(&source, &mut sink, Some(&at)).unwrap();
    }
    let delay = fft.output_delay();
    output.remove(0).split_off(delay)
}

#[test]
fn another_resampler_gives_the_same() {
    for (from, to, block) in [(48_000, 16_000, 3_072), (44_100, 48_000, 2_352)] {
        let low = sine(1_000.0, from, 40_000);
        let input: Vec<f32> =
            sine(5_300.0, from, 40_000).iter().zip(low).map(|(a, b)| (a + b) / 2.0).collect();
        let ours = run(&mut Resampler::new(from, to, 1, Quality::High), &input, usize::MAX);
        let theirs = by_rubato(from, to, block, &input);
        let middle = 2_000..theirs.len().min(ours.len()) - 2_000;
        let worst = middle.map(|n| (ours[n] - theirs[n]).abs()).fold(0.0, f32::max);
        assert!(worst < 2e-5, "{from} to {to}: {worst}");
    }
}

/// Noise of a fixed seed, uniform in [-0.5, 0.5].
fn noise(seed: u64, samples: usize) -> Vec<f32> {
    let mut random = fastrand::Rng::with_seed(seed);
    (0..samples).map(|_| random.f32() - 0.5).collect()
}

// spec: NRA-06
#[test]
fn resampling_is_linear() {
    for (from, to) in PAIRS {
        let (a, b) = (noise(1, 3_000), noise(2, 3_000));
        let mixed: Vec<f32> = a.iter().zip(&b).map(|(a, b)| 0.5 * a - 0.25 * b).collect();
        let of = |input: &[f32]| run(&mut Resampler::new(from, to, 1, Quality::High), input, 700);
        let parts = of(&a).into_iter().zip(of(&b)).map(|(a, b)| 0.5 * a - 0.25 * b);
        for (whole, sum) in of(&mixed).into_iter().zip(parts) {
            assert!((whole - sum).abs() < 2e-6, "{from} to {to}: {whole} and {sum}");
        }
    }
}

// spec: NRA-06
#[test]
fn a_later_input_is_a_later_output() {
    for (from, to) in PAIRS {
        // The shortest time that is whole in both rates.
        let shift = from / super::filter::gcd(from, to);
        if shift > 10_000 {
            continue;
        }
        let (shift, later) = (shift as usize, (to / super::filter::gcd(from, to)) as usize);
        let input = noise(3, 4_000);
        let shifted = [vec![0.0; shift], input.clone()].concat();
        let of = |input: &[f32]| run(&mut Resampler::new(from, to, 1, Quality::High), input, 999);
        let (first, second) = (of(&input), of(&shifted));
        // Before its beginning a recording is silent, so that only what precedes it differs.
        let count = first.len().min(second.len() - later);
        // The blocks lie differently, so the last digits are others.
        for (first, second) in first[..count - 1].iter().zip(&second[later..]) {
            assert!((first - second).abs() < 1e-6, "{from} to {to}: {first} and {second}");
        }
    }
}

#[test]
fn a_day_does_not_drift() {
    for (from, to) in PAIRS {
        let day = 24 * 3_600;
        let mut resampler = Resampler::new(from, to, 1, Quality::Low);
        // After whole seconds the places of outputs are those of the beginning.
        (resampler.taken, resampler.given) = (day * u64::from(from), day * u64::from(to));
        let mut out = vec![Vec::new()];
        let input = noise(4, from as usize + 7);
        resampler.push(std::iter::once(input.as_slice()), &mut out);
        resampler.finish(&mut out);
        let fresh = run(&mut Resampler::new(from, to, 1, Quality::Low), &input, usize::MAX);
        assert_eq!(out[0], fresh, "{from} to {to}");
        let total = day * u64::from(to) + out[0].len() as u64;
        assert_eq!(total, output_samples(day * u64::from(from) + input.len() as u64, from, to));
    }
}
