//! Tests of both nodes together, and beside the decoder that reads files.

use ipc_protocol::{Array, Audio, Dtype, Order, Value};
use num_traits::ToPrimitive;
use serde_json::{Value as Json, json};

use crate::node::Node;
use crate::{NodeErrorKind, registry};

fn node(name: &str, params: &Json) -> Box<dyn Node> {
    let node_type = registry::builtin().get(name).unwrap();
    let params = node_type.check_params(params.as_object().unwrap()).unwrap();
    (node_type.build)(&params).unwrap()
}

fn encoder(params: &Json) -> Box<dyn Node> {
    node("OpusEncoderNode", params)
}

fn audio(planes: &[&[f32]], rate_hz: u32) -> Value {
    let data: Vec<u8> =
        planes.iter().flat_map(|p| p.iter()).flat_map(|x| x.to_le_bytes()).collect();
    let shape = vec![planes.len() as u64, planes[0].len() as u64];
    let dtype = Dtype { descr: "<f4".to_owned(), item_bytes: 4 };
    let samples = Array { dtype, shape, order: Order::C, scalar: false, data: data.into() };
    Value::Audio(Audio { samples, sample_rate_hz: rate_hz })
}

/// A chord that fades in and out.
fn chord(rate_hz: u32, seconds: f64) -> Vec<f32> {
    let count = f64::from(rate_hz) * seconds;
    (0..)
        .map(f64::from)
        .take_while(|n| *n < count)
        .map(|n| {
            let t = n / f64::from(rate_hz);
            let sum: f64 = [220.0, 277.2, 329.6, 1_500.0]
                .iter()
                .map(|hz| (2.0 * std::f64::consts::PI * hz * t).sin())
                .sum();
            (0.15 * sum * (std::f64::consts::PI * n / count).sin()).to_f32().unwrap()
        })
        .collect()
}

fn packets(node: &mut dyn Node, items: Vec<Value>) -> Vec<Value> {
    let mut out = Vec::new();
    for item in items {
        node.process(item, &mut |value| out.push(value)).unwrap();
    }
    node.flush(&mut |value| out.push(value)).unwrap();
    out
}

/// The decoded channels, and the rate.
fn decoded(packets: Vec<Value>, params: &Json) -> (Vec<Vec<f32>>, u32) {
    let mut node = node("OpusDecoderNode", params);
    let (mut planes, mut rate) = (Vec::new(), 0);
    for packet in packets {
        let add = &mut |value| {
            let Value::Audio(audio) = value else { panic!("{value:?}") };
            rate = audio.sample_rate_hz;
            let all: Vec<f32> = audio
                .samples
                .data
                .as_slice()
                .as_chunks::<4>()
                .0
                .iter()
                .map(|b| f32::from_le_bytes(*b))
                .collect();
            let samples = usize::try_from(audio.samples.shape[1]).unwrap();
            planes.resize(usize::try_from(audio.samples.shape[0]).unwrap(), Vec::new());
            for (plane, new) in planes.iter_mut().zip(all.chunks(samples.max(1))) {
                plane.extend_from_slice(new);
            }
        };
        node.process(packet, add).unwrap();
    }
    (planes, rate)
}

/// Signal to noise in dB, of what comes `behind` samples later.
fn snr_db(wanted: &[f32], found: &[f32], behind: usize) -> f64 {
    let power = |x: f32| f64::from(x).powi(2);
    let signal: f64 = wanted.iter().map(|x| power(*x)).sum();
    let noise: f64 = wanted.iter().zip(&found[behind..]).map(|(a, b)| power(a - b)).sum();
    10.0 * (signal / noise).log10()
}

#[test]
fn what_is_encoded_is_decoded_after_the_known_delay_with_every_sample() {
    for (rate_hz, least_db) in [(48_000, 25.0), (24_000, 25.0), (16_000, 20.0)] {
        let sound = chord(rate_hz, 1.003);
        let made = packets(encoder(&json!({})).as_mut(), vec![audio(&[&sound], rate_hz)]);
        let behind = rate_hz as usize * 65 / 10_000;
        let frame = rate_hz as usize / 50;
        assert_eq!(made.len(), (sound.len() + behind).div_ceil(frame));
        let (planes, rate) = decoded(made, &json!({"sample_rate": rate_hz}));
        assert_eq!((planes.len(), rate), (1, rate_hz));
        let db = snr_db(&sound, &planes[0], behind);
        assert!(db > least_db, "{rate_hz} Hz: {db:.1} dB");
    }
}

#[test]
fn two_channels_stay_apart_and_the_bit_rate_is_kept() {
    let (left, right) = (chord(48_000, 2.0), vec![0.0; 96_000]);
    for bitrate in [32_000_u32, 96_000, 160_000] {
        let params = json!({"bitrate": bitrate});
        let made = packets(encoder(&params).as_mut(), vec![audio(&[&left, &right], 48_000)]);
        let bytes: usize = made
            .iter()
            .map(|packet| {
                let Value::Bytes(packet) = packet else { panic!("{packet:?}") };
                packet.as_slice().len()
            })
            .sum();
        let found = bytes as f64 * 8.0 / 2.0;
        assert!(found < 1.5 * f64::from(bitrate), "{found} bit/s for {bitrate}");
        let (planes, _) = decoded(made, &json!({"channels": 2}));
        let level = |plane: &[f32]| plane.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>();
        assert!(level(&planes[1]) < 1e-3 * level(&planes[0]), "{bitrate}");
    }
}

#[test]
fn pieces_of_any_size_give_the_packets_of_the_whole() {
    let sound = chord(44_100, 0.7);
    let whole = packets(encoder(&json!({})).as_mut(), vec![audio(&[&sound], 44_100)]);
    for size in [1, 441, 882, 10_000] {
        let pieces = sound.chunks(size).map(|piece| audio(&[piece], 44_100)).collect();
        let made = packets(encoder(&json!({"streaming": true})).as_mut(), pieces);
        assert_eq!(made, whole, "pieces of {size}");
    }
    let (planes, _) = decoded(whole, &json!({}));
    let db = snr_db(&chord(48_000, 0.7), &planes[0], 312);
    assert!(db > 25.0, "{db:.1} dB at a rate that Opus does not have");
}

#[test]
fn the_decoder_of_files_reads_the_packets_as_well() {
    let sound = chord(48_000, 1.0);
    let made = packets(encoder(&json!({})).as_mut(), vec![audio(&[&sound], 48_000)]);
    let mut other = opus_decoder::OpusDecoder::new(48_000, 1).unwrap();
    let (mut found, mut pcm) = (Vec::new(), vec![0.0; 5_760]);
    for packet in &made {
        let Value::Bytes(packet) = packet else { panic!("{packet:?}") };
        let samples = other.decode_float(packet.as_slice(), &mut pcm, false).unwrap();
        found.extend_from_slice(&pcm[..samples]);
    }
    let db = snr_db(&sound, &found, 312);
    assert!(db > 25.0, "{db:.1} dB");
}

#[test]
fn a_lost_packet_is_filled_and_a_damaged_one_is_one_error() {
    let sound = chord(48_000, 0.5);
    let mut made = packets(encoder(&json!({})).as_mut(), vec![audio(&[&sound], 48_000)]);
    let count = made.len();
    made[10] = Value::Bytes(Vec::new().into());
    let (planes, _) = decoded(made.clone(), &json!({}));
    assert_eq!(planes[0].len(), count * 960);
    let mut node = node("OpusDecoderNode", &json!({}));
    let no_packet = Value::Bytes(vec![0xff, 0x7f].into());
    let error = node.process(no_packet, &mut |_| {}).unwrap_err();
    assert!(matches!(error.kind, NodeErrorKind::BadValue { what: "the packet", .. }), "{error}");
    let mut outputs = 0;
    node.process(made[0].clone(), &mut |_| outputs += 1).unwrap();
    assert_eq!(outputs, 1, "the stream goes on");
    let error = node.process(Value::from("a.opus"), &mut |_| {}).unwrap_err();
    assert_eq!(error.type_name(), "TypeError");
}

#[test]
fn nothing_becomes_nothing_and_what_is_no_sound_is_refused() {
    let mut node = encoder(&json!({"streaming": true}));
    assert_eq!(packets(node.as_mut(), vec![audio(&[&[]], 48_000)]), []);
    let good = audio(&[&chord(48_000, 0.02)], 48_000);
    node.process(good.clone(), &mut |_| {}).unwrap();
    let bad = [
        audio(&[&[f32::NAN; 960]], 48_000),
        audio(&[&[0.0; 960], &[0.0; 960]], 48_000),
        audio(&[&[0.0; 960]], 16_000),
    ];
    for item in bad {
        assert!(node.process(item, &mut |_| panic!("a packet of what is refused")).is_err());
    }
    let mut outputs = 0;
    node.process(good, &mut |_| outputs += 1).unwrap();
    assert_eq!(outputs, 1, "the stream goes on");
    let three: [&[f32]; 3] = [&[0.0], &[0.0], &[0.0]];
    let error = encoder(&json!({})).process(audio(&three, 48_000), &mut |_| {}).unwrap_err();
    assert!(error.to_string().contains("1 or 2"), "{error}");
    let rate = json!({"sample_rate": 44_100});
    let packet = Value::Bytes(vec![0xf8, 0xff, 0xfe].into());
    let error = self::node("OpusDecoderNode", &rate).process(packet, &mut |_| {}).unwrap_err();
    assert!(error.to_string().contains("48000"), "{error}");
}
