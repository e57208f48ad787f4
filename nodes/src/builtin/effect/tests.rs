//! Tests of the nodes that change, cut and measure sound.

use ipc_protocol::{Order, Value};
use serde_json::{Value as Json, json};

use crate::builtin::samples::{self, Element};
use crate::error::NodeErrorKind;
use crate::node::Node;
use crate::registry;

const RATE_HZ: u32 = 16_000;

fn node(name: &str, params: &Json) -> Box<dyn Node> {
    let node_type = registry::builtin().get(name).unwrap();
    let params = node_type.check_params(params.as_object().unwrap()).unwrap();
    (node_type.build)(&params).unwrap()
}

fn item(planes: &[Vec<f32>]) -> Value {
    let array = match planes {
        [plane] => {
            samples::array_of(plane.clone(), Element::F32, vec![plane.len() as u64], Order::C)
        }
        planes => samples::planar_array(planes.to_vec()),
    };
    Value::Tuple(vec![Value::Array(array), Value::Int(RATE_HZ.into())])
}

fn planes(value: &Value) -> Vec<Vec<f32>> {
    let Value::Tuple(parts) = value else { panic!("{value:?}") };
    let Value::Array(array) = &parts[0] else { panic!("{value:?}") };
    assert_eq!(parts[1], Value::Int(RATE_HZ.into()));
    let all: Vec<f32> = bytemuck::pod_collect_to_vec(array.data.as_slice());
    match *array.shape.as_slice() {
        [_] => vec![all],
        [channels, samples] => {
            let samples = usize::try_from(samples).unwrap();
            (0..usize::try_from(channels).unwrap())
                .map(|c| all[c * samples..(c + 1) * samples].to_vec())
                .collect()
        }
        _ => panic!("{:?}", array.shape),
    }
}

fn outputs(node: &mut dyn Node, planes: &[Vec<f32>]) -> Vec<Value> {
    let mut out = Vec::new();
    node.process(item(planes), &mut |value| out.push(value)).unwrap();
    out
}

fn run(name: &str, params: &Json, input: &[Vec<f32>]) -> Vec<Vec<f32>> {
    let out = outputs(node(name, params).as_mut(), input);
    assert_eq!(out.len(), 1);
    planes(&out[0])
}

#[expect(clippy::cast_possible_truncation, reason = "rounding to samples is intended")]
fn tone(hz: f64, samples: usize) -> Vec<f32> {
    let step = 2.0 * std::f64::consts::PI * hz / f64::from(RATE_HZ);
    (0..samples).map(|n| (0.5 * (step * n as f64).sin()) as f32).collect()
}

fn rms(plane: &[f32]) -> f64 {
    let squares: f64 = plane.iter().map(|x| f64::from(*x).powi(2)).sum();
    (squares / plane.len() as f64).sqrt()
}

fn db(ratio: f64) -> f64 {
    20.0 * ratio.log10()
}

#[test]
fn gain_multiplies() {
    let out = run("GainNode", &json!({"gain_db": 20.0}), &[vec![0.5, -0.25], vec![0.0, 1.0]]);
    assert_eq!(out, [[5.0, -2.5], [0.0, 10.0]]);
}

#[test]
fn levels_are_reached() {
    let loud = vec![tone(1_000.0, 32_000), tone(500.0, 32_000).iter().map(|x| x / 4.0).collect()];
    for mode in ["peak", "rms", "loudness"] {
        for target in [-30.0, -12.0] {
            let params = json!({"mode": mode, "target": target, "max_peak": 20.0});
            let out = run("NormalizeNode", &params, &loud);
            let meter = outputs(node("LevelMeterNode", &json!({})).as_mut(), &out);
            let key = match mode {
                "peak" => "peak_db",
                "rms" => "rms_db",
                _ => "loudness_lufs",
            };
            let Some(Value::Float(found)) = meter[0].get(key) else { panic!("{meter:?}") };
            assert!((found - target).abs() < 0.05, "{mode}: {found} for {target}");
        }
    }
    let out = run("NormalizeNode", &json!({"mode": "rms", "target": 0.0}), &loud);
    let peak = out.concat().iter().fold(0.0_f32, |peak, x| peak.max(x.abs()));
    assert!((peak - 1.0).abs() < 1e-6, "the peak is limited: {peak}");
    for silence in [vec![], vec![0.0; 100]] {
        assert_eq!(
            run("NormalizeNode", &json!({"mode": "loudness"}), std::slice::from_ref(&silence)),
            [silence]
        );
    }
}

/// EBU Tech 3341: a sine of 1 kHz at -23 dBFS in both channels has -23 LUFS.
#[test]
fn loudness_is_that_of_ebu_r128() {
    let sine: Vec<f32> = tone(1_000.0, 160_000).iter().map(|x| x * 2.0 * 0.070_794_6).collect();
    let meter = outputs(node("LevelMeterNode", &json!({})).as_mut(), &[sine.clone(), sine]);
    let Some(Value::Float(lufs)) = meter[0].get("loudness_lufs") else { panic!("{meter:?}") };
    assert!((lufs + 23.0).abs() < 0.1, "{lufs}");
    let Some(Value::List(peaks)) = meter[0].get("channel_peak_db") else { panic!("{meter:?}") };
    assert_eq!(peaks.len(), 2);
    let short = outputs(node("LevelMeterNode", &json!({})).as_mut(), &[vec![1.0, -1.0, 0.0]]);
    assert_eq!(short[0].get("loudness_lufs"), Some(&Value::None));
    assert_eq!(short[0].get("clipped_samples"), Some(&Value::Int(2)));
}

#[test]
fn channels_are_mixed_and_split() {
    let two = [vec![1.0, 2.0], vec![3.0, -2.0]];
    assert_eq!(run("MixChannelsNode", &json!({}), &two), [[2.0, 0.0]]);
    assert_eq!(run("MixChannelsNode", &json!({"channels": 3}), &two)[2], two[1]);
    let params = json!({});
    let out = outputs(node("SplitChannelsNode", &params).as_mut(), &two);
    assert_eq!(out.iter().flat_map(planes).collect::<Vec<_>>(), two);
    assert_eq!(run("SplitChannelsNode", &json!({"channel": 1}), &two), two[1..]);
    let mut node = node("SplitChannelsNode", &json!({"channel": 2}));
    let error = node.process(item(&two), &mut |_| panic!()).unwrap_err();
    assert!(matches!(error.kind, NodeErrorKind::BadValue { what: "channel", .. }), "{error}");
}

#[test]
fn filters_pass_and_stop() {
    let level = |kind: &str, hz: f64, q: f64| {
        let params = json!({"kind": kind, "frequency": 1_000.0, "q": q});
        let input = tone(hz, 16_000);
        let out = run("BiquadNode", &params, std::slice::from_ref(&input)).remove(0);
        db(rms(&out[8_000..]) / rms(&input[8_000..]))
    };
    let flat = std::f64::consts::FRAC_1_SQRT_2;
    for (kind, passed, stopped) in [("highpass", 4_000.0, 100.0), ("lowpass", 100.0, 7_000.0)] {
        assert!(level(kind, passed, flat).abs() < 0.1, "{kind}");
        assert!((level(kind, 1_000.0, flat) + 3.01).abs() < 0.05, "{kind}");
        assert!(level(kind, stopped, flat) < -38.0, "{kind}");
    }
    assert!(level("notch", 1_000.0, 5.0) < -60.0);
    assert!(level("notch", 3_000.0, 5.0).abs() < 0.1);
    let mut node = node("BiquadNode", &json!({"frequency": 8_000.0}));
    let error = node.process(item(&[vec![0.0; 8]]), &mut |_| panic!()).unwrap_err();
    assert!(error.to_string().contains("half the sample rate of 16000 Hz"), "{error}");
}

#[test]
fn chunks_have_one_length_and_overlap() {
    let count = |n: usize| (0..n).map(|x| x as f32).collect::<Vec<f32>>();
    let chunks = |params: Json, samples: usize| -> Vec<Vec<f32>> {
        outputs(node("ChunkerNode", &params).as_mut(), &[count(samples)])
            .iter()
            .flat_map(planes)
            .collect()
    };
    assert_eq!(
        chunks(json!({"chunk_samples": 4}), 10),
        [&count(10)[..4], &count(10)[4..8], &count(10)[8..]]
    );
    assert_eq!(chunks(json!({"chunk_samples": 4}), 8).len(), 2);
    assert_eq!(chunks(json!({"chunk_samples": 4, "tail": "drop"}), 10).len(), 2);
    assert_eq!(chunks(json!({"chunk_samples": 4, "tail": "pad"}), 9)[2], [8.0, 0.0, 0.0, 0.0]);
    let overlapping = chunks(json!({"chunk_samples": 4, "overlap_samples": 3}), 6);
    assert_eq!(overlapping, [[0.0, 1.0, 2.0, 3.0], [1.0, 2.0, 3.0, 4.0], [2.0, 3.0, 4.0, 5.0]]);
    // A tail begins with the overlap.
    let overlapping = chunks(json!({"chunk_samples": 4, "overlap_samples": 1}), 5);
    assert_eq!(overlapping[1], [3.0, 4.0]);
    assert_eq!(
        chunks(json!({"chunk_ms": 10.0}), 321).iter().map(Vec::len).collect::<Vec<_>>(),
        [160, 160, 1]
    );
    assert_eq!(chunks(json!({}), 0).len(), 0);
    let mut node = node("ChunkerNode", &json!({"chunk_samples": 32, "overlap_samples": 31}));
    let error = node.process(item(&[count(9)]), &mut |_| panic!()).unwrap_err();
    assert!(error.to_string().contains("15/16"), "{error}");
}

#[test]
fn silence_is_trimmed() {
    let sound = tone(1_000.0, 1_600);
    let all = [vec![0.0; 3_200], sound.clone(), vec![1e-4; 4_800]].concat();
    let trimmed =
        |params: Json| run("SilenceTrimNode", &params, std::slice::from_ref(&all)).remove(0);
    assert_eq!(trimmed(json!({})), sound);
    assert_eq!(trimmed(json!({"keep_ms": 50})).len(), 1_600 + 2 * 800);
    assert_eq!(trimmed(json!({"ends": "start"})), all[3_200..]);
    assert_eq!(trimmed(json!({"ends": "end"})), all[..4_800]);
    assert_eq!(trimmed(json!({"threshold": -100.0})).len(), 1_600 + 4_800);
    for ends in ["both", "start", "end"] {
        let silent = run("SilenceTrimNode", &json!({"ends": ends}), &[vec![0.0; 999]]);
        assert_eq!(silent, [[0.0; 0]], "{ends}");
    }
}

/// Noise of a fixed seed, uniform in [-height, height].
fn noise(samples: usize, height: f32) -> Vec<f32> {
    let mut random = fastrand::Rng::with_seed(5);
    (0..samples).map(|_| (random.f32() * 2.0 - 1.0) * height).collect()
}

#[test]
fn noise_is_suppressed_without_delay() {
    for rate_hz in [16_000_u32, 48_000] {
        let suppress = |plane: Vec<f32>| {
            let count = plane.len();
            let array = samples::array_of(plane, Element::F32, vec![count as u64], Order::C);
            let item = Value::Tuple(vec![Value::Array(array), Value::Int(rate_hz.into())]);
            let mut out = Vec::new();
            node("NoiseSuppressionNode", &json!({})).process(item, &mut |v| out.push(v)).unwrap();
            let Value::Tuple(parts) = out.remove(0) else { panic!() };
            let Value::Array(array) = &parts[0] else { panic!() };
            let out: Vec<f32> = bytemuck::pod_collect_to_vec(array.data.as_slice());
            assert_eq!(out.len(), count);
            out
        };
        let second = rate_hz as usize;
        let input = noise(second, 0.05);
        let out = suppress(input.clone());
        let reduced = db(rms(&out[second / 2..]) / rms(&input[second / 2..]));
        assert!(reduced < -5.0, "{rate_hz} Hz: noise by {reduced} dB");
        // A voice-like buzz passes where it was: the correlation is largest without delay.
        let period = second / 120;
        let buzz: Vec<f32> =
            (0..second).map(|n| 0.3 * (-((n % period) as f32) / 20.0).exp()).collect();
        let out = suppress(buzz.clone());
        let at = |delay: isize| {
            let pairs = (second / 4..second * 3 / 4).map(|n| (n, n.checked_add_signed(delay)));
            pairs.filter_map(|(n, m)| Some(buzz[n] * out.get(m?)?)).sum::<f32>()
        };
        let best = (-60..=60).max_by(|a, b| at(*a).total_cmp(&at(*b))).unwrap();
        assert!(best.abs() <= 1, "{rate_hz} Hz: delayed by {best} samples");
    }
}

#[test]
fn pieces_give_the_same_as_the_whole() {
    for (name, params) in [
        ("BiquadNode", json!({"streaming": true})),
        ("NoiseSuppressionNode", json!({"streaming": true})),
        ("ChunkerNode", json!({"streaming": true, "chunk_samples": 50, "overlap_samples": 9})),
    ] {
        let input = [noise(5_000, 0.3), tone(300.0, 5_000)];
        let whole_of = |sizes: &[usize]| {
            let mut node = node(name, &params);
            let mut out = Vec::new();
            let mut at = 0;
            for size in sizes.iter().cycle() {
                let end = (at + size).min(5_000);
                let piece: Vec<Vec<f32>> = input.iter().map(|p| p[at..end].to_vec()).collect();
                node.process(item(&piece), &mut |value| out.push(planes(&value))).unwrap();
                at = end;
                if at == 5_000 {
                    break;
                }
            }
            node.flush(&mut |value| out.push(planes(&value))).unwrap();
            let channel = |c: usize| out.iter().flat_map(|p| p[c].clone()).collect::<Vec<f32>>();
            [channel(0), channel(1)]
        };
        let whole = whole_of(&[5_000]);
        for sizes in [&[1, 7, 480][..], &[333], &[0, 4_999]] {
            assert!(whole_of(sizes) == whole, "{name} by {sizes:?}");
        }
        if name != "ChunkerNode" {
            assert_eq!(whole[0].len(), 5_000, "{name}");
        }
    }
}

#[test]
fn a_stream_keeps_its_rate_and_channels() {
    let mut node = node("BiquadNode", &json!({"streaming": true}));
    node.process(item(&[vec![0.1; 10]]), &mut |_| {}).unwrap();
    let error = node.process(item(&[vec![0.1; 10], vec![0.1; 10]]), &mut |_| panic!()).unwrap_err();
    assert!(matches!(error.kind, NodeErrorKind::StreamChanged { what: "channel count", .. }));
    node.flush(&mut |_| {}).unwrap();
    node.process(item(&[vec![0.1; 10], vec![0.1; 10]]), &mut |_| {}).unwrap();
}
