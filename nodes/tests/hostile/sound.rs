//! Audio items: sound as it comes, with samples, shapes, rates, dtypes and forms that no sound has.

use ipc_protocol::{Array, Audio, Dtype, Order, Value};
use num_bigint::BigInt;

use crate::dice::Dice;
use crate::parameters::USUAL_RATES_HZ;

/// What the items of one session have in common, unless one breaks it.
pub(crate) struct Habit {
    rate_hz: u32,
    channels: usize,
    form: u64,
    dtype: &'static str,
    /// So many of a thousand choices are odd ones.
    oddness: u64,
}

/// Samples that no sound has.
pub(crate) const UNSOUND: [f64; 8] =
    [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f32::MAX as f64, 1e30, -1e31, 1.1e10];
/// Samples that are odd, and sound all the same.
const ODD_SAMPLES: [f64; 8] = [0.0, -0.0, 1e-310, 1e-44, -1e-38, 1e10, -1e10, 32_768.0];
const SOUND_DTYPES: [&str; 6] = ["<f4", "<f4", "<f4", "<f8", "<i2", "<i4"];
const OTHER_DTYPES: [&str; 16] = [
    ">f4",
    ">f8",
    ">i2",
    ">i4",
    "<f2",
    "<f16",
    "|u1",
    "<u2",
    "<i8",
    "|b1",
    "<c8",
    "<U7",
    "|S2147483647",
    "",
    "<M8[ns]",
    "[('left', '<f4'), ('right', '<f4')]",
];
const ODD_RATES_HZ: [u32; 10] =
    [0, 1, 999, 1_000, 44_101, 192_000, 767_999, 768_000, 768_001, u32::MAX];

impl Habit {
    pub(crate) fn new(dice: &mut Dice) -> Self {
        Self {
            rate_hz: dice.pick(&USUAL_RATES_HZ),
            channels: dice.pick(&[1, 1, 1, 1, 2, 2, 3, 6]),
            form: dice.roll(7),
            dtype: dice.pick(&SOUND_DTYPES),
            oddness: dice.pick(&[0, 10, 50, 50, 150]),
        }
    }

    /// One item of audio, more or less.
    pub(crate) fn item(&self, dice: &mut Dice) -> Value {
        let odd = |dice: &mut Dice| dice.chance(self.oddness);
        let form = if odd(dice) { dice.roll(7) } else { self.form };
        let channels = if odd(dice) { dice.pick(&[0, 1, 2, 64, 256, 257]) } else { self.channels };
        let samples = length(dice, channels);
        let mut numbers = samples_of(dice, channels * samples);
        if odd(dice) && !numbers.is_empty() {
            let at = dice.size(numbers.len());
            numbers[at] = dice.pick(&UNSOUND);
        }
        // An odd pair of rates may take a tenth of a second.
        let rate_hz =
            if odd(dice) && dice.chance(20) { dice.pick(&ODD_RATES_HZ) } else { self.rate_hz };
        match form {
            4 => {
                let rate = rate_of(dice, rate_hz, self.oddness);
                interleaved(dice, &numbers, channels, rate, self.oddness)
            }
            5 => {
                let rate = rate_of(dice, rate_hz, self.oddness);
                nested(dice, &numbers, channels, rate, self.oddness)
            }
            _ => {
                let dtype = if odd(dice) { dice.pick(&OTHER_DTYPES) } else { self.dtype };
                let array = array(dice, &numbers, (channels, samples), dtype, self.oddness);
                with_rate(dice, array, form, rate_hz, self.oddness)
            }
        }
    }
}

/// Samples per channel: a few, a packet, rarely a second.
fn length(dice: &mut Dice, channels: usize) -> usize {
    let samples = match dice.roll(1_000) {
        0 => 48_000,
        1..20 => 4_800,
        20..200 => dice.size(5),
        200..700 => dice.size(100),
        _ => dice.pick(&[160, 320, 480]),
    };
    if channels > 6 { samples.min(64) } else { samples }
}

fn samples_of(dice: &mut Dice, count: usize) -> Vec<f64> {
    let height = dice.pick(&[1.0, 0.1, 1e-3, 1e-42, 1e10]);
    match dice.roll(6) {
        0 => vec![dice.pick(&ODD_SAMPLES); count],
        1 => (0..count).map(|_| dice.pick(&ODD_SAMPLES)).collect(),
        2 => (0..count).map(|i| (i as f64 / 17.0).sin() * height).collect(),
        _ => (0..count).map(|_| (dice.share() * 2.0 - 1.0) * height).collect(),
    }
}

/// An array of that dtype; of one that is not known here, with any memory.
pub(crate) fn array(
    dice: &mut Dice,
    numbers: &[f64],
    (channels, samples): (usize, usize),
    dtype: &str,
    oddness: u64,
) -> Array {
    let mut data = bytes_of(numbers, dtype);
    let any_bits = dice.chance(oddness / 2);
    if any_bits {
        data.iter_mut().for_each(|byte| *byte = dice.bits().to_le_bytes()[0]);
    }
    let count = numbers.len() as u64;
    let mut shape = vec![channels as u64, samples as u64];
    if channels == 1 && dice.chance(500) {
        shape = vec![count];
    }
    if dice.chance(oddness / 4) {
        shape = odd_shape(dice, count);
    }
    if dice.chance(oddness / 8) {
        data.pop();
    }
    // At an odd address, where a float may not lie.
    let begin = usize::from(dice.chance(oddness));
    data.splice(0..0, vec![0; begin]);
    let data = bytes::Bytes::from(data).slice(begin..);
    let item_bytes = bytes_of(&[0.0], dtype).len().try_into().unwrap();
    let dtype = Dtype { descr: dtype.to_owned(), item_bytes };
    let order = if dice.chance(oddness) { Order::Fortran } else { Order::C };
    Array { dtype, shape, order, scalar: false, data: data.into() }
}

fn odd_shape(dice: &mut Dice, count: u64) -> Vec<u64> {
    match dice.roll(8) {
        0 => vec![],
        1 => vec![1, 1, count],
        2 => vec![count, 1],
        3 => vec![0, 1 << 60],
        4 => vec![1 << 60, 0],
        5 => vec![u64::MAX, u64::MAX, 0],
        6 => vec![u64::MAX],
        _ => vec![1, count, 1, 1, 1],
    }
}

/// The numbers as elements of a dtype. Casts saturate, as those of a sound card do.
#[expect(clippy::cast_possible_truncation, reason = "`as` saturates")]
fn bytes_of(numbers: &[f64], dtype: &str) -> Vec<u8> {
    let each = |bytes: fn(f64) -> Vec<u8>| {
        let swap = dtype.starts_with('>');
        numbers.iter().flat_map(move |x| {
            let mut element = bytes(*x);
            if swap {
                element.reverse();
            }
            element
        })
    };
    match dtype.get(1..) {
        Some("f4") => each(|x| (x as f32).to_le_bytes().to_vec()).collect(),
        Some("f8" | "i8" | "c8" | "M8[ns]") => each(|x| x.to_le_bytes().to_vec()).collect(),
        Some("i2" | "u2" | "f2") => {
            each(|x| ((x * 32_768.0) as i16).to_le_bytes().to_vec()).collect()
        }
        Some("i4" | "u4") => each(|x| ((x * 2e9) as i32).to_le_bytes().to_vec()).collect(),
        _ => each(|x| vec![x.to_bits().to_le_bytes()[0]]).collect(),
    }
}

fn with_rate(dice: &mut Dice, array: Array, form: u64, rate_hz: u32, oddness: u64) -> Value {
    match form {
        0 | 1 => Value::Audio(Audio { samples: array, sample_rate_hz: rate_hz }),
        2 => Value::Array(array),
        6 => {
            let entry = |key: &str, value| (Value::from(key), value);
            let rate = rate_of(dice, rate_hz, oddness);
            Value::Dict(vec![
                entry("speaker", Value::None),
                entry("data", Value::Array(array)),
                entry("sample_rate", rate),
            ])
        }
        _ => {
            let mut parts = vec![Value::Array(array), rate_of(dice, rate_hz, oddness)];
            match dice.roll(20) {
                0 => parts.truncate(1),
                1 => parts.clear(),
                2 => parts.reverse(),
                3 => parts.push(Value::from("more")),
                _ => {}
            }
            Value::Tuple(parts)
        }
    }
}

/// A sample rate in one of its spellings, or what is none.
fn rate_of(dice: &mut Dice, rate_hz: u32, oddness: u64) -> Value {
    let scalar = |descr: &str, bytes: Vec<u8>| {
        let item_bytes = bytes.len().try_into().unwrap();
        let dtype = Dtype { descr: descr.to_owned(), item_bytes };
        let (shape, order) = (Vec::new(), Order::C);
        Value::Array(Array { dtype, shape, order, scalar: true, data: bytes.into() })
    };
    if !dice.chance(oddness) {
        return match dice.roll(5) {
            0 => Value::Float(rate_hz.into()),
            1 => scalar("<i8", i64::from(rate_hz).to_le_bytes().to_vec()),
            2 => scalar(">u4", rate_hz.to_be_bytes().to_vec()),
            3 => scalar("<f8", f64::from(rate_hz).to_le_bytes().to_vec()),
            _ => Value::Int(rate_hz.into()),
        };
    }
    match dice.roll(8) {
        0 => Value::Float(f64::from_bits(dice.bits())),
        1 => Value::Float(f64::NAN),
        2 => Value::Int(dice.bits().cast_signed()),
        3 => Value::BigInt(BigInt::from(10).pow(400)),
        4 => Value::Bool(true),
        5 => scalar("<i8", Vec::new()),
        6 => scalar("<u8", u64::MAX.to_le_bytes().to_vec()),
        _ => Value::None,
    }
}

/// Audio as JSON has it, channels interleaved.
fn interleaved(
    dice: &mut Dice,
    numbers: &[f64],
    channels: usize,
    rate: Value,
    oddness: u64,
) -> Value {
    let odd = [Value::Int(0), Value::Int(257), Value::from("two"), Value::None];
    let is_odd = dice.chance(oddness);
    let channels = Value::Int(channels.try_into().unwrap());
    let channels = if is_odd { odd[dice.size(4)].clone() } else { channels };
    let list = list(dice, numbers, oddness);
    dict(dice, list, [("sample_rate", rate), ("channels", channels)])
}

/// Audio as JSON has it, one list a channel.
fn nested(dice: &mut Dice, numbers: &[f64], channels: usize, rate: Value, oddness: u64) -> Value {
    let per_channel = (numbers.len() / channels.max(1)).max(1);
    let numbers = list(dice, numbers, oddness);
    let mut planes: Vec<Value> =
        numbers.chunks(per_channel).map(|plane| Value::List(plane.to_vec())).collect();
    if dice.chance(oddness) {
        planes.extend((0..dice.size(1_000)).map(|_| Value::List(Vec::new())));
    }
    dict(dice, planes, [("sample_rate", rate), ("speaker", Value::None)])
}

fn list(dice: &mut Dice, numbers: &[f64], oddness: u64) -> Vec<Value> {
    let mut list: Vec<Value> = numbers.iter().map(|x| Value::Float(*x)).collect();
    if dice.chance(oddness) && !list.is_empty() {
        let at = dice.size(list.len());
        list[at] = match dice.roll(5) {
            0 => Value::BigInt(BigInt::from(-10).pow(401)),
            1 => Value::Int(i64::MIN),
            2 => Value::Bool(false),
            3 => Value::List(Vec::new()),
            _ => Value::None,
        };
    }
    list
}

fn dict(dice: &mut Dice, data: Vec<Value>, more: [(&str, Value); 2]) -> Value {
    let mut entries = vec![(Value::from("data"), Value::List(data))];
    for (key, value) in more {
        if dice.chance(950) {
            entries.push((Value::from(key), value));
        }
    }
    if dice.chance(200) {
        let format = dice.pick(&["f32", "F32", "i16", "i32", "u8", ""]);
        entries.push((Value::from("format"), Value::from(format)));
    }
    Value::Dict(entries)
}
