//! The samples of an array: the accepted element types, their conversion to floats in [-1, 1] (by the
//! formula of [`pcm`](crate::pcm)), and the layout of channels in memory.

use std::borrow::Cow;

use ipc_protocol::{Array, Dtype, Order, Owned, Payload};

use crate::error::{NodeError, NodeErrorKind};
use crate::pcm::{self, Encoding};

/// The element types that audio nodes accept, for error texts.
pub(crate) const AUDIO_DTYPES: &str = "float32, float64, int16, int32";

/// An element type that audio nodes accept, in this machine's byte order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Element {
    F32,
    F64,
    I16,
    I32,
}

impl Element {
    /// numpy's descriptor of the type.
    pub(crate) fn dtype(self) -> Dtype {
        let (code, item_bytes) = match self {
            Self::F32 => ("f4", 4),
            Self::F64 => ("f8", 8),
            Self::I16 => ("i2", 2),
            Self::I32 => ("i4", 4),
        };
        Dtype { descr: format!("{}{code}", native_order()), item_bytes }
    }

    /// The format of samples of this type.
    pub(crate) fn encoding(self) -> Encoding {
        match self {
            Self::F32 => Encoding::F32,
            Self::F64 => Encoding::F64,
            Self::I16 => Encoding::I16,
            Self::I32 => Encoding::I32,
        }
    }

    /// The element type of an array, and whether its byte order is not this machine's.
    pub(crate) fn of(array: &Array) -> Result<(Self, bool), NodeError> {
        let descr = array.dtype.descr.as_str();
        let element = match descr.get(1..) {
            Some("f4") => Some(Self::F32),
            Some("f8") => Some(Self::F64),
            Some("i2") => Some(Self::I16),
            Some("i4") => Some(Self::I32),
            _ => None,
        };
        let swapped = match descr.get(..1) {
            Some("=" | "|") => Some(false),
            Some(order @ ("<" | ">")) => Some(order != native_order()),
            _ => None,
        };
        match (element, swapped) {
            (Some(element), Some(swapped)) => Ok((element, swapped)),
            _ => Err(NodeErrorKind::UnsupportedDtype {
                dtype: dtype_name(descr),
                supported: AUDIO_DTYPES,
            }
            .into()),
        }
    }
}

/// The byte order mark of numpy for this machine.
pub(crate) fn native_order() -> &'static str {
    if cfg!(target_endian = "little") { "<" } else { ">" }
}

/// The name of a dtype in numpy: `<f4` is `float32`.
pub(crate) fn dtype_name(descr: &str) -> String {
    let mut letters = descr.chars();
    let (_, kind, size) = (letters.next(), letters.next(), letters.as_str());
    let bits = size.parse::<u32>().map(|bytes| u64::from(bytes) * 8);
    match (kind, bits) {
        (Some('f'), Ok(bits)) => format!("float{bits}"),
        (Some('i'), Ok(bits)) => format!("int{bits}"),
        (Some('u'), Ok(bits)) => format!("uint{bits}"),
        (Some('c'), Ok(bits)) => format!("complex{bits}"),
        (Some('b'), _) => "bool".to_owned(),
        _ => descr.to_owned(),
    }
}

/// An array of shape `(channels, samples)` in C order; of one channel over its memory.
pub(crate) fn planar_array(mut planes: Vec<Vec<f32>>) -> Array {
    let samples = planes.first().map_or(0, Vec::len);
    let shape = vec![planes.len() as u64, samples as u64];
    let all = match planes.as_mut_slice() {
        [only] => std::mem::take(only),
        _ => planes.concat(),
    };
    array_of(all, Element::F32, shape, Order::C)
}

/// An array over the memory of `elements`, without a copy.
pub(crate) fn array_of<T: bytemuck::Pod + Send + Sync>(
    elements: Vec<T>,
    element: Element,
    shape: Vec<u64>,
    order: Order,
) -> Array {
    Array { dtype: element.dtype(), shape, order, scalar: false, data: payload_of(elements) }
}

/// A payload over the memory of `elements`, without a copy.
pub(crate) fn payload_of<T: bytemuck::Pod + Send + Sync>(elements: Vec<T>) -> Payload {
    Owned::new(elements).into()
}

/// Whether the memory of an array holds what its shape says.
pub(crate) fn check_memory(array: &Array, item_bytes: usize) -> Result<(), NodeError> {
    let bytes = array.data.as_slice().len();
    let count = array.shape.iter().try_fold(1_u64, |product, axis| product.checked_mul(*axis));
    let wanted = count.and_then(|n| n.checked_mul(item_bytes as u64));
    if wanted == Some(bytes as u64) {
        return Ok(());
    }
    let dtype = dtype_name(&array.dtype.descr);
    Err(NodeErrorKind::BadMemory { dtype, shape: array.shape.clone(), bytes }.into())
}

/// The elements of an array in this machine's byte order; borrowed when they already are and the
/// memory is aligned. `T` must be the array's element type.
pub(crate) fn elements<T: bytemuck::Pod>(
    array: &Array,
    swapped: bool,
) -> Result<Cow<'_, [T]>, NodeError> {
    check_memory(array, size_of::<T>())?;
    let bytes = array.data.as_slice();
    if !swapped && let Ok(slice) = bytemuck::try_cast_slice(bytes) {
        return Ok(Cow::Borrowed(slice));
    }
    let copied = bytes.chunks_exact(size_of::<T>()).map(|item| {
        let mut element: T = bytemuck::pod_read_unaligned(item);
        if swapped {
            bytemuck::bytes_of_mut(&mut element).reverse();
        }
        element
    });
    Ok(Cow::Owned(copied.collect()))
}

/// Float samples of an audio array, channel by channel.
#[derive(Debug)]
pub(crate) struct Planes<'a> {
    /// All channels, one after the other.
    data: Cow<'a, [f32]>,
    /// Number of channels.
    pub(crate) channels: usize,
    /// Samples per channel.
    pub(crate) samples: usize,
    /// Whether the array had no channel axis.
    pub(crate) flat: bool,
}

impl<'a> Planes<'a> {
    /// Reads an array of shape `(samples,)` or `(channels, samples)`, in either memory order.
    /// float32 in C order is borrowed, anything else converted.
    pub(crate) fn of(array: &'a Array) -> Result<Self, NodeError> {
        let axis = |n: u64| {
            usize::try_from(n).map_err(|_| NodeErrorKind::BadShape {
                expected: "(samples,) or (channels, samples)",
                shape: array.shape.clone(),
            })
        };
        let (channels, samples, flat) = match *array.shape.as_slice() {
            [samples] => (1, axis(samples)?, true),
            [channels, samples] => (axis(channels)?, axis(samples)?, false),
            _ => {
                return Err(NodeErrorKind::BadShape {
                    expected: "(samples,) or (channels, samples)",
                    shape: array.shape.clone(),
                }
                .into());
            }
        };
        let interleaved = array.order == Order::Fortran && channels > 1 && samples > 1;
        let (element, swapped) = Element::of(array)?;
        let data = match element {
            Element::F32 => elements::<f32>(array, swapped)?,
            _ => Cow::Owned(floats(array, element, swapped)?),
        };
        let data = if interleaved { planar(&data, channels) } else { data };
        Ok(Self { data, channels, samples, flat })
    }

    /// The channels' samples.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[f32]> {
        // Not `chunks`, which panics for a length of 0: without samples, every channel is an empty
        // slice.
        (0..self.channels).map(|c| &self.data[c * self.samples..(c + 1) * self.samples])
    }
}

fn floats(array: &Array, element: Element, swapped: bool) -> Result<Vec<f32>, NodeError> {
    let encoding = element.encoding();
    check_memory(array, encoding.bytes())?;
    let bytes = in_native_order(array.data.as_slice(), encoding.bytes(), swapped);
    let mut floats = vec![0.0; bytes.len() / encoding.bytes()];
    pcm::decode_f32(encoding, &bytes, &mut floats);
    Ok(floats)
}

/// The bytes of elements in this machine's byte order.
pub(crate) fn in_native_order(bytes: &[u8], item_bytes: usize, swapped: bool) -> Cow<'_, [u8]> {
    if !swapped {
        return Cow::Borrowed(bytes);
    }
    let mut bytes = bytes.to_vec();
    bytes.chunks_exact_mut(item_bytes).for_each(<[u8]>::reverse);
    Cow::Owned(bytes)
}

/// Reorders interleaved samples so that channels follow each other.
pub(crate) fn planar<'b, T: Clone>(data: &[T], channels: usize) -> Cow<'b, [T]> {
    let mut out = Vec::with_capacity(data.len());
    for channel in 0..channels {
        out.extend(data.iter().skip(channel).step_by(channels).cloned());
    }
    Cow::Owned(out)
}
