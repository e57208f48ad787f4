//! Numbers between Python and views.

use malachite_bigint::BigInt;
use rustpython_vm::builtins::{PyBaseExceptionRef, PyComplex, PyFloat, PyInt};
use rustpython_vm::protocol::PyIter;
use rustpython_vm::{AsObject, PyObject, PyObjectRef, PyResult, VirtualMachine};
use worker_shim::audio::{Growing, Kind, Number, View, ViewError};

use super::supply;

/// The Python exception for an error.
pub(crate) fn raise(error: ViewError, vm: &VirtualMachine) -> PyBaseExceptionRef {
    match error {
        ViewError::Index(message) => vm.new_index_error(message),
        ViewError::Type(message) => vm.new_type_error(message),
        ViewError::Value(message) => vm.new_value_error(message),
        ViewError::Overflow(message) => vm.new_overflow_error(message),
        ViewError::Memory(message) => vm.new_memory_error(message),
    }
}

/// A number as Python object.
pub(crate) fn number_object(number: Number, vm: &VirtualMachine) -> PyObjectRef {
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

/// A Python object as number.
///
/// # Errors
/// `TypeError` when it is none.
pub(super) fn number_of(object: &PyObject, vm: &VirtualMachine) -> PyResult<Number> {
    if let Some(number) = object.downcast_ref::<PyFloat>() {
        return Ok(Number::Float(number.to_f64()));
    }
    if object.class().is(vm.ctx.types.bool_type) {
        return Ok(Number::Bool(object.is(&vm.ctx.true_value)));
    }
    if let Some(number) = object.downcast_ref::<PyInt>() {
        let too_large = || vm.new_overflow_error("the number fits no dtype");
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

/// Whether it is a sequence that becomes an axis.
pub(super) fn is_sequence(object: &PyObject, vm: &VirtualMachine) -> bool {
    let types = &vm.ctx.types;
    let kinds = [types.list_type, types.tuple_type, types.range_type];
    kinds.iter().any(|kind| object.class().fast_issubclass(*kind))
}

/// The numbers of nested sequences with their shape, in C order.
fn collect(
    object: &PyObject,
    depth: usize,
    shape: &mut Vec<usize>,
    numbers: &mut Vec<Number>,
    vm: &VirtualMachine,
) -> PyResult<()> {
    if !is_sequence(object, vm) {
        if depth < shape.len() {
            return Err(vm.new_value_error("the sequences are not nested evenly"));
        }
        numbers.push(number_of(object, vm)?);
        return Ok(());
    }
    let elements: Vec<PyObjectRef> = object.to_owned().try_into_value(vm)?;
    if numbers.is_empty() && depth == shape.len() {
        shape.push(elements.len());
    } else if shape.get(depth) != Some(&elements.len()) {
        return Err(vm.new_value_error("the sequences are not nested evenly"));
    }
    elements.iter().try_for_each(|element| collect(element, depth + 1, shape, numbers, vm))
}

/// A new view of nested sequences of numbers; without a dtype for a subscript.
pub(super) fn view_of_sequences(
    object: &PyObject,
    kind: Option<Kind>,
    vm: &VirtualMachine,
) -> PyResult<View> {
    let (mut shape, mut numbers) = (Vec::new(), Vec::new());
    collect(object, 0, &mut shape, &mut numbers, vm)?;
    let raised = |error| raise(error, vm);
    let mut made = Growing::new(kind.unwrap_or_else(|| Kind::of_subscript(&numbers)));
    numbers.into_iter().try_for_each(|number| made.push(number)).map_err(raised)?;
    made.view(&shape, supply()).map_err(raised)
}

/// As [`view_of_sequences`], or a view of the numbers of an iterator.
pub(super) fn view_of_numbers(
    object: &PyObject,
    kind: Kind,
    vm: &VirtualMachine,
) -> PyResult<View> {
    if is_sequence(object, vm) || !PyIter::check(object) {
        return view_of_sequences(object, Some(kind), vm);
    }
    let mut made = Growing::new(kind);
    for number in object.get_iter(vm)?.iter::<PyObjectRef>(vm)? {
        made.push(number_of(&*number?, vm)?).map_err(|error| raise(error, vm))?;
    }
    let shape = [made.len()];
    made.view(&shape, supply()).map_err(|error| raise(error, vm))
}
