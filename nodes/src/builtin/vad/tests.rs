//! Tests of VADNode: segments of synthetic sound with known edges, both outputs, streams.

mod streams;

use std::f32::consts::PI;

use ipc_protocol::{Array, Audio, Order, Value};
use serde_json::json;

use crate::builtin::samples::{self, Element};
use crate::node::Node;
use crate::{ParamProblem, registry};

const RATE: u32 = 16_000;

/// A node that decides by the level, unless `params` names another method.
fn node(mut params: serde_json::Value) -> Box<dyn Node> {
    if params.get("method").is_none() {
        params["method"] = json!("energy");
    }
    build(params)
}

fn build(params: serde_json::Value) -> Box<dyn Node> {
    let node_type = registry::builtin().get("VADNode").unwrap();
    (node_type.build)(&node_type.check_params(params.as_object().unwrap()).unwrap()).unwrap()
}

fn problems(params: serde_json::Value) -> Vec<ParamProblem> {
    let node_type = registry::builtin().get("VADNode").unwrap();
    node_type.check_params(params.as_object().unwrap()).unwrap_err()
}

fn flat(samples: Vec<f32>) -> Array {
    let shape = vec![samples.len() as u64];
    samples::array_of(samples, Element::F32, shape, Order::C)
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

fn int(value: &Value, key: &str) -> i64 {
    let Some(Value::Int(n)) = value.get(key) else { panic!("no int '{key}' in {value:?}") };
    *n
}

fn float(value: &Value, key: &str) -> f64 {
    let Some(Value::Float(n)) = value.get(key) else { panic!("no float '{key}' in {value:?}") };
    *n
}

fn spans(list: &Value) -> Vec<(i64, i64)> {
    let Value::List(segments) = list else { panic!("not a list: {list:?}") };
    segments.iter().map(|s| (int(s, "start_ms"), int(s, "end_ms"))).collect()
}

fn noise(seed: u32) -> impl FnMut() -> f32 {
    let mut state = seed;
    move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 8_388_608.0 - 1.0
    }
}

/// A voice-like buzz (150 Hz and harmonics) of about -20 dBFS RMS in the given milliseconds, over
/// noise of that RMS level.
fn speech(rate: u32, length_ms: usize, voiced_ms: &[(usize, usize)], noise_db: f32) -> Vec<f32> {
    let per_ms = rate as usize / 1_000;
    let mut hiss = noise(7);
    // White noise in [-1, 1] has an RMS value of 1/sqrt(3).
    let hiss_height = 10_f32.powf(noise_db / 20.0) * 3.0_f32.sqrt();
    (0..length_ms * per_ms)
        .map(|i| {
            let is_voiced = voiced_ms.iter().any(|(a, b)| (a * per_ms..b * per_ms).contains(&i));
            let t = i as f32 / rate as f32;
            let buzz: f32 =
                (1..=12).map(|h| (2.0 * PI * 150.0 * h as f32 * t).sin() / h as f32).sum();
            hiss() * hiss_height + if is_voiced { buzz * 0.11 } else { 0.0 }
        })
        .collect()
}

fn assert_close(found: &[(i64, i64)], wanted: &[(i64, i64)], tolerance_ms: i64) {
    assert_eq!(found.len(), wanted.len(), "{found:?} instead of {wanted:?}");
    for (f, w) in found.iter().zip(wanted) {
        let close = (f.0 - w.0).abs() <= tolerance_ms && (f.1 - w.1).abs() <= tolerance_ms;
        assert!(close, "{found:?} instead of {wanted:?}");
    }
}

// spec: NRA-05
#[test]
fn segments_have_start_end_and_energy() {
    let audio = speech(RATE, 3_000, &[(500, 1_200), (1_800, 2_600)], -70.0);
    let out = run(node(json!({"threshold": -30.0})).as_mut(), Value::Array(flat(audio)));
    assert_eq!(out.len(), 1);
    assert_close(&spans(&out[0]), &[(500, 1_200), (1_800, 2_600)], 20);
    let Value::List(segments) = &out[0] else { panic!() };
    for segment in segments {
        let energy_db = float(segment, "energy_db");
        assert!((-22.0..-18.0).contains(&energy_db), "{energy_db}");
        let confidence = float(segment, "confidence");
        assert!((0.5..=1.0).contains(&confidence), "{confidence}");
    }
}

#[test]
fn noise_hides_no_edges() {
    for rate in [8_000, 16_000, 48_000] {
        for noise_db in [-100.0, -60.0, -45.0] {
            let audio = speech(rate, 3_000, &[(500, 1_200), (1_800, 2_600)], noise_db);
            let item = Value::Audio(Audio { samples: flat(audio), sample_rate_hz: rate });
            let out = run(node(json!({})).as_mut(), item);
            assert_close(&spans(&out[0]), &[(500, 1_200), (1_800, 2_600)], 30);
        }
    }
}

#[test]
fn silence_and_quiet_noise_are_no_speech() {
    for audio in [Vec::new(), vec![0.0; 7], vec![0.0; 16_000], speech(RATE, 2_000, &[], -40.0)] {
        let out = run(node(json!({})).as_mut(), Value::Array(flat(audio)));
        assert_eq!(out, [Value::List(Vec::new())]);
    }
}

#[test]
fn tones_and_hiss_above_the_threshold_count() {
    for hz in [200.0, 440.0, 1_000.0, 2_500.0, 6_000.0] {
        // -27 dBFS: above the threshold, but not by much.
        let tone = |i: usize| {
            let inside = (8_000..24_000).contains(&i);
            let height = if inside { 0.063 } else { 0.0 };
            (2.0 * PI * hz * i as f32 / 16_000.0).sin() * height
        };
        let out =
            run(node(json!({})).as_mut(), Value::Array(flat((0..32_000).map(tone).collect())));
        assert_close(&spans(&out[0]), &[(500, 1_500)], 20);
    }
    let mut hiss = noise(3);
    let burst = (0..32_000)
        .map(|i| if (8_000..24_000).contains(&i) { hiss() * 0.2 } else { 0.0 })
        .collect();
    let out = run(node(json!({})).as_mut(), Value::Array(flat(burst)));
    assert_close(&spans(&out[0]), &[(500, 1_500)], 20);
}

#[test]
fn rumble_and_clicks_are_no_speech() {
    let rumble = (0..32_000).map(|i| (2.0 * PI * 40.0 * i as f32 / 16_000.0).sin() * 0.3);
    assert_eq!(spans(&run(node(json!({})).as_mut(), Value::Array(flat(rumble.collect())))[0]), []);
    let mut click = vec![0.0; 32_000];
    click[16_000] = 1.0;
    assert_eq!(spans(&run(node(json!({})).as_mut(), Value::Array(flat(click)))[0]), []);
}

#[test]
fn a_weak_fricative_belongs_to_its_word() {
    // A hiss above 3 kHz at -48 dBFS after the vowel, closed by silence.
    let mut audio = speech(RATE, 2_000, &[(500, 1_000)], -75.0);
    let (mut hiss, mut before) = (noise(9), 0.0);
    for sample in &mut audio[16_000..18_400] {
        let next = hiss() * 0.005;
        *sample += next - before;
        before = next;
    }
    let out = run(node(json!({})).as_mut(), Value::Array(flat(audio)));
    assert_close(&spans(&out[0]), &[(500, 1_150)], 30);
}

#[test]
fn breath_is_no_speech() {
    // Half a second of hiss between 1.2 and 3 kHz at -30 dBFS, with peaks above the threshold.
    let mut audio = speech(RATE, 4_000, &[(500, 1_000), (2_500, 3_000)], -75.0);
    let mut random = noise(5);
    let partials: Vec<(f32, f32)> =
        (0..300).map(|_| (2_100.0 + 900.0 * random(), PI * random())).collect();
    for (i, sample) in audio.iter_mut().enumerate().skip(24_000).take(8_000) {
        let t = i as f32 / 16_000.0;
        let hiss: f32 = partials.iter().map(|(hz, phase)| (2.0 * PI * hz * t + phase).sin()).sum();
        *sample += hiss * (0.0316 / 150.0_f32.sqrt());
    }
    let out = run(node(json!({})).as_mut(), Value::Array(flat(audio)));
    assert_close(&spans(&out[0]), &[(500, 1_000), (2_500, 3_000)], 30);
}

#[test]
fn every_parameter_has_an_effect() {
    let audio = || {
        Value::Array(flat(speech(RATE, 4_000, &[(500, 650), (850, 1_500), (2_500, 3_000)], -70.0)))
    };
    let found = |params| spans(&run(node(params).as_mut(), audio())[0]);
    assert_close(&found(json!({})), &[(500, 1_500), (2_500, 3_000)], 20);
    let split = [(500, 650), (850, 1_500), (2_500, 3_000)];
    assert_close(&found(json!({"min_silence_ms": 100})), &split, 20);
    assert_close(
        &found(json!({"min_silence_ms": 100, "min_speech_ms": 300})),
        &[(850, 1_500), (2_500, 3_000)],
        20,
    );
    assert_close(&found(json!({"min_silence_ms": 2_000})), &[(500, 3_000)], 20);
    assert_eq!(found(json!({"threshold": -10})), []);
    assert_eq!(found(json!({"energy_threshold": 0.316})), []);
    assert_eq!(found(json!({"energy_threshold": 0.02})), found(json!({"threshold": -33.979_4})));
    // Half the rate: everything lasts twice as long, and the short pause is long enough.
    let at_8_khz = [(1_000, 1_300), (1_700, 3_000), (5_000, 6_000)];
    assert_close(&found(json!({"sample_rate": 8_000})), &at_8_khz, 30);
    let tagged = run(node(json!({"output": "tagged", "frame_length_ms": 60})).as_mut(), audio());
    let Value::Tuple(parts) = &tagged[0] else { panic!() };
    assert_eq!(int(&parts[2], "total_frames"), 66);
}

#[test]
fn contradicting_thresholds_are_a_problem() {
    let found = problems(json!({"threshold": -20, "energy_threshold": 0.02, "frame_lenght_ms": 3}));
    assert_eq!(found.len(), 2);
    let text: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert!(text[0].contains("did you mean 'frame_length_ms'"), "{text:?}");
    assert!(text[1].contains("either 'threshold' or 'energy_threshold'"), "{text:?}");
    assert!(problems(json!({"threshold": 3}))[0].to_string().contains("between -60 and 0 dBFS"));
}

#[test]
fn tagged_output_carries_the_audio() {
    let array = flat(speech(RATE, 3_000, &[(600, 1_500)], -70.0));
    let address = array.data.as_slice().as_ptr();
    let item = Value::Tuple(vec![Value::Array(array), Value::Int(16_000), Value::from("more")]);
    let out = run(node(json!({"output": "Tagged", "frame_duration_ms": 30})).as_mut(), item);
    let Value::Tuple(parts) = &out[0] else { panic!("not a tuple") };
    let [Value::Array(array), Value::Int(16_000), info, more] = parts.as_slice() else {
        panic!("{parts:?}")
    };
    assert_eq!(array.data.as_slice().as_ptr(), address);
    assert_eq!(*more, Value::from("more"));
    assert_close(&spans(info.get("segments").unwrap()), &[(600, 1_500)], 20);
    assert_eq!(info.get("is_speech"), Some(&Value::Bool(true)));
    assert_eq!(int(info, "total_frames"), 100);
    assert!((29..=31).contains(&int(info, "speech_frames")), "{info:?}");
}

#[test]
fn tagged_output_of_a_dict_is_a_dict() {
    let item = Value::Dict(vec![
        (Value::from("data"), Value::List(vec![Value::Float(0.0); 1_600])),
        (Value::from("sample_rate"), Value::Int(16_000)),
    ]);
    let out = run(node(json!({"output": "tagged"})).as_mut(), item);
    assert_eq!(out[0].get("is_speech"), Some(&Value::Bool(false)));
    assert_eq!(int(&out[0], "speech_frames"), 0);
    assert_eq!(int(&out[0], "sample_rate"), 16_000);
    assert!(matches!(out[0].get("data"), Some(Value::List(data)) if data.len() == 1_600));
}

#[test]
fn channels_count_by_their_mean_power() {
    let voice = speech(RATE, 2_000, &[(500, 1_200)], -80.0);
    let both = samples::planar_array(vec![voice.clone(), vec![0.0; voice.len()]]);
    let out = run(node(json!({})).as_mut(), Value::Array(both));
    assert_close(&spans(&out[0]), &[(500, 1_200)], 20);
    let Value::List(segments) = &out[0] else { panic!() };
    let alone = run(node(json!({})).as_mut(), Value::Array(flat(voice)));
    let Value::List(mono) = &alone[0] else { panic!() };
    let difference = float(&mono[0], "energy_db") - float(&segments[0], "energy_db");
    assert!((difference - 3.01).abs() < 0.1, "{difference}");
}

// spec: NRA-05
#[test]
fn without_a_threshold_both_measures_decide_and_with_one_the_level() {
    let loud_noise = {
        let mut hiss = noise(11);
        (0..64_000).map(|_| hiss() * 0.2).collect::<Vec<f32>>()
    };
    let found =
        |params| spans(&run(build(params).as_mut(), Value::Array(flat(loud_noise.clone())))[0]);
    let by_level = found(json!({"method": "energy"}));
    assert_close(&by_level, &[(0, 4_000)], 20);
    assert_eq!(found(json!({"threshold": -30})), by_level);
    assert_eq!(found(json!({"energy_threshold": 0.0316})), by_level);
    for params in
        [json!({}), json!({"method": "auto", "threshold": -30}), json!({"method": "neural"})]
    {
        assert_eq!(found(params), [], "steady noise is no speech");
    }
}
