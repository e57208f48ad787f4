//! Converts arrays of the protocol to views and back. `array.array` and `memoryview` objects are
//! sent as arrays too.

use ipc_protocol::Array;
use rustpython_vm::builtins::{PyMemoryView, PyStr};
use rustpython_vm::protocol::PyBuffer;
use rustpython_vm::{
    AsObject, PyObject, PyPayload, PyResult, TryFromBorrowedObject, VirtualMachine,
};
use worker_shim::audio::View;

use super::Converter;
use crate::native::audio::{AudioView, OrRaise, shown, supply, view_of_buffer};

/// Converts a view or buffer object to an array; `None` for any other object.
pub(super) fn read(
    object: &PyObject,
    converter: &Converter,
    vm: &VirtualMachine,
) -> PyResult<Option<Array>> {
    if let Some(view) = object.downcast_ref_if_exact::<AudioView>(vm) {
        return to_array(view.view(), converter, vm).map(Some);
    }
    let is_memory = object.class().is(PyMemoryView::class(&vm.ctx)) || is_array(object, vm);
    if !is_memory {
        return Ok(None);
    }
    let buffer = PyBuffer::try_from_borrowed_object(vm, object)?;
    let view = view_of_buffer(&buffer, vm)?;
    converter.count_copy(view.layout().len_bytes());
    to_array(&view, converter, vm).map(Some)
}

/// Whether the object is an `array.array`. Compares names, because RustPython does not export that
/// type.
fn is_array(object: &PyObject, vm: &VirtualMachine) -> bool {
    let kind = object.class();
    if &*kind.name() != "array" {
        return false;
    }
    let module = kind.as_object().get_attr("__module__", vm);
    module.is_ok_and(|module| {
        module.downcast_ref::<PyStr>().is_some_and(|name| name.as_bytes() == b"array")
    })
}

fn to_array(view: &View, converter: &Converter, vm: &VirtualMachine) -> PyResult<Array> {
    view.to_array(supply(), |bytes| converter.count_copy(bytes)).or_raise(vm)
}

/// Converts a received array to a view, or to a number if it is a single number.
pub(super) fn write(
    array: Array,
    sample_rate_hz: Option<u32>,
    _converter: &Converter,
    vm: &VirtualMachine,
) -> PyResult {
    shown(View::of_array(array).map(|view| view.at_rate(sample_rate_hz)), vm)
}
