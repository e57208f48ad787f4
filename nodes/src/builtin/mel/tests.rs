//! Tests of MelSpectrogramNode against librosa 0.11 and Whisper's formula (tests/data/README.md).

use std::path::Path;

use ipc_protocol::{Order, Value};
use serde_json::{Value as Json, json};

use crate::builtin::samples::{self, Element};
use crate::registry;

/// Two tones, one of them rising, and noise: what the frozen values were computed from.
#[expect(clippy::cast_possible_truncation, reason = "rounding to samples is intended")]
fn signal() -> Vec<f32> {
    let mut state = 1_u32;
    let sample = |n: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let (t, turn) = (f64::from(n) / 16_000.0, 2.0 * std::f64::consts::PI);
        let noise = f64::from(state) / 4_294_967_296.0 - 0.5;
        let rising = (turn * (200.0 + 8_000.0 * t) * t).sin();
        (0.4 * (turn * 440.0 * t).sin() + 0.3 * rising + 0.05 * noise) as f32
    };
    (0..4_000).map(sample).collect()
}

fn mel(params: &Json, samples: Vec<f32>, shape: Vec<u64>) -> (Vec<u64>, Vec<f32>) {
    let node_type = registry::builtin().get("MelSpectrogramNode").unwrap();
    let params = node_type.check_params(params.as_object().unwrap()).unwrap();
    let mut node = (node_type.build)(&params).unwrap();
    let array = samples::array_of(samples, Element::F32, shape, Order::C);
    let item = Value::Tuple(vec![Value::Array(array), Value::Int(16_000)]);
    let mut out = Vec::new();
    node.process(item, &mut |value| out.push(value)).unwrap();
    let Value::Tuple(parts) = out.remove(0) else { panic!() };
    let Value::Array(array) = &parts[0] else { panic!() };
    (array.shape.clone(), bytemuck::pod_collect_to_vec(array.data.as_slice()))
}

#[test]
fn the_values_are_those_of_librosa_and_whisper() {
    for (name, params, shape) in [
        ("power", json!({}), [128, 8]),
        ("whisper", json!({"preset": "whisper"}), [80, 25]),
        (
            "db",
            json!({"n_fft": 1_024, "hop_length": 400, "n_mels": 40, "fmin": 60.0, "fmax": 7_000.0,
                   "scale": "db"}),
            [40, 11],
        ),
        (
            "magnitude",
            json!({"n_fft": 500, "hop_length": 250, "n_mels": 20, "scale": "magnitude"}),
            [20, 17],
        ),
    ] {
        let file = format!("tests/data/mel_{name}.f32");
        let bytes = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
        let wanted: Vec<f32> = bytemuck::pod_collect_to_vec(&bytes);
        let (found_shape, found) = mel(&params, signal(), vec![4_000]);
        assert_eq!(found_shape, shape, "{name}");
        let largest = wanted.iter().fold(0.0_f32, |largest, x| largest.max(x.abs()));
        for (n, (a, b)) in found.iter().zip(&wanted).enumerate() {
            // Logarithms differ by as much as the energies by share.
            let is_log = ["whisper", "db"].contains(&name);
            let most = 1e-4 * if is_log { b.abs().max(1.0) } else { b.abs().max(1e-3 * largest) };
            assert!((a - b).abs() <= most, "{name}, value {n}: {a} for {b}");
        }
    }
}

#[test]
fn channels_are_computed_one_by_one() {
    let one = signal();
    let two = [one.clone(), one.iter().map(|x| x / 2.0).collect()].concat();
    let (shape, values) = mel(&json!({}), two, vec![2, 4_000]);
    assert_eq!(shape, [2, 128, 8]);
    let (_, single) = mel(&json!({}), one, vec![4_000]);
    assert_eq!(values[..1_024], single[..]);
    assert!(
        values[1_024..]
            .iter()
            .zip(&single)
            .all(|(half, whole)| (half * 4.0 - whole).abs() <= 1e-3 * whole)
    );
}

#[test]
fn short_recordings_have_their_frames() {
    for (params, samples, frames) in [
        (json!({}), 0, 1),
        (json!({}), 1, 1),
        (json!({"preset": "whisper"}), 0, 0),
        (json!({"preset": "whisper"}), 160, 1),
        (json!({"preset": "whisper"}), 2, 0),
        (json!({"n_fft": 401}), 0, 1),
    ] {
        let (shape, values) = mel(&params, vec![0.5; samples], vec![samples as u64]);
        assert_eq!(shape[1], frames, "{params} of {samples}");
        assert!(values.iter().all(|value| value.is_finite()));
    }
}

#[test]
fn logarithms_are_those_of_the_library() {
    let numbers = (0..3_000).map(|step| 1e-10 * 1.02_f32.powi(step)).take_while(|x| *x < 1e20);
    for x in numbers.chain([1.0, 0.999_999_9, 1.000_000_1, f32::MIN_POSITIVE, 1e30]) {
        let (found, wanted) = (super::log10(x), f64::from(x).log10());
        let most = 1e-7 + 2e-7 * wanted.abs();
        assert!((f64::from(found) - wanted).abs() <= most, "{x}: {found} for {wanted}");
    }
}
