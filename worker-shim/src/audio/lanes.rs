//! Passes over slices of numbers, in lanes that the machine adds up side by side.

use super::element::narrow;

/// Partial sums per lane: additions that do not wait for each other, and smaller errors.
const LANES: usize = 16;

macro_rules! slices {
    ($kind:expr, $bytes:expr, $numbers:ident => $body:expr, $otherwise:expr) => {
        match $kind {
            Kind::I8 => with_slice::<i8, _>($bytes, |$numbers| $body),
            Kind::I16 => with_slice::<i16, _>($bytes, |$numbers| $body),
            Kind::I32 => with_slice::<i32, _>($bytes, |$numbers| $body),
            Kind::U8 => with_slice::<u8, _>($bytes, |$numbers| $body),
            Kind::U16 => with_slice::<u16, _>($bytes, |$numbers| $body),
            Kind::U32 => with_slice::<u32, _>($bytes, |$numbers| $body),
            Kind::F32 => with_slice::<f32, _>($bytes, |$numbers| $body),
            Kind::F64 => with_slice::<f64, _>($bytes, |$numbers| $body),
            _ => $otherwise,
        }
    };
}

/// A number that the fast passes know.
pub(super) trait Sample: bytemuck::Pod {
    fn double(self) -> f64;
    fn from_double(number: f64) -> Self;
    /// The number, if it is a whole one.
    fn whole(self) -> i64;
}

macro_rules! samples {
    ($($type:ty),+) => {$(
        impl Sample for $type {
            fn double(self) -> f64 {
                self.into()
            }
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            fn from_double(number: f64) -> Self {
                number as Self
            }
            fn whole(self) -> i64 {
                self.into()
            }
        }
    )+};
}

samples!(i8, i16, i32, u8, u16, u32);

impl Sample for f32 {
    fn double(self) -> f64 {
        self.into()
    }
    fn from_double(number: f64) -> Self {
        narrow(number)
    }
    fn whole(self) -> i64 {
        0
    }
}

impl Sample for f64 {
    fn double(self) -> f64 {
        self
    }
    fn from_double(number: f64) -> Self {
        number
    }
    fn whole(self) -> i64 {
        0
    }
}

pub(super) fn with_slice<T: Sample, R>(bytes: &[u8], work: impl FnOnce(&[T]) -> R) -> Option<R> {
    bytemuck::try_cast_slice(bytes).ok().map(work)
}

pub(super) fn sum_of<T: Sample>(numbers: &[T], term: impl Fn(f64) -> f64) -> f64 {
    let mut lanes = [0.0; LANES];
    let chunks = numbers.chunks_exact(LANES);
    let rest: f64 = chunks.remainder().iter().map(|number| term(number.double())).sum();
    for chunk in chunks {
        for (lane, number) in lanes.iter_mut().zip(chunk) {
            *lane += term(number.double());
        }
    }
    lanes.iter().sum::<f64>() + rest
}

/// Of numbers of at most 32 bits, whose sums stay far below 64.
pub(super) fn whole_sum_of<T: Sample>(numbers: &[T]) -> i64 {
    numbers.iter().map(|number| number.whole()).sum()
}

pub(super) fn peak_of<T: Sample>(numbers: &[T]) -> f64 {
    let mut lanes = [0.0_f64; LANES];
    let chunks = numbers.chunks_exact(LANES);
    let rest = chunks.remainder().iter().map(|number| number.double().abs()).fold(0.0, larger);
    for chunk in chunks {
        for (lane, number) in lanes.iter_mut().zip(chunk) {
            *lane = larger(*lane, number.double().abs());
        }
    }
    lanes.into_iter().fold(rest, larger)
}

/// NaN wins, as in numpy.
pub(super) fn larger(a: f64, b: f64) -> f64 {
    if a > b || a.is_nan() { a } else { b }
}

pub(super) use slices;
