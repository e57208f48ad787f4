//! Conversion of numbers and errors between Python and views.

use malachite_bigint::BigInt;
use rustpython_vm::builtins::{PyBaseExceptionRef, PyComplex, PyFloat, PyInt};
use rustpython_vm::protocol::PyIter;
use rustpython_vm::{AsObject, PyObject, PyObjectRef, PyResult, VirtualMachine};
use worker_shim::audio::{Kind, Number, View, ViewError};

use super::supply;

/// Converts an error of a view to a Python exception.
pub(crate) fn raise(error: ViewError, vm: &VirtualMachine) -> PyBaseExceptionRef {
    match error {
        ViewError::Index(message) => vm.new_index_error(message),
        ViewError::Type(message) => vm.new_type_error(message),
        ViewError::Unsupported(message) => unsupported(message, vm),
        ViewError::Value(message) => vm.new_value_error(message),
        ViewError::Overflow(message) => vm.new_overflow_error(message),
        ViewError::Memory(message) => vm.new_memory_error(message),
    }
}

/// Results of views, as Python gets them.
pub(crate) trait OrRaise<T> {
    /// Converts an error to a Python exception.
    fn or_raise(self, vm: &VirtualMachine) -> PyResult<T>;
}

impl<T> OrRaise<T> for Result<T, ViewError> {
    fn or_raise(self, vm: &VirtualMachine) -> PyResult<T> {
        self.map_err(|error| raise(error, vm))
    }
}

/// The error for setting an attribute that numpy's arrays allow to set; it moves the node to
/// CPython.
pub(super) fn read_only(name: &str, vm: &VirtualMachine) -> PyBaseExceptionRef {
    let message = format!("attribute '{name}' of 'remotemedia.AudioView' objects is not writable");
    marked(vm.new_attribute_error(message), vm)
}

fn unsupported(message: String, vm: &VirtualMachine) -> PyBaseExceptionRef {
    marked(vm.new_type_error(message), vm)
}

/// Adds the attribute by which `remotemedia._guest.imports` recognises that the node needs numpy.
fn marked(raised: PyBaseExceptionRef, vm: &VirtualMachine) -> PyBaseExceptionRef {
    let _marked = raised.as_object().set_attr("remotemedia_lacks", vm.ctx.new_str("numpy"), vm);
    raised
}

/// Converts a number to a Python object.
pub(super) fn number_object(number: Number, vm: &VirtualMachine) -> PyObjectRef {
    match number {
        Number::Bool(truth) => vm.ctx.new_bool(truth).into(),
        Number::Int(number) => match i64::try_from(number) {
            Ok(number) => vm.ctx.new_int(number).into(),
            Err(_) => vm.ctx.new_bigint(&BigInt::from(number)).into(),
        },
        Number::Float(number) => vm.ctx.new_float(number).into(),
        Number::Complex(real, imaginary) => {
            vm.ctx.new_complex(num_complex::Complex64::new(real, imaginary)).into()
        }
    }
}

/// Converts a Python object to a number.
///
/// # Errors
/// `TypeError` if the object is not a number, `OverflowError` for integers beyond 128 bits.
pub(super) fn number_of(object: &PyObject, vm: &VirtualMachine) -> PyResult<Number> {
    if let Some(number) = object.downcast_ref::<PyFloat>() {
        return Ok(Number::Float(number.to_f64()));
    }
    if object.class().is(vm.ctx.types.bool_type) {
        return Ok(Number::Bool(object.is(&vm.ctx.true_value)));
    }
    if let Some(number) = object.downcast_ref::<PyInt>() {
        let too_large = || vm.new_overflow_error("the number is too large for any dtype");
        return i128::try_from(number.as_bigint()).map(Number::Int).map_err(|_| too_large());
    }
    if let Some(number) = object.downcast_ref::<PyComplex>() {
        let number = number.to_complex();
        return Ok(Number::Complex(number.re, number.im));
    }
    if let Some(index) = object.try_index_opt(vm) {
        return number_of(index?.as_object(), vm);
    }
    Ok(Number::Float(object.try_float(vm)?.to_f64()))
}

/// Whether the object is a list, tuple or range, whose elements lie along an axis of a new view.
pub(super) fn is_sequence(object: &PyObject, vm: &VirtualMachine) -> bool {
    let types = &vm.ctx.types;
    let kinds = [types.list_type, types.tuple_type, types.range_type];
    kinds.iter().any(|kind| object.class().fast_issubclass(*kind))
}

/// Numbers collected in C order, and their shape as known so far.
struct Collected {
    kind: Kind,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Collected {
    fn push(&mut self, number: &PyObject, vm: &VirtualMachine) -> PyResult<()> {
        let number = number_of(number, vm)?;
        number.store(self.kind, |bytes| self.bytes.extend_from_slice(bytes)).or_raise(vm)
    }

    /// Adds the numbers of nested sequences; `depth` is the number of sequences around `object`.
    fn take(&mut self, object: &PyObject, depth: usize, vm: &VirtualMachine) -> PyResult<()> {
        let uneven = || Err(vm.new_value_error("the nested sequences differ in length"));
        if !is_sequence(object, vm) {
            return if depth < self.shape.len() { uneven() } else { self.push(object, vm) };
        }
        let elements: Vec<PyObjectRef> = object.to_owned().try_into_value(vm)?;
        if self.bytes.is_empty() && depth == self.shape.len() {
            self.shape.push(elements.len());
        } else if self.shape.get(depth) != Some(&elements.len()) {
            return uneven();
        }
        elements.iter().try_for_each(|element| self.take(element, depth + 1, vm))
    }
}

/// A new view with the numbers of nested sequences or of an iterator.
pub(super) fn view_of_numbers(
    object: &PyObject,
    kind: Kind,
    vm: &VirtualMachine,
) -> PyResult<View> {
    let mut made = Collected { kind, shape: Vec::new(), bytes: Vec::new() };
    if is_sequence(object, vm) || !PyIter::check(object) {
        made.take(object, 0, vm)?;
    } else {
        for number in object.get_iter(vm)?.iter::<PyObjectRef>(vm)? {
            made.push(&*number?, vm)?;
        }
        made.shape.push(made.bytes.len() / kind.bytes());
    }
    View::of_numbers(&made.bytes, &made.shape, kind, supply()).or_raise(vm)
}
