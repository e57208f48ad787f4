//! Sample formats, and the one formula that converts between them.
//!
//! A sample stands for a number `x`, full scale being 1.0:
//!
//! | format | to a number | from a number |
//! |---|---|---|
//! | `u8` | `(u - 128) / 2^7` | `round(x * 2^7) + 128` |
//! | `i16`, `i24`, `i32` | `i / 2^(bits - 1)` | `round(x * 2^(bits - 1))` |
//! | `f32`, `f64` | `x` | `x`, rounded to the type |
//! | `alaw`, `mulaw` | expanded to `i16` | compressed from `i16` (ITU-T G.711, `pcm/g711.rs`) |
//!
//! `round` gives the nearest integer, halves the even one; what lies beyond the range of the format
//! becomes its end, NaN becomes 0. Every number of `u8`, `i16`, `i24` and G.711 is exact in float32,
//! every one of `i32` in float64, so a way there and back changes nothing. All formats are
//! little-endian, and `i24` takes three bytes.

mod dither;
mod g711;
#[cfg(test)]
mod tests;

use pulp::Arch;

pub(crate) use dither::Dither;

/// How a sample lies in memory or in a file, little-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Unsigned, 8 bits; silence is 128.
    U8,
    /// Signed, 16 bits.
    I16,
    /// Signed, 24 bits in three bytes.
    I24,
    /// Signed, 32 bits.
    I32,
    /// Float, 32 bits.
    F32,
    /// Float, 64 bits.
    F64,
    /// G.711 A-law.
    ALaw,
    /// G.711 mu-law.
    MuLaw,
}

/// Samples that are converted at once where there is a step between; they fit the first cache.
const BLOCK: usize = 1_024;

impl Encoding {
    /// Every format.
    pub const ALL: [Self; 8] =
        [Self::F32, Self::F64, Self::I16, Self::I24, Self::I32, Self::U8, Self::ALaw, Self::MuLaw];
    /// The names of [`ALL`](Self::ALL).
    pub(crate) const NAMES: &[&str] = &["f32", "f64", "i16", "i24", "i32", "u8", "alaw", "mulaw"];

    /// Bytes of a sample.
    #[must_use]
    pub fn bytes(self) -> usize {
        match self {
            Self::U8 | Self::ALaw | Self::MuLaw => 1,
            Self::I16 => 2,
            Self::I24 => 3,
            Self::I32 | Self::F32 => 4,
            Self::F64 => 8,
        }
    }

    /// Alignment of an element in memory.
    pub(crate) fn alignment(self) -> usize {
        if self == Self::I24 { 1 } else { self.bytes() }
    }

    /// Its name in parameters.
    #[must_use]
    pub fn name(self) -> &'static str {
        let at = Self::ALL.iter().position(|known| *known == self);
        at.and_then(|at| Self::NAMES.get(at)).copied().unwrap_or_default()
    }

    /// All names.
    #[must_use]
    pub fn names() -> &'static [&'static str] {
        Self::NAMES
    }

    /// The format of that name, in upper or lower case.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let at = Self::NAMES.iter().position(|known| known.eq_ignore_ascii_case(name))?;
        Self::ALL.get(at).copied()
    }

    /// Bits of an integer format with even steps.
    #[must_use]
    pub fn integer_bits(self) -> Option<u32> {
        match self {
            Self::U8 => Some(8),
            Self::I16 => Some(16),
            Self::I24 => Some(24),
            Self::I32 => Some(32),
            Self::F32 | Self::F64 | Self::ALaw | Self::MuLaw => None,
        }
    }

    /// Whether float32 does not hold every number of the format.
    fn is_wide(self) -> bool {
        matches!(self, Self::I32 | Self::F64)
    }
}

/// Converts the samples in `bytes`; `out` has room for as many. `dither` is added before rounding
/// to integers of fewer bits than the source has.
pub(crate) fn convert(
    (from, to): (Encoding, Encoding),
    bytes: &[u8],
    dither: Option<&mut Dither>,
    out: &mut [u8],
) {
    if let (Some(dither), Some(bits)) = (dither, to.integer_bits())
        && from.integer_bits().is_none_or(|have| have > bits)
        && !matches!(from, Encoding::ALaw | Encoding::MuLaw)
    {
        return blocks((from, to), bytes, out, decode_f64, |samples: &mut [f64], out| {
            dither.add(samples, bits);
            encode_f64(to, samples, out);
        });
    }
    if from == to {
        let count = out.len().min(bytes.len());
        out[..count].copy_from_slice(&bytes[..count]);
    } else if to == Encoding::F32
        && let Ok(floats) = bytemuck::try_cast_slice_mut(out)
    {
        decode_f32(from, bytes, floats);
    } else if from == Encoding::F32
        && let Ok(floats) = bytemuck::try_cast_slice(bytes)
    {
        encode_f32(to, floats, out);
    } else if from.is_wide() {
        let encode = |samples: &mut [f64], out: &mut [u8]| encode_f64(to, samples, out);
        blocks((from, to), bytes, out, decode_f64, encode);
    } else {
        let encode = |samples: &mut [f32], out: &mut [u8]| encode_f32(to, samples, out);
        blocks((from, to), bytes, out, decode_f32, encode);
    }
}

fn blocks<F: Copy + Default>(
    (from, to): (Encoding, Encoding),
    bytes: &[u8],
    out: &mut [u8],
    decode: impl Fn(Encoding, &[u8], &mut [F]),
    mut encode: impl FnMut(&mut [F], &mut [u8]),
) {
    let mut block = [F::default(); BLOCK];
    let pieces = bytes.chunks(BLOCK * from.bytes()).zip(out.chunks_mut(BLOCK * to.bytes()));
    for (bytes, out) in pieces {
        let count = bytes.len() / from.bytes();
        decode(from, bytes, &mut block[..count]);
        encode(&mut block[..count], out);
    }
}

/// The samples in `bytes` as numbers, rounded to float32 where the format has more digits.
pub(crate) fn decode_f32(from: Encoding, bytes: &[u8], out: &mut [f32]) {
    match from {
        Encoding::U8 => each(bytes, out, |[byte]| (f32::from(byte) - 128.0) / 128.0),
        Encoding::I16 => each(bytes, out, |two| f32::from(i16::from_le_bytes(two)) / 32_768.0),
        Encoding::I24 => each(bytes, out, |[a, b, c]| i24(a, b, c) as f32 / 8_388_608.0),
        // The division by a power of two is exact, so it is rounded once.
        Encoding::I32 => each(bytes, out, |four| i32::from_le_bytes(four) as f32 / 2_147_483_648.0),
        Encoding::F32 => each(bytes, out, f32::from_le_bytes),
        Encoding::F64 => each(bytes, out, |eight| narrow(f64::from_le_bytes(eight))),
        Encoding::ALaw => each(bytes, out, |[byte]| f32::from(g711::a_law(byte)) / 32_768.0),
        Encoding::MuLaw => each(bytes, out, |[byte]| f32::from(g711::mu_law(byte)) / 32_768.0),
    }
}

/// The samples in `bytes` as numbers, all exact.
pub(crate) fn decode_f64(from: Encoding, bytes: &[u8], out: &mut [f64]) {
    match from {
        Encoding::U8 => each(bytes, out, |[byte]| (f64::from(byte) - 128.0) / 128.0),
        Encoding::I16 => each(bytes, out, |two| f64::from(i16::from_le_bytes(two)) / 32_768.0),
        Encoding::I24 => each(bytes, out, |[a, b, c]| f64::from(i24(a, b, c)) / 8_388_608.0),
        Encoding::I32 => {
            each(bytes, out, |four| f64::from(i32::from_le_bytes(four)) / 2_147_483_648.0);
        }
        Encoding::F32 => each(bytes, out, |four| f64::from(f32::from_le_bytes(four))),
        Encoding::F64 => each(bytes, out, f64::from_le_bytes),
        Encoding::ALaw => each(bytes, out, |[byte]| f64::from(g711::a_law(byte)) / 32_768.0),
        Encoding::MuLaw => each(bytes, out, |[byte]| f64::from(g711::mu_law(byte)) / 32_768.0),
    }
}

/// Writes numbers in a format.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` clips")]
pub(crate) fn encode_f32(to: Encoding, samples: &[f32], out: &mut [u8]) {
    match to {
        Encoding::U8 => write(samples, out, |x| [(x * 128.0).round_ties_even() as i8 as u8 ^ 0x80]),
        Encoding::I16 => write(samples, out, |x| to_i16(x).to_le_bytes()),
        Encoding::I24 => {
            write(samples, out, |x| of_i24((x * 8_388_608.0).round_ties_even() as i32));
        }
        Encoding::I32 => {
            write(samples, out, |x| ((x * 2_147_483_648.0).round_ties_even() as i32).to_le_bytes())
        }
        Encoding::F32 => write(samples, out, f32::to_le_bytes),
        Encoding::F64 => write(samples, out, |x| f64::from(x).to_le_bytes()),
        Encoding::ALaw => write(samples, out, |x| [g711::to_a_law(to_i16(x))]),
        Encoding::MuLaw => write(samples, out, |x| [g711::to_mu_law(to_i16(x))]),
    }
}

/// Writes numbers in a format.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` clips")]
pub(crate) fn encode_f64(to: Encoding, samples: &[f64], out: &mut [u8]) {
    match to {
        Encoding::U8 => write(samples, out, |x| [(x * 128.0).round_ties_even() as i8 as u8 ^ 0x80]),
        Encoding::I16 => write(samples, out, |x| wide_to_i16(x).to_le_bytes()),
        Encoding::I24 => {
            write(samples, out, |x| of_i24((x * 8_388_608.0).round_ties_even() as i32));
        }
        Encoding::I32 => {
            write(samples, out, |x| ((x * 2_147_483_648.0).round_ties_even() as i32).to_le_bytes())
        }
        Encoding::F32 => write(samples, out, |x| narrow(x).to_le_bytes()),
        Encoding::F64 => write(samples, out, f64::to_le_bytes),
        Encoding::ALaw => write(samples, out, |x| [g711::to_a_law(wide_to_i16(x))]),
        Encoding::MuLaw => write(samples, out, |x| [g711::to_mu_law(wide_to_i16(x))]),
    }
}

fn each<const N: usize, F>(bytes: &[u8], out: &mut [F], number: impl Fn([u8; N]) -> F) {
    Arch::new().dispatch(|| {
        for (out, item) in out.iter_mut().zip(bytes.as_chunks::<N>().0) {
            *out = number(*item);
        }
    });
}

fn write<const N: usize, F: Copy>(samples: &[F], out: &mut [u8], bytes: impl Fn(F) -> [u8; N]) {
    Arch::new().dispatch(|| {
        for (out, sample) in out.as_chunks_mut::<N>().0.iter_mut().zip(samples) {
            *out = bytes(*sample);
        }
    });
}

#[inline(always)]
fn i24(a: u8, b: u8, c: u8) -> i32 {
    i32::from_le_bytes([0, a, b, c]) >> 8
}

/// The lower three bytes of a number, clipped to their range.
#[inline(always)]
fn of_i24(number: i32) -> [u8; 3] {
    let [a, b, c, _] = number.clamp(-0x0080_0000, 0x007f_ffff).to_le_bytes();
    [a, b, c]
}

#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "`as` clips")]
fn to_i16(x: f32) -> i16 {
    (x * 32_768.0).round_ties_even() as i16
}

#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "`as` clips")]
fn wide_to_i16(x: f64) -> i16 {
    (x * 32_768.0).round_ties_even() as i16
}

#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "rounding to float32 is intended")]
fn narrow(x: f64) -> f32 {
    x as f32
}

/// Appends the samples of whole frames, channels interleaved, to `planes`, one vector per channel.
pub(crate) fn append_planes(bytes: &[u8], from: Encoding, planes: &mut [Vec<f32>]) {
    let channels = planes.len().max(1);
    let frames = bytes.len() / from.bytes() / channels;
    if let [plane] = planes {
        let begin = plane.len();
        plane.resize(begin + frames, 0.0);
        return decode_f32(from, bytes, &mut plane[begin..]);
    }
    let mut block = [0.0; BLOCK];
    let at_once = (BLOCK / channels).max(1);
    for bytes in bytes.chunks(at_once * channels * from.bytes()) {
        let count = (bytes.len() / from.bytes()).min(BLOCK);
        decode_f32(from, bytes, &mut block[..count]);
        for (channel, plane) in planes.iter_mut().enumerate() {
            plane.extend(block[..count].iter().skip(channel).step_by(channels));
        }
    }
}
