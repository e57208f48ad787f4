//! Tests of the formats: the formula, G.711, and that ways there and back change nothing.

use super::*;

fn converted(from: Encoding, to: Encoding, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![0; bytes.len() / from.bytes() * to.bytes()];
    convert((from, to), bytes, None, &mut out);
    out
}

fn every(format: Encoding) -> Vec<u8> {
    let numbers = 1_u32 << (8 * format.bytes()).min(16);
    let spread = |n: u32| match format.bytes() {
        1 => vec![n.to_le_bytes()[0]],
        2 => n.to_le_bytes()[..2].to_vec(),
        // Every upper half, with a lower one that varies.
        bytes => {
            [&n.wrapping_mul(0x9e37).to_le_bytes()[..bytes - 2], &n.to_le_bytes()[..2]].concat()
        }
    };
    (0..numbers).flat_map(spread).collect()
}

// spec: NRA-07
#[test]
fn integers_survive_every_format_that_has_their_digits() {
    use Encoding::{ALaw, F32, F64, I16, I24, I32, MuLaw, U8};
    for (format, others) in [
        (U8, &[I16, I24, I32, F32, F64][..]),
        (I16, &[I24, I32, F32, F64]),
        (I24, &[I32, F32, F64]),
        (I32, &[F64]),
        (ALaw, &[I16, I24, I32, F32, F64]),
        (MuLaw, &[I16, I24, I32, F32, F64]),
    ] {
        let all = every(format);
        for other in others {
            let back = converted(*other, format, &converted(format, *other, &all));
            // Mu-law has two zeros.
            let same =
                back.iter().zip(&all).all(|(a, b)| a == b || (format == MuLaw && *b == 0x7f));
            assert!(same && back.len() == all.len(), "{format:?} by way of {other:?}");
        }
    }
}

#[test]
fn g711_is_off_by_half_a_step_at_most() {
    type Law = (fn(u8) -> i16, fn(i16) -> u8);
    let laws: [Law; 2] = [(g711::a_law, g711::to_a_law), (g711::mu_law, g711::to_mu_law)];
    for (expand, compress) in laws {
        let mut before = i16::MIN;
        for sample in i16::MIN..=i16::MAX {
            let value = expand(compress(sample));
            let off = (i32::from(value) - i32::from(sample)).abs();
            let half_step = ((i32::from(sample).abs() + 132) / 32).max(8);
            assert!(off <= half_step + 1, "{sample} becomes {value}");
            assert!(value >= before, "{sample} becomes {value} after {before}");
            before = value;
        }
    }
}

#[test]
fn g711_codes_are_those_of_the_standard() {
    // From audioop.lin2alaw and lin2ulaw of CPython 3.11, which is Sun's reference code.
    let samples = [0_i16, 1, 100, -100, 1_000, -1_000, 8_031, -8_031, 32_767, -32_768];
    let a: Vec<u8> = samples.iter().map(|s| g711::to_a_law(*s)).collect();
    let mu: Vec<u8> = samples.iter().map(|s| g711::to_mu_law(*s)).collect();
    assert_eq!(a, [213, 213, 211, 83, 250, 122, 138, 10, 170, 42]);
    assert_eq!(mu, [255, 255, 242, 114, 206, 78, 160, 32, 128, 0]);
}

#[test]
fn rounding_takes_the_nearest_and_of_two_the_even_one() {
    let floats = [0.5_f32, 1.5, 2.5, -0.5, -1.5, 1.4, 1.6].map(|x| x / 32_768.0);
    let out = converted(Encoding::F32, Encoding::I16, bytemuck::cast_slice(&floats));
    assert_eq!(bytemuck::pod_collect_to_vec::<u8, i16>(&out), [0, 2, 2, 0, -2, 1, 2]);
    let wide = [0x8000_i32, 0x1_8000, -0x8000, 0x7fff, i32::MAX, i32::MIN];
    let out = converted(Encoding::I32, Encoding::I16, bytemuck::cast_slice(&wide));
    assert_eq!(bytemuck::pod_collect_to_vec::<u8, i16>(&out), [0, 2, 0, 0, i16::MAX, i16::MIN]);
}

#[test]
fn what_no_format_has_is_clipped() {
    let loud = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1.0, -1.0, 7.0, -7.0, f32::MAX];
    let expected: [(Encoding, Vec<i64>); 4] = [
        (Encoding::U8, vec![128, 255, 0, 255, 0, 255, 0, 255]),
        (Encoding::I16, [0, 1, -1, 1, -1, 1, -1, 1].map(|s| end(s, 15)).to_vec()),
        (Encoding::I24, [0, 1, -1, 1, -1, 1, -1, 1].map(|s| end(s, 23)).to_vec()),
        (Encoding::I32, [0, 1, -1, 1, -1, 1, -1, 1].map(|s| end(s, 31)).to_vec()),
    ];
    let wide = loud.map(f64::from);
    for (to, expected) in expected {
        for (from, bytes) in [
            (Encoding::F32, bytemuck::cast_slice(&loud)),
            (Encoding::F64, bytemuck::cast_slice(&wide)),
        ] {
            let out = converted(from, to, bytes);
            let numbers: Vec<i64> = out.chunks(to.bytes()).map(|item| number(item, to)).collect();
            assert_eq!(numbers, expected, "{from:?} to {to:?}");
        }
    }
}

fn end(side: i64, bits: u32) -> i64 {
    if side > 0 { (1 << bits) - 1 } else { side << bits }
}

fn number(item: &[u8], format: Encoding) -> i64 {
    let mut wide = [0; 8];
    let fill = if format != Encoding::U8 && item.last().unwrap() & 0x80 != 0 { 0xff } else { 0 };
    wide.fill(fill);
    wide[..item.len()].copy_from_slice(item);
    i64::from_le_bytes(wide)
}

#[test]
fn unaligned_memory_is_converted_alike() {
    let floats: Vec<u8> = (0..999).flat_map(|n| (n as f32 / 999.0).to_le_bytes()).collect();
    for to in Encoding::ALL {
        let aligned = converted(
            Encoding::F32,
            to,
            bytemuck::cast_slice(&bytemuck::pod_collect_to_vec::<u8, f32>(&floats)),
        );
        let shifted = [&[0], floats.as_slice()].concat();
        assert_eq!(converted(Encoding::F32, to, &shifted[1..]), aligned);
    }
    let ints: Vec<u8> = (0..2_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    let mut out = vec![0_u8; 4_001];
    convert((Encoding::I16, Encoding::F32), &ints, None, &mut out[1..]);
    assert_eq!(&out[1..], converted(Encoding::I16, Encoding::F32, &ints));
}

#[test]
fn dither_frees_the_error_from_the_sound() {
    // A tone of half a step vanishes without dither, and keeps its level with it.
    let count = 1 << 16;
    let tone: Vec<f32> = (0..count).map(|n| (n as f32 * 0.1).sin() * 0.4 / 32_768.0).collect();
    let level = |dither: Option<&mut Dither>| {
        let mut out = vec![0; 2 * count];
        convert((Encoding::F32, Encoding::I16), bytemuck::cast_slice(&tone), dither, &mut out);
        let ints = bytemuck::pod_collect_to_vec::<u8, i16>(&out);
        assert!(ints.iter().all(|sample| sample.abs() <= 2));
        let along = ints.iter().enumerate().map(|(n, x)| f64::from(*x) * (n as f64 * 0.1).sin());
        2.0 * along.sum::<f64>() / count as f64
    };
    assert_eq!(level(None), 0.0);
    let with = level(Some(&mut Dither::new(1)));
    assert!((with - 0.4).abs() < 0.02, "{with}");
    // What has no more digits than the result is not rounded, so it gets no noise.
    let bytes = every(Encoding::I16);
    let mut out = vec![0; bytes.len()];
    convert((Encoding::I16, Encoding::I16), &bytes, Some(&mut Dither::new(1)), &mut out);
    assert_eq!(out, bytes);
}
