//! Why an object of this interpreter could not become a value; what is said of it is in
//! `worker_shim::unsendable`.

use rustpython_vm::builtins::PyBaseExceptionRef;
use rustpython_vm::{AsObject, PyObject, VirtualMachine};
use worker_shim::unsendable;

pub(super) type Reason = unsendable::Reason<PyBaseExceptionRef>;
pub(super) type Stop = unsendable::Stop<PyBaseExceptionRef>;

/// A failure at the object itself.
pub(super) fn here(object: &PyObject, reason: Reason, vm: &VirtualMachine) -> Stop {
    Stop::here(type_name(object, vm), reason)
}

/// Turns an exception that was raised while `object` was looked at into a stop.
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
