//! Conversion between views and buffers (Python's buffer protocol).

use std::borrow::Cow;

use rustpython_vm::builtins::PyMemoryView;
use rustpython_vm::protocol::{BufferDescriptor, PyBuffer};
use rustpython_vm::{PyResult, VirtualMachine};
use worker_shim::audio::{Kind, Supply, View, ViewError};

use super::{AudioView, raise, supply};

/// The layout of a view, for `memoryview` and other users of the buffer protocol.
pub(super) fn description(view: &View) -> BufferDescriptor {
    let kind = view.kind();
    let axes = view.shape().iter().zip(view.strides());
    BufferDescriptor {
        len: view.len_bytes(),
        offset: view.offset().cast_signed(),
        readonly: !view.is_writable(),
        itemsize: kind.bytes(),
        format: Cow::Borrowed(kind.format()),
        dim_desc: axes.map(|(&length, &stride)| (length, stride, 0)).collect(),
    }
}

/// The bytes of a view in C order.
pub(super) fn bytes_of(view: &View) -> Result<Vec<u8>, ViewError> {
    Ok(view.copy(&Supply::default())?.bytes().to_vec())
}

/// A view of a buffer's contents: of the same memory if the buffer belongs to a view, otherwise of
/// a copy.
///
/// # Errors
/// `TypeError` if the buffer's elements are not plain numbers.
pub(crate) fn view_of_buffer(buffer: &PyBuffer, vm: &VirtualMachine) -> PyResult<View> {
    view_of_buffer_as(buffer, None, vm)
}

/// Like [`view_of_buffer`]; with `kind`, a copy whose bytes are interpreted as numbers of that
/// kind.
pub(super) fn view_of_buffer_as(
    buffer: &PyBuffer,
    kind: Option<Kind>,
    vm: &VirtualMachine,
) -> PyResult<View> {
    let raised = |error| raise(error, vm);
    let description = &buffer.desc;
    let format = description.format.trim_start_matches('@');
    // Some buffers of bytes have the format `c` instead of `B`.
    let own = Kind::named(if format == "c" { "B" } else { format }).map_err(raised)?;
    let memory = buffer.obj.downcast_ref::<PyMemoryView>();
    let viewed = memory.map_or(&*buffer.obj, |memory| memory.viewed_object());
    if let (Some(view), None) = (viewed.downcast_ref::<AudioView>(), kind) {
        let axes: Vec<(usize, isize)> =
            description.dim_desc.iter().map(|&(length, stride, _)| (length, stride)).collect();
        return view.view().relaid(own, &axes, description.offset).map_err(raised);
    }
    let block = supply().block(description.len).map_err(raised)?;
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
    View::over(block, kind.unwrap_or(own), &shape).map_err(raised)
}
