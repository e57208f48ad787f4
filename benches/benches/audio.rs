//! Benchmarks of the native audio nodes: the promised times of VAD, resampling and format
//! conversion, and rubato at the same work (docs/decisions/80-resampler.md).

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ipc_protocol::{Array, Audio, Dtype, Order, Value};
use nodes::node::Node;
use nodes::registry;
use rubato::audioadapter_buffers::direct::SequentialSliceOfVecs;
use rubato::{Fft, FixedSync, Indexing, Resampler, WindowFunction};
use serde_json::{Value as Json, json};

fn node(name: &str, params: &Json) -> Box<dyn Node> {
    let built = registry::builtin().get(name).and_then(|node_type| {
        let params = node_type.check_params(params.as_object()?).ok()?;
        (node_type.build)(&params).ok()
    });
    match built {
        Some(node) => node,
        None => panic!("the benchmark's node {name} is wrong"),
    }
}

/// White noise at a tenth of full scale.
#[expect(clippy::cast_possible_truncation, reason = "rounding to samples is intended")]
fn noise(samples: usize) -> Vec<f32> {
    let mut state = 1_u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (f64::from(state) / 4_294_967_296.0 - 0.5) as f32 * 0.2
    };
    (0..samples).map(next).collect()
}

fn item(bytes: Vec<u8>, descr: &str, item_bytes: u32, rate_hz: u32) -> Value {
    let shape = vec![bytes.len() as u64 / u64::from(item_bytes)];
    let dtype = Dtype { descr: descr.to_owned(), item_bytes };
    let samples = Array { dtype, shape, order: Order::C, scalar: false, data: bytes.into() };
    Value::Audio(Audio { samples, sample_rate_hz: rate_hz })
}

fn floats(samples: &[f32], rate_hz: u32) -> Value {
    item(samples.iter().flat_map(|sample| sample.to_le_bytes()).collect(), "<f4", 4, rate_hz)
}

fn run(node: &mut dyn Node, item: &Value) {
    if let Err(error) = node.process(item.clone(), &mut |value| drop(black_box(value))) {
        panic!("{error}");
    }
}

/// Promised: below 2 ms a second of audio.
fn resampling(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("resample a second");
    for (from, to, block) in [(48_000_u32, 16_000_u32, 3_072), (44_100, 48_000, 2_352)] {
        let samples = noise(from as usize);
        let whole = floats(&samples, from);
        let mut ours = node("ResampleNode", &json!({"target_rate": to}));
        group.bench_function(format!("{from} to {to}, high"), |bencher| {
            bencher.iter(|| run(ours.as_mut(), &whole));
        });
        group.bench_function(format!("{from} to {to}, rubato's Fft"), |bencher| {
            bencher.iter(|| by_rubato((from as usize, to as usize), block, &samples));
        });
    }
    group.finish();
}

fn by_rubato((from, to): (usize, usize), block: usize, samples: &[f32]) -> Vec<f32> {
    let window = WindowFunction::BlackmanHarris2;
    let made = Fft::<f32>::new_custom(from, to, block, 1, 1, window, FixedSync::Both);
    let Ok(mut fft) = made else { panic!("rubato refuses {from} to {to}") };
    let (block, out) = (fft.input_frames_next(), fft.output_frames_next());
    let blocks = samples.len() / block;
    let input = vec![samples.to_vec()];
    let mut output = vec![vec![0.0; blocks * out]];
    let source = SequentialSliceOfVecs::new(&input, 1, samples.len());
    let sink = SequentialSliceOfVecs::new_mut(&mut output, 1, blocks * out);
    let (Ok(source), Ok(mut sink)) = (source, sink) else { panic!("buffers of rubato") };
    for number in 0..blocks {
        let at = Indexing::new().input_offset(number * block).output_offset(number * out);
        if let Err(error) = fft.process_into_buffer(&source, &mut sink, Some(&at)) {
            panic!("{error}");
        }
    }
    output.remove(0)
}

/// Promised: below 50 us a frame of 30 ms.
fn voice(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("VAD of 10 s");
    let whole = floats(&noise(160_000), 16_000);
    for method in ["energy", "neural", "auto"] {
        let mut ours = node("VADNode", &json!({"method": method}));
        group.bench_function(method, |bencher| bencher.iter(|| run(ours.as_mut(), &whole)));
    }
    group.finish();
}

/// Promised: below 100 us a million samples; 6 MB are read and written.
fn formats(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("a million samples");
    group.throughput(Throughput::Bytes(6_000_000));
    let ints = item(vec![7; 2_000_000], "<i2", 2, 16_000);
    let mut ours = node("FormatConverterNode", &json!({"target_format": "f32"}));
    group.bench_function("i16 to f32", |bencher| bencher.iter(|| run(ours.as_mut(), &ints)));
    let (from, mut to) = (vec![7_u8; 3_000_000], vec![0_u8; 3_000_000]);
    group.bench_function("memcpy of the same traffic", |bencher| {
        bencher.iter(|| black_box(&mut to).copy_from_slice(black_box(&from)));
    });
    group.finish();
}

criterion_group!(audio, resampling, voice, formats);
criterion_main!(audio);
