//! Tests of ResampleNode: lengths, pieces, alignment, quality, forms.

use std::f64::consts::PI;

use ipc_protocol::{Array, Audio, Order, Value};
use num_traits::ToPrimitive;
use proptest::prelude::*;
use rustfft::{FftPlanner, num_complex::Complex};
use serde_json::json;

use super::most_samples;
use crate::builtin::audio_item::{DataForm, Form};
use crate::builtin::samples::{self, Element};
use crate::node::Node;
use crate::resampler::output_samples;
use crate::{NodeErrorKind, registry};

fn node(params: serde_json::Value) -> Box<dyn Node> {
    let node_type = registry::builtin().get("ResampleNode").unwrap();
    (node_type.build)(&node_type.check_params(params.as_object().unwrap()).unwrap()).unwrap()
}

fn flat(samples: Vec<f32>) -> Array {
    let shape = vec![samples.len() as u64];
    samples::array_of(samples, Element::F32, shape, Order::C)
}

fn floats(value: &Value) -> Vec<f32> {
    let array = match value {
        Value::Array(array) => array,
        Value::Audio(audio) => &audio.samples,
        other => panic!("not an array: {other:?}"),
    };
    array.data.as_slice().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
}

fn run(node: &mut dyn Node, input: Value) -> Vec<Value> {
    let mut out = Vec::new();
    node.process(input, &mut |value| out.push(value)).unwrap();
    out
}

fn flush(node: &mut dyn Node) -> Vec<Value> {
    let mut out = Vec::new();
    node.flush(&mut |value| out.push(value)).unwrap();
    out
}

fn resample(from: u32, to: u32, quality: &str, samples: Vec<f32>) -> Vec<f32> {
    let params = json!({"target_rate": to, "input_rate": from, "quality": quality});
    let out = run(node(params).as_mut(), Value::Array(flat(samples)));
    assert_eq!(out.len(), 1);
    floats(&out[0])
}

fn sine(rate_hz: u32, hz: f64, seconds: f64) -> Vec<f32> {
    let n = whole(f64::from(rate_hz) * seconds);
    let sample = |i: usize| (2.0 * PI * hz * i as f64 / f64::from(rate_hz)).sin();
    (0..n).filter_map(|i| sample(i).to_f32()).collect()
}

/// Rounds to the nearest integer, halves up.
fn whole(number: f64) -> usize {
    number.round().to_usize().unwrap()
}

fn noise(samples: usize) -> Vec<f32> {
    let mut state = 0x2545_f491_u32;
    (0..samples)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / 8_388_608.0 - 1.0
        })
        .collect()
}

/// RMS over the middle half, in dB relative to a full-scale sine.
fn middle_db(samples: &[f32]) -> f64 {
    let middle = &samples[samples.len() / 4..samples.len() * 3 / 4];
    let power = middle.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / middle.len() as f64;
    10.0 * (2.0 * power + 1e-30).log10()
}

// spec: NRA-06
#[test]
fn a_third_of_the_samples_for_any_length() {
    for n in [0_usize, 1, 2, 3, 7, 29, 30, 1023, 1024, 3071, 3072, 3073, 9973, 48_000, 48_001] {
        let out = resample(48_000, 16_000, "high", noise(n));
        assert_eq!(out.len(), whole(n as f64 / 3.0), "{n} samples");
    }
}

#[test]
fn every_quality_and_odd_rates_give_the_exact_length() {
    let pairs =
        [(44_100, 16_000), (16_000, 44_100), (8_000, 48_000), (11_025, 16_000), (44_101, 48_000)];
    for (from, to) in pairs {
        for quality in ["low", "medium", "High", "very_high"] {
            for n in [0_usize, 1, 5, 7_919] {
                let out = resample(from, to, quality, noise(n));
                let wanted = whole(n as f64 * f64::from(to) / f64::from(from));
                assert_eq!(out.len(), wanted, "{n} samples {from} -> {to} {quality}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    // spec: NRA-06
    #[test]
    fn pieces_of_any_size_give_the_same_samples_as_the_whole(
        cuts in proptest::collection::vec(0_usize..9_000, 0..8),
        pair in proptest::sample::select(vec![
            (48_000_u32, 16_000_u32), (16_000, 48_000), (44_100, 16_000), (8_000, 16_000),
            (22_050, 24_000), (16_000, 16_000),
        ]),
        quality in proptest::sample::select(vec!["low", "medium", "high"]),
    ) {
        let total: usize = cuts.iter().sum();
        let input = noise(total);
        let whole = resample(pair.0, pair.1, quality, input.clone());
        prop_assert_eq!(whole.len() as u64, output_samples(total as u64, pair.0, pair.1));
        let mut node = node(json!({
            "target_rate": pair.1, "input_rate": pair.0, "quality": quality, "streaming": true
        }));
        // Twice, because a stream after a flush must not depend on the one before.
        for _ in 0..2 {
            let mut pieces = Vec::new();
            let mut at = 0;
            for cut in &cuts {
                let piece = Value::Array(flat(input[at..at + cut].to_vec()));
                at += cut;
                pieces.extend(run(node.as_mut(), piece).iter().flat_map(floats));
            }
            pieces.extend(flush(node.as_mut()).iter().flat_map(floats));
            prop_assert_eq!(pieces.len(), whole.len());
            prop_assert!(pieces == whole, "to the last bit");
        }
    }
}

#[test]
fn a_click_stays_where_it_was() {
    for (from, to) in [(48_000, 16_000), (16_000, 48_000), (44_100, 16_000), (8_000, 44_100)] {
        for quality in ["low", "medium", "high"] {
            let mut input = vec![0.0; 9_000];
            input[4_410] = 1.0;
            let out = resample(from, to, quality, input);
            let loudest = |a: &(usize, &f32), b: &(usize, &f32)| a.1.total_cmp(b.1);
            let (peak, _) = out.iter().enumerate().max_by(loudest).unwrap();
            let wanted = 4_410.0 * f64::from(to) / f64::from(from);
            assert!((peak as f64 - wanted).abs() <= 1.0, "{from} -> {to} {quality}: {peak}");
        }
    }
}

#[test]
fn a_sine_keeps_its_phase_and_height() {
    for (from, to) in [(48_000, 16_000), (16_000, 48_000), (44_100, 16_000), (16_000, 11_025)] {
        let out = resample(from, to, "high", sine(from, 1_000.0, 1.0));
        let wanted = sine(to, 1_000.0, 1.0);
        assert_eq!(out.len(), wanted.len());
        let middle = out.len() / 4..out.len() * 3 / 4;
        let worst = middle.map(|i| (out[i] - wanted[i]).abs()).fold(0.0, f32::max);
        assert!(worst < 1e-4, "{from} -> {to} differs by {worst}");
    }
}

// spec: NRA-06
#[test]
fn high_quality_suppresses_aliases_by_90_db() {
    for hz in [8_000.0, 8_050.0, 8_500.0, 10_000.0, 15_000.0, 15_900.0, 17_000.0, 23_000.0] {
        let db = middle_db(&resample(48_000, 16_000, "high", sine(48_000, hz, 1.0)));
        assert!(db < -90.0, "{hz} Hz comes through at {db:.1} dB");
    }
}

#[test]
fn high_quality_suppresses_images_by_90_db() {
    for hz in [500.0, 3_000.0, 7_000.0, 7_500.0] {
        let out = resample(16_000, 48_000, "high", sine(16_000, hz, 2.0));
        let window = 32_768;
        let begin = (out.len() - window) / 2;
        let mut spectrum: Vec<Complex<f64>> = (0..window)
            .map(|i| {
                // Blackman-Harris, whose side lobes lie below -92 dB; squared, below -180 dB.
                let x = 2.0 * PI * i as f64 / window as f64;
                let w = 0.358_75 - 0.488_29 * x.cos() + 0.141_28 * (2.0 * x).cos()
                    - 0.011_68 * (3.0 * x).cos();
                Complex::new(f64::from(out[begin + i]) * w * w, 0.0)
            })
            .collect();
        FftPlanner::new().plan_fft_forward(window).process(&mut spectrum);
        let bin = |hz: f64| whole(hz * window as f64 / 48_000.0);
        let signal =
            spectrum[bin(hz) - 8..bin(hz) + 8].iter().map(|c| c.norm()).fold(0.0, f64::max);
        let image = spectrum[bin(8_000.0)..window / 2].iter().map(|c| c.norm()).fold(0.0, f64::max);
        let db = 20.0 * (image / signal).log10();
        assert!(db < -90.0, "images of {hz} Hz at {db:.1} dB");
    }
}

#[test]
fn high_quality_is_flat_to_nine_tenths_of_nyquist() {
    for (from, to) in [(48_000_u32, 16_000_u32), (16_000, 48_000), (44_100, 16_000)] {
        let nyquist = f64::from(from.min(to)) / 2.0;
        for step in 1..=18 {
            let hz = nyquist * f64::from(step) * 0.05;
            let db = middle_db(&resample(from, to, "high", sine(from, hz, 0.5)));
            assert!(db.abs() < 0.1, "{from} -> {to}: {hz} Hz at {db:.3} dB");
        }
    }
}

#[test]
fn quality_changes_the_passband() {
    let at = |quality, share: f64| {
        middle_db(&resample(48_000, 16_000, quality, sine(48_000, 8_000.0 * share, 0.5)))
    };
    // The numbers in the description of the parameter.
    for (quality, share) in [("low", 0.75), ("medium", 0.88), ("high", 0.915), ("very_high", 0.95)]
    {
        assert!(at(quality, share).abs() < 0.01, "{quality}: {}", at(quality, share));
        let middle_db = at(quality, (1.0 + share) / 2.0);
        assert!((middle_db + 6.02).abs() < 0.1, "{quality}: {middle_db}");
    }
    for (quality, most_db) in [("low", -78.0), ("medium", -98.0), ("high", -120.0)] {
        assert!(at(quality, 1.001) < most_db, "{quality}: {}", at(quality, 1.001));
    }
}

#[test]
fn int16_is_the_float_rounded() {
    let params = json!({"format": "i16"});
    let out = run(node(params).as_mut(), Value::Array(flat(noise(4_800))));
    let Value::Array(array) = &out[0] else { panic!("not an array") };
    assert_eq!(array.dtype.descr, "<i2");
    let ints = samples::elements::<i16>(array, false).unwrap();
    let floats = resample(48_000, 16_000, "high", noise(4_800));
    for (int, float) in ints.iter().zip(floats) {
        assert_eq!(
            f32::from(*int),
            (float * 32_768.0).round_ties_even().clamp(-32_768.0, 32_767.0)
        );
    }
}

#[test]
fn channels_are_resampled_each_for_itself() {
    let (left, right) = (noise(4_800), sine(48_000, 440.0, 0.1));
    let both = samples::planar_array(vec![left.clone(), right.clone()]);
    let audio = Value::Audio(Audio { samples: both, sample_rate_hz: 48_000 });
    let out = run(node(json!({})).as_mut(), audio);
    let Value::Audio(audio) = &out[0] else { panic!("not audio") };
    assert_eq!(audio.samples.shape, [2, 1_600]);
    assert_eq!(audio.sample_rate_hz, 16_000);
    let all = floats(&out[0]);
    assert_eq!(all[..1_600], resample(48_000, 16_000, "high", left));
    assert_eq!(all[1_600..], resample(48_000, 16_000, "high", right));
}

#[test]
fn fortran_order_is_the_same_audio() {
    let (left, right) = (noise(960), sine(48_000, 440.0, 0.02));
    let interleaved: Vec<f32> = left.iter().zip(&right).flat_map(|(l, r)| [*l, *r]).collect();
    let c_order = Value::Array(samples::planar_array(vec![left, right]));
    let fortran =
        Value::Array(samples::array_of(interleaved, Element::F32, vec![2, 960], Order::Fortran));
    let mut node = node(json!({}));
    assert_eq!(run(node.as_mut(), c_order), run(node.as_mut(), fortran));
}

#[test]
fn equal_rates_give_the_same_memory() {
    let array = flat(noise(100));
    let address = array.data.as_slice().as_ptr();
    let item = Value::Tuple(vec![Value::Array(array), Value::Int(16_000), Value::from("more")]);
    let out = run(node(json!({"target_sample_rate": 16_000})).as_mut(), item);
    let Value::Tuple(parts) = &out[0] else { panic!("not a tuple") };
    let Value::Array(array) = &parts[0] else { panic!("not an array") };
    assert_eq!(array.data.as_slice().as_ptr(), address);
    assert_eq!(parts[1..], [Value::Int(16_000), Value::from("more")]);
}

#[test]
fn integer_samples_become_floats() {
    let as_float = resample(48_000, 16_000, "high", vec![0.5; 3_000]);
    let ints = samples::array_of(vec![16_384_i16; 3_000], Element::I16, vec![3_000], Order::C);
    let out = run(node(json!({})).as_mut(), Value::Array(ints));
    assert_eq!(floats(&out[0]), as_float);
}

#[test]
fn dicts_come_back_as_dicts() {
    let interleaved: Vec<Value> =
        (0..600).map(|i| Value::Float(if i % 2 == 0 { 0.25 } else { -0.5 })).collect();
    let item = Value::Dict(vec![
        (Value::from("data"), Value::List(interleaved)),
        (Value::from("sample_rate"), Value::Int(32_000)),
        (Value::from("channels"), Value::Int(2)),
        (Value::from("speaker"), Value::from("anna")),
    ]);
    let out = run(node(json!({})).as_mut(), item);
    assert_eq!(out[0].get("sample_rate"), Some(&Value::Int(16_000)));
    assert_eq!(out[0].get("speaker"), Some(&Value::from("anna")));
    let Some(Value::List(data)) = out[0].get("data") else { panic!("no list") };
    assert_eq!(data.len(), 300);
    let (Value::Float(left), Value::Float(right)) = (&data[150], &data[151]) else { panic!() };
    assert!((left - 0.25).abs() < 0.01 && (right + 0.5).abs() < 0.01, "{left} {right}");
}

#[test]
fn a_stream_may_not_change_before_a_flush() {
    let mut node = node(json!({"streaming": true}));
    let piece = |rate| Value::Audio(Audio { samples: flat(noise(100)), sample_rate_hz: rate });
    node.process(piece(48_000), &mut |_| {}).unwrap();
    let error = node.process(piece(44_100), &mut |_| {}).unwrap_err();
    assert_eq!(
        error.kind,
        NodeErrorKind::StreamChanged { what: "sample rate", before: 48_000, now: 44_100 }
    );
    assert_eq!(flush(node.as_mut()).iter().map(|v| floats(v).len()).sum::<usize>(), 33);
    node.process(piece(44_100), &mut |_| {}).unwrap();
}

#[test]
fn what_is_not_audio_is_refused_with_a_reason() {
    let mut node = node(json!({}));
    let mut refuse = |value: Value| {
        let error = node.process(value, &mut |_| panic!("no output is expected")).unwrap_err();
        (error.type_name(), error.to_string())
    };
    let (kind, text) = refuse(Value::from("hello"));
    assert_eq!(kind, "TypeError");
    assert!(text.contains("(array, sample_rate)") && text.contains("got str"), "{text}");
    let bytes = samples::array_of(vec![0_u8; 4], Element::F32, vec![4], Order::C);
    let bytes =
        Array { dtype: ipc_protocol::Dtype { descr: "|u1".into(), item_bytes: 1 }, ..bytes };
    let (kind, text) = refuse(Value::Array(bytes));
    assert_eq!(kind, "ValueError");
    assert!(text.contains("uint8") && text.contains("float32"), "{text}");
    let (_, text) = refuse(Value::Tuple(vec![Value::Array(flat(vec![0.0])), Value::Int(0)]));
    assert!(text.contains("sample rate"), "{text}");
    let wide = samples::array_of(vec![0_f32; 2_000], Element::F32, vec![1_000, 2], Order::C);
    let (_, text) = refuse(Value::Array(wide));
    assert!(text.contains("transpose") && text.contains("(1000, 2)"), "{text}");
}

#[test]
fn a_dict_whose_rate_is_a_numpy_number_gets_the_new_rate() {
    let dtype = ipc_protocol::Dtype { descr: "<i8".into(), item_bytes: 8 };
    let data = 48_000_i64.to_le_bytes().to_vec().into();
    let rate = Array { dtype, shape: vec![], order: Order::C, scalar: true, data };
    let item = Value::Dict(vec![
        (Value::from("data"), Value::Array(flat(noise(300)))),
        (Value::from("sample_rate"), Value::Array(rate)),
    ]);
    let out = run(node(json!({})).as_mut(), item);
    assert_eq!(out[0].get("sample_rate"), Some(&Value::Int(16_000)));
}

#[test]
fn a_large_output_is_at_most_sixteen_times_its_input() {
    let lists = Form::Dict(Vec::new(), Value::from("data"), DataForm::Flat);
    assert_eq!(most_samples(&Form::Bare, 1), 1 << 24);
    assert_eq!(most_samples(&lists, 1), 1 << 20);
    assert_eq!(most_samples(&Form::Audio, 1 << 21), 1 << 25);
    assert_eq!(most_samples(&lists, 1 << 21), 1 << 25);
    assert_eq!(most_samples(&Form::Audio, u64::MAX), 1 << 30);
}
