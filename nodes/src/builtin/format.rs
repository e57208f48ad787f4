//! FormatConverterNode: audio samples in another format, by the formula of [`pcm`](crate::pcm), and
//! channels one after the other or interleaved.
//!
//! float32, float64, int16, int32 are arrays of those dtypes. `u8`, `alaw`, `mulaw` and `i24` are
//! arrays of uint8; `i24` has three bytes for each sample along the last axis, as `numpy.view` has
//! it. Bytes that are samples of another format (`source_format`) lie the same way. An array that
//! already has format and layout is passed on as it is, and bytes that only need another name too.
//! To float32 samples keep their value: NaN and infinities too, and a float64 beyond float32's range
//! becomes infinity. The output has at most eight times the bytes of the input.

mod layout;
mod parameters;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use ipc_protocol::{Array, Dtype, Order, Payload, Value};

use super::audio_item::AudioItem;
use super::recycled::Recycled;
use super::samples;
use crate::error::{NodeError, NodeErrorKind};
use crate::node::{Emit, Node};
use crate::pcm::{self, Dither, Encoding};
use layout::{Arrangement, Layout};
pub(super) use parameters::TYPE;

struct FormatConverter {
    /// `None`: by the dtype, or the dict's `format`.
    source: Option<Encoding>,
    target: Encoding,
    source_layout: Layout,
    /// `None`: as the input.
    layout: Option<Layout>,
    dither: Option<Dither>,
    recycled: Recycled,
}

/// The samples of an array in another format, with the channels interleaved.
pub(crate) fn interleaved(array: Array, target: Encoding) -> Result<Payload, NodeError> {
    let mut converter = FormatConverter {
        source: None,
        target,
        source_layout: Layout::Planar,
        layout: Some(Layout::Interleaved),
        dither: None,
        recycled: Recycled::default(),
    };
    Ok(converter.convert(array, None)?.data)
}

impl Node for FormatConverter {
    fn process(&mut self, input: Value, emit: Emit<'_>) -> Result<(), NodeError> {
        let item = AudioItem::take(input)?;
        let rate_hz = item.sample_rate_hz.unwrap_or(0);
        let named = item.form.format_name().and_then(Encoding::from_name);
        let array = self.convert(item.array, named)?;
        emit(item.form.answer_as(array, rate_hz, self.target.name()));
        Ok(())
    }
}

impl FormatConverter {
    fn convert(&mut self, array: Array, named: Option<Encoding>) -> Result<Array, NodeError> {
        let (source, swapped) = self.source_of(&array, named)?;
        let shape = samples_shape(&array, source)?;
        samples::check_memory(&array, array.dtype.item_bytes as usize)?;
        let bytes = array.data.as_slice();
        // Bytes of a sample lie side by side only in C order, so others are ordered first.
        let is_packed = is_bytes(&array) && source.bytes() > 1;
        let (bytes_in_order, order) = match array.order {
            Order::Fortran if is_packed && shape.len() > 1 => {
                (Cow::Owned(layout::c_order(bytes, &array.shape)), Order::C)
            }
            order => (Cow::Borrowed(bytes), order),
        };
        let memory = Arrangement::of(&shape, order, self.source_layout);
        let wanted = match self.layout {
            Some(layout) => memory.in_layout(layout)?,
            None if self.target == Encoding::I24 => memory.in_c_order(),
            None => memory.clone(),
        };
        let is_in_place = matches!(bytes_in_order, Cow::Borrowed(_)) && memory.lies_like(&wanted);
        // Bytes that begin at an odd place cannot become an array of wider elements.
        let is_aligned = !is_bytes(&array) || bytes.as_ptr().align_offset(source.alignment()) == 0;
        if source == self.target && !swapped && is_in_place && is_aligned {
            return Ok(self.array(&wanted, array.data.clone()));
        }
        let bytes = samples::in_native_order(&bytes_in_order, source.bytes(), swapped);
        let count = bytes.len() / source.bytes();
        let mut out = self.recycled.take(count * self.target.bytes());
        if memory.lies_like(&wanted) {
            let dither = self.dither.as_mut();
            pcm::convert((source, self.target), &bytes, dither, out.as_mut_slice());
        } else {
            let mut converted = self.recycled.take(count * self.target.bytes());
            let dither = self.dither.as_mut();
            pcm::convert((source, self.target), &bytes, dither, converted.as_mut_slice());
            memory.transpose(converted.as_ref(), self.target.bytes(), out.as_mut_slice());
        }
        Ok(self.array(&wanted, out.into_payload()))
    }

    /// The format of an array's samples, and whether their bytes are in the other order.
    fn source_of(
        &self,
        array: &Array,
        named: Option<Encoding>,
    ) -> Result<(Encoding, bool), NodeError> {
        let given = self.source.or(named.filter(|_| is_bytes(array)));
        if is_bytes(array) {
            return Ok((given.unwrap_or(Encoding::U8), false));
        }
        let (element, swapped) = samples::Element::of(array)?;
        let found = element.encoding();
        match self.source {
            Some(given) if given != found => Err(NodeErrorKind::BadValue {
                what: "the samples",
                expected: format!("{} (source_format) or bytes (uint8)", given.name()),
                got: samples::dtype_name(&array.dtype.descr),
            }
            .into()),
            _ => Ok((found, swapped)),
        }
    }

    fn array(&self, memory: &Arrangement, data: Payload) -> Array {
        let (mut shape, order) = memory.shape();
        let bytes = self.target.bytes();
        let (descr, item_bytes) = match self.target {
            Encoding::F32 => ("<f4", 4),
            Encoding::F64 => ("<f8", 8),
            Encoding::I16 => ("<i2", 2),
            Encoding::I32 => ("<i4", 4),
            Encoding::I24 => {
                if let Some(last) = shape.last_mut() {
                    *last *= bytes as u64;
                }
                ("|u1", 1)
            }
            Encoding::U8 | Encoding::ALaw | Encoding::MuLaw => ("|u1", 1),
        };
        let dtype = Dtype { descr: descr.to_owned(), item_bytes };
        Array { dtype, shape, order, scalar: false, data }
    }
}

/// The shape in samples of an array that may be bytes.
fn samples_shape(array: &Array, source: Encoding) -> Result<Vec<u64>, NodeError> {
    let mut shape = array.shape.clone();
    if is_bytes(array) && source.bytes() > 1 {
        let bytes = source.bytes() as u64;
        match shape.last_mut() {
            Some(last) if *last % bytes == 0 => *last /= bytes,
            _ => {
                return Err(NodeErrorKind::BadValue {
                    what: "the last axis of bytes",
                    expected: format!("a multiple of the {bytes} bytes of {}", source.name()),
                    got: format!("shape {:?}", array.shape),
                }
                .into());
            }
        }
    }
    Ok(shape)
}

fn is_bytes(array: &Array) -> bool {
    array.dtype.descr.get(1..) == Some("u1")
}
