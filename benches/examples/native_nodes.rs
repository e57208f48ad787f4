//! Work of the native audio nodes for `benches/instructions.py`, which counts its instructions:
//! `native_nodes WORK REPETITIONS`.

use ipc_protocol::{Array, Audio, Dtype, Order, Value};
use nodes::node::Node;
use nodes::registry;
use serde_json::{Value as Json, json};

/// Name, node, parameters, and the rate of a second of noise.
fn works() -> [(&'static str, &'static str, Json, u32); 7] {
    [
        ("resample-48-16", "ResampleNode", json!({"target_rate": 16_000}), 48_000),
        ("resample-44-48", "ResampleNode", json!({"target_rate": 48_000}), 44_100),
        ("vad-energy", "VADNode", json!({"method": "energy"}), 16_000),
        ("vad-neural", "VADNode", json!({"method": "neural"}), 16_000),
        ("i16-to-f32", "FormatConverterNode", json!({"target_format": "f32"}), 16_000),
        ("mel-whisper", "MelSpectrogramNode", json!({"preset": "whisper"}), 16_000),
        ("biquad", "BiquadNode", json!({}), 16_000),
    ]
}

#[expect(clippy::cast_possible_truncation, reason = "rounding to samples is intended")]
fn noise(rate_hz: u32, is_int: bool) -> Value {
    let mut state = 1_u32;
    let mut data = Vec::new();
    for _ in 0..rate_hz {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let sample = (f64::from(state) / 4_294_967_296.0 - 0.5) * 0.2;
        match is_int {
            true => data.extend(((sample * 32_768.0) as i16).to_le_bytes()),
            false => data.extend((sample as f32).to_le_bytes()),
        }
    }
    let (descr, item_bytes) = if is_int { ("<i2", 2) } else { ("<f4", 4) };
    let dtype = Dtype { descr: descr.to_owned(), item_bytes };
    let shape = vec![u64::from(rate_hz)];
    let samples = Array { dtype, shape, order: Order::C, scalar: false, data: data.into() };
    Value::Audio(Audio { samples, sample_rate_hz: rate_hz })
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let (Some(work), Some(count)) = (arguments.get(1), arguments.get(2)) else {
        panic!("native_nodes WORK REPETITIONS");
    };
    let Some((_, name, params, rate_hz)) = works().into_iter().find(|(known, ..)| known == work)
    else {
        panic!("no work {work}");
    };
    let built: Option<Box<dyn Node>> = registry::builtin().get(name).and_then(|node_type| {
        let params = node_type.check_params(params.as_object()?).ok()?;
        (node_type.build)(&params).ok()
    });
    let Some(mut node) = built else { panic!("{name} refuses {params}") };
    let item = noise(rate_hz, work.starts_with("i16"));
    for _ in 0..count.parse::<usize>().unwrap_or(1) {
        if let Err(error) = node.process(item.clone(), &mut |value| drop(value)) {
            panic!("{error}");
        }
    }
}
