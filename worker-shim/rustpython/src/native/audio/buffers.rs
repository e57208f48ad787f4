//! Conversion between views and buffers (Python's buffer protocol).

use std::borrow::Cow;

use rustpython_vm::protocol::{BufferDescriptor, PyBuffer};
use rustpython_vm::{PyResult, VirtualMachine};
use worker_shim::audio::{Kind, View};

use super::{OrRaise, supply};

/// The layout of a view, for `memoryview` and other users of the buffer protocol.
pub(super) fn description(view: &View) -> BufferDescriptor {
    let (kind, layout) = (view.kind(), view.layout());
    let axes = layout.shape().iter().zip(layout.strides());
    BufferDescriptor {
        len: layout.len_bytes(),
        offset: layout.offset().cast_signed(),
        readonly: !view.block().is_writable(),
        itemsize: kind.bytes(),
        format: Cow::Borrowed(kind.format()),
        dim_desc: axes.map(|(&length, &stride)| (length, stride, 0)).collect(),
    }
}

/// A view of a copy of a buffer's contents.
///
/// # Errors
/// `TypeError` if the buffer's elements are not plain numbers.
pub(crate) fn view_of_buffer(buffer: &PyBuffer, vm: &VirtualMachine) -> PyResult<View> {
    view_of_buffer_as(buffer, None, vm)
}

/// Like [`view_of_buffer`]; with `kind`, the bytes are interpreted as numbers of that kind.
pub(super) fn view_of_buffer_as(
    buffer: &PyBuffer,
    kind: Option<Kind>,
    vm: &VirtualMachine,
) -> PyResult<View> {
    let description = &buffer.desc;
    let format = description.format.trim_start_matches('@');
    // Some buffers of bytes have the format `c` instead of `B`.
    let own = Kind::named(if format == "c" { "B" } else { format }).or_raise(vm)?;
    let block = supply().block(description.len).or_raise(vm)?;
    buffer.contiguous_or_collect(|bytes| block.write(0, bytes));
    let mut shape: Vec<usize> = description.dim_desc.iter().map(|&(length, ..)| length).collect();
    if let Some(kind) = kind {
        if !description.len.is_multiple_of(kind.bytes()) {
            let message =
                format!("{} bytes are not a multiple of {}", description.len, kind.name());
            return Err(vm.new_value_error(message));
        }
        shape = vec![description.len / kind.bytes()];
    }
    View::over(block, kind.unwrap_or(own), &shape).or_raise(vm)
}
