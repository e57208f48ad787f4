//! Python's operators for views.

use rustpython_vm::builtins::{PyComplex, PyFloat, PyInt, PyList, PyTuple};
use rustpython_vm::function::{Either, PyComparisonValue};
use rustpython_vm::protocol::PyNumberMethods;
use rustpython_vm::types::{AsNumber, PyComparisonOp};
use rustpython_vm::{Py, PyObject, PyObjectRef, PyPayload, PyResult, VirtualMachine};
use worker_shim::audio::{Number, Operand, Operator, Supply, Unary, View, ViewError};

use super::numbers::{OrRaise, number_object, number_of};
use super::{AudioView, raise, supply};

/// Converts an object to an operand; `None` if it is neither a view nor a number.
pub(super) fn operand_of(object: &PyObject, vm: &VirtualMachine) -> PyResult<Option<Operand>> {
    if let Some(view) = object.downcast_ref::<AudioView>() {
        return Ok(Some(Operand::View(view.view().clone())));
    }
    let is_number = object.downcast_ref::<PyInt>().is_some()
        || object.downcast_ref::<PyFloat>().is_some()
        || object.downcast_ref::<PyComplex>().is_some();
    is_number.then(|| number_of(object, vm).map(Operand::Number)).transpose()
}

/// Converts a view to a Python object; a scalar becomes a number.
pub(crate) fn shown(made: Result<View, ViewError>, vm: &VirtualMachine) -> PyResult {
    let made = made.or_raise(vm)?;
    Ok(match made.scalar() {
        Some(number) => number_object(number, vm),
        None => AudioView::new(made).into_pyobject(vm),
    })
}

/// Applies a binary operator; the view may be the left or the right operand.
fn operated(
    operator: Operator,
    left: &PyObject,
    right: &PyObject,
    vm: &VirtualMachine,
) -> PyResult {
    match (operand_of(left, vm)?, operand_of(right, vm)?) {
        (Some(left), Some(right)) => shown(operator.apply(&left, &right, None, supply()), vm),
        _ => refused(operator.symbol(), left, right, vm),
    }
}

/// The result of an operator that views lack for these operands: an error that moves the node to
/// CPython if numpy may have the operator, otherwise `NotImplemented`, so Python asks the other
/// operand.
fn refused(symbol: &str, left: &PyObject, right: &PyObject, vm: &VirtualMachine) -> PyResult {
    let suits_numpy = |object: &PyObject| -> PyResult<bool> {
        let is_sequence =
            object.downcast_ref::<PyList>().is_some() || object.downcast_ref::<PyTuple>().is_some();
        Ok(is_sequence || operand_of(object, vm)?.is_some())
    };
    if !suits_numpy(left)? || !suits_numpy(right)? {
        return Ok(vm.ctx.not_implemented());
    }
    let (left, right) = (left.class().slot_name(), right.class().slot_name());
    let message = format!("unsupported operand type(s) for {symbol}: '{left}' and '{right}'");
    Err(raise(ViewError::Unsupported(message), vm))
}

fn operated_in_place(
    operator: Operator,
    left: &PyObject,
    right: &PyObject,
    vm: &VirtualMachine,
) -> PyResult {
    let (Some(view), Some(operand)) = (left.downcast_ref::<AudioView>(), operand_of(right, vm)?)
    else {
        return Ok(vm.ctx.not_implemented());
    };
    let own = view.view();
    operator.apply(&own.into(), &operand, Some(own), supply()).or_raise(vm)?;
    Ok(left.to_owned())
}

fn alone(operator: Unary, view: &Py<AudioView>, vm: &VirtualMachine) -> PyResult {
    shown(operator.apply(view.view(), supply()), vm)
}

/// Raises `TypeError` for `pow()` with a third argument, which only integers support.
fn refuse_modulo(modulo: &PyObject, vm: &VirtualMachine) -> PyResult<()> {
    if vm.is_none(modulo) {
        return Ok(());
    }
    Err(vm.new_type_error("a power of a view takes no third argument"))
}

/// The number of a view with one element, as a Python object.
pub(super) fn single(view: &View, vm: &VirtualMachine) -> PyResult {
    view.single().or_raise(vm).map(|number| number_object(number, vm))
}

/// The truth value of a view with one element; for others an error, as in numpy.
fn truth(view: &View, vm: &VirtualMachine) -> PyResult<bool> {
    let message = match view.layout().len() {
        1 => return view.single().or_raise(vm).map(Number::is_true),
        0 => {
            "The truth value of an empty array is ambiguous. Use `array.size > 0` to check that an \
             array is not empty."
        }
        _ => {
            "The truth value of an array with more than one element is ambiguous. Use a.any() or \
             a.all()"
        }
    };
    Err(vm.new_value_error(message))
}

/// Compares element by element; the result is a view of bools.
pub(super) fn compared(
    left: &PyObject,
    right: &PyObject,
    comparison: PyComparisonOp,
    vm: &VirtualMachine,
) -> PyResult<Either<PyObjectRef, PyComparisonValue>> {
    let operator = match comparison {
        PyComparisonOp::Lt => Operator::Less,
        PyComparisonOp::Le => Operator::LessEqual,
        PyComparisonOp::Eq => Operator::Equal,
        PyComparisonOp::Ne => Operator::NotEqual,
        PyComparisonOp::Gt => Operator::Greater,
        PyComparisonOp::Ge => Operator::GreaterEqual,
    };
    match (operand_of(left, vm)?, operand_of(right, vm)?) {
        (Some(left), Some(right)) => shown(operator.apply(&left, &right, None, supply()), vm),
        _ => Ok(vm.ctx.not_implemented()),
    }
    .map(Either::A)
}

/// `value in view`; false unless the value is a number or a view.
pub(super) fn contains(view: &View, value: &PyObject, vm: &VirtualMachine) -> PyResult<bool> {
    match operand_of(value, vm)? {
        Some(value) => {
            let equal = Operator::Equal.apply(&view.into(), &value, None, &Supply::default());
            Ok(equal.or_raise(vm)?.bytes().contains(&1))
        }
        None => Ok(false),
    }
}

macro_rules! refuse {
    ($symbol:literal) => {
        Some(|left, right, vm| refused($symbol, left, right, vm))
    };
}

macro_rules! operator {
    ($operator:ident) => {
        Some(|left, right, vm| operated(Operator::$operator, left, right, vm))
    };
    (in place $operator:ident) => {
        Some(|left, right, vm| operated_in_place(Operator::$operator, left, right, vm))
    };
}

impl AsNumber for AudioView {
    fn as_number() -> &'static PyNumberMethods {
        static METHODS: PyNumberMethods = PyNumberMethods {
            add: operator!(Add),
            subtract: operator!(Subtract),
            multiply: operator!(Multiply),
            true_divide: operator!(Divide),
            power: Some(|left, right, modulo, vm| {
                refuse_modulo(modulo, vm)?;
                operated(Operator::Power, left, right, vm)
            }),
            and: operator!(And),
            or: operator!(Or),
            remainder: refuse!("%"),
            floor_divide: refuse!("//"),
            matrix_multiply: refuse!("@"),
            divmod: refuse!("divmod()"),
            lshift: refuse!("<<"),
            rshift: refuse!(">>"),
            xor: refuse!("^"),
            inplace_add: operator!(in place Add),
            inplace_subtract: operator!(in place Subtract),
            inplace_multiply: operator!(in place Multiply),
            inplace_true_divide: operator!(in place Divide),
            inplace_and: operator!(in place And),
            inplace_or: operator!(in place Or),
            inplace_power: Some(|left, right, modulo, vm| {
                refuse_modulo(modulo, vm)?;
                operated_in_place(Operator::Power, left, right, vm)
            }),
            negative: Some(|own, vm| alone(Unary::Negative, AudioView::number_downcast(own), vm)),
            positive: Some(|_own, vm| {
                let refused = "bad operand type for unary +: 'remotemedia.AudioView'".to_owned();
                Err(raise(ViewError::Unsupported(refused), vm))
            }),
            absolute: Some(|own, vm| alone(Unary::Absolute, AudioView::number_downcast(own), vm)),
            invert: Some(|own, vm| alone(Unary::Invert, AudioView::number_downcast(own), vm)),
            boolean: Some(|own, vm| truth(AudioView::number_downcast(own).view(), vm)),
            int: Some(|own, vm| {
                Ok(single(AudioView::number_downcast(own).view(), vm)?.try_int(vm)?.into())
            }),
            float: Some(|own, vm| {
                Ok(single(AudioView::number_downcast(own).view(), vm)?.try_float(vm)?.into())
            }),
            ..PyNumberMethods::NOT_IMPLEMENTED
        };
        &METHODS
    }
}
