//! Errors of converting objects to values and values to objects. Their messages are written by
//! `worker_shim::{unsendable, unopenable}`.

use ipc_protocol::Part;
use rustpython_vm::builtins::PyBaseExceptionRef;
use rustpython_vm::{AsObject, PyObject, VirtualMachine};
use worker_shim::unopenable::Unopenable;
use worker_shim::unsendable;

pub(super) type Reason = unsendable::Reason<PyBaseExceptionRef>;
pub(super) type Stop = unsendable::Stop<PyBaseExceptionRef>;

/// A part of a received item that could not become an object.
pub(super) type OpenError = Unopenable<PyBaseExceptionRef>;

/// Adds the part's path and type to the exception, where `remotemedia._guest.faults` reads them.
pub(super) fn marked(
    raised: PyBaseExceptionRef,
    kind: &str,
    part: Part,
    vm: &VirtualMachine,
) -> PyBaseExceptionRef {
    let texts = [kind.to_owned(), part.path, part.type_name];
    let mark = texts.map(|text| vm.ctx.new_str(text).into());
    let mark = vm.ctx.new_tuple(mark.into());
    // Setting fails on exceptions without a `__dict__`; they are raised without these details.
    let _marked = raised.as_object().set_attr("remotemedia_part", mark, vm);
    raised
}

/// A failure to convert the object itself.
pub(super) fn here(object: &PyObject, reason: Reason, vm: &VirtualMachine) -> Stop {
    Stop::here(type_name(object, vm), reason)
}

/// A `TypeError`, or a `MemoryError`, unless another exception is the reason.
pub(super) fn exception(
    error: unsendable::Unsendable<PyBaseExceptionRef>,
    vm: &VirtualMachine,
) -> PyBaseExceptionRef {
    let is_memory = matches!(error.reason, Reason::NoMemory(_));
    error.into_exception(|message| {
        if is_memory { vm.new_memory_error(message) } else { vm.new_type_error(message) }
    })
}

/// Converts an exception that was raised while `object` was being read.
pub(super) fn raised(object: &PyObject, raised: PyBaseExceptionRef, vm: &VirtualMachine) -> Stop {
    if !raised.fast_isinstance(vm.ctx.exceptions.exception_type) {
        return here(object, Reason::Python(raised), vm);
    }
    let text = |name: &'static str| text(raised.as_object(), name, vm);
    let message = raised.as_object().str(vm).map(|text| text.to_string_lossy().into_owned());
    let said = unsendable::Said {
        message: message.unwrap_or_default(),
        path: text("path"),
        type_name: text("type_name"),
        reason: text("reason"),
    };
    Stop::unpicklable(said, || type_name(object, vm))
}

fn text(object: &PyObject, name: &'static str, vm: &VirtualMachine) -> Option<String> {
    object.get_attr(name, vm).ok()?.try_into_value(vm).ok()
}

/// Qualified name of the object's type; bare for builtins.
pub(super) fn type_name(object: &PyObject, vm: &VirtualMachine) -> String {
    let kind = object.class().as_object();
    let name = text(kind, "__qualname__", vm).unwrap_or_else(|| "?".to_owned());
    match text(kind, "__module__", vm) {
        Some(module) if module != "builtins" => format!("{module}.{name}"),
        _ => name,
    }
}
