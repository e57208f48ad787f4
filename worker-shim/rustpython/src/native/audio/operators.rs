//! The operators of views, and what makes few numbers of many.

use rustpython_vm::builtins::{PyComplex, PyFloat, PyInt};
use rustpython_vm::function::{Either, PosArgs, PyComparisonValue};
use rustpython_vm::protocol::PyNumberMethods;
use rustpython_vm::types::{AsNumber, PyComparisonOp};
use rustpython_vm::{Py, PyObject, PyObjectRef, PyPayload, PyResult, VirtualMachine, pyclass};
use worker_shim::audio::{Operand, Operator, Reduction, Unary, View, ViewError};

use super::arguments::{Along, Bounds, lengths};
use super::{AudioView, number_object, number_of, raise, supply};

/// What an object is to an operator; nothing for objects that have operators of their own.
fn operand_of(object: &PyObject, vm: &VirtualMachine) -> PyResult<Option<Operand>> {
    if let Some(view) = object.downcast_ref::<AudioView>() {
        return Ok(Some(Operand::View(view.view().clone())));
    }
    let is_number = object.downcast_ref::<PyInt>().is_some()
        || object.downcast_ref::<PyFloat>().is_some()
        || object.downcast_ref::<PyComplex>().is_some();
    is_number.then(|| number_of(object, vm).map(Operand::Number)).transpose()
}

fn shown(made: Result<View, ViewError>, vm: &VirtualMachine) -> PyResult {
    let made = made.map_err(|error| raise(error, vm))?;
    Ok(AudioView::new(made).into_pyobject(vm))
}

/// Either operand may be the view.
fn operated(
    operator: Operator,
    left: &PyObject,
    right: &PyObject,
    vm: &VirtualMachine,
) -> PyResult {
    match (operand_of(left, vm)?, operand_of(right, vm)?) {
        (Some(left), Some(right)) => shown(operator.apply(&left, &right, supply()), vm),
        _ => Ok(vm.ctx.not_implemented()),
    }
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
    operator.apply_in_place(view.view(), &operand).map_err(|error| raise(error, vm))?;
    Ok(left.to_owned())
}

fn alone(operator: Unary, view: &Py<AudioView>, vm: &VirtualMachine) -> PyResult {
    shown(operator.apply(view.view(), supply()), vm)
}

/// `**` with a third operand is for integers.
fn refuse_modulo(modulo: &PyObject, vm: &VirtualMachine) -> PyResult<()> {
    if vm.is_none(modulo) {
        return Ok(());
    }
    Err(vm.new_type_error("a power of a view takes no third argument"))
}

fn single(view: &Py<AudioView>, vm: &VirtualMachine) -> PyResult {
    let number = view.view().single().map_err(|error| raise(error, vm))?;
    Ok(number_object(number, vm))
}

/// A comparison of each element.
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
    operated(operator, left, right, vm).map(Either::A)
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
            floor_divide: operator!(FloorDivide),
            remainder: operator!(Remainder),
            power: Some(|left, right, modulo, vm| {
                refuse_modulo(modulo, vm)?;
                operated(Operator::Power, left, right, vm)
            }),
            inplace_add: operator!(in place Add),
            inplace_subtract: operator!(in place Subtract),
            inplace_multiply: operator!(in place Multiply),
            inplace_true_divide: operator!(in place Divide),
            inplace_floor_divide: operator!(in place FloorDivide),
            inplace_remainder: operator!(in place Remainder),
            inplace_power: Some(|left, right, modulo, vm| {
                refuse_modulo(modulo, vm)?;
                operated_in_place(Operator::Power, left, right, vm)
            }),
            negative: Some(|own, vm| alone(Unary::Negative, AudioView::number_downcast(own), vm)),
            positive: Some(|own, vm| alone(Unary::Positive, AudioView::number_downcast(own), vm)),
            absolute: Some(|own, vm| alone(Unary::Absolute, AudioView::number_downcast(own), vm)),
            boolean: Some(|own, vm| {
                let view = AudioView::number_downcast(own).view();
                view.truth().map_err(|error| raise(error, vm))
            }),
            int: Some(|own, vm| {
                Ok(single(AudioView::number_downcast(own), vm)?.try_int(vm)?.into())
            }),
            float: Some(|own, vm| {
                Ok(single(AudioView::number_downcast(own), vm)?.try_float(vm)?.into())
            }),
            ..PyNumberMethods::NOT_IMPLEMENTED
        };
        &METHODS
    }
}

/// The methods that go through all numbers.
#[pyclass]
pub(crate) trait Passes: PyPayload {
    fn reduced(zelf: &Py<Self>, what: Reduction, along: Along, vm: &VirtualMachine) -> PyResult;

    /// The sum of all numbers, or a view with the sums along an axis. Floats are added up in double
    /// precision.
    #[pymethod]
    fn sum(zelf: &Py<Self>, along: Along, vm: &VirtualMachine) -> PyResult {
        Self::reduced(zelf, Reduction::Sum, along, vm)
    }

    /// The mean of all numbers, or a view with the means along an axis.
    #[pymethod]
    fn mean(zelf: &Py<Self>, along: Along, vm: &VirtualMachine) -> PyResult {
        Self::reduced(zelf, Reduction::Mean, along, vm)
    }

    /// The smallest number, or a view with the smallest ones along an axis.
    #[pymethod]
    fn min(zelf: &Py<Self>, along: Along, vm: &VirtualMachine) -> PyResult {
        Self::reduced(zelf, Reduction::Minimum, along, vm)
    }

    /// The largest number, or a view with the largest ones along an axis.
    #[pymethod]
    fn max(zelf: &Py<Self>, along: Along, vm: &VirtualMachine) -> PyResult {
        Self::reduced(zelf, Reduction::Maximum, along, vm)
    }

    /// Whether a number is not zero, of all or along an axis.
    #[pymethod]
    fn any(zelf: &Py<Self>, along: Along, vm: &VirtualMachine) -> PyResult {
        Self::reduced(zelf, Reduction::Any, along, vm)
    }

    /// Whether no number is zero, of all or along an axis.
    #[pymethod]
    fn all(zelf: &Py<Self>, along: Along, vm: &VirtualMachine) -> PyResult {
        Self::reduced(zelf, Reduction::All, along, vm)
    }

    /// A new view whose numbers are not below `min` and not above `max`: numbers or views, or None.
    #[pymethod]
    fn clip(zelf: &Py<Self>, bounds: Bounds, vm: &VirtualMachine) -> PyResult;

    /// The view with its axes in another order, in reverse order without arguments: a view of the
    /// same memory.
    #[pymethod]
    fn transpose(zelf: &Py<Self>, axes: PosArgs, vm: &VirtualMachine) -> PyResult;
}

impl Passes for AudioView {
    fn reduced(zelf: &Py<Self>, what: Reduction, along: Along, vm: &VirtualMachine) -> PyResult {
        if along.axis.is_none() && !along.keepdims {
            let number = zelf.view().reduced(what).map_err(|error| raise(error, vm))?;
            return Ok(number_object(number, vm));
        }
        shown(zelf.view().reduced_along(along.axis, along.keepdims, what, supply()), vm)
    }

    fn clip(zelf: &Py<Self>, bounds: Bounds, vm: &VirtualMachine) -> PyResult {
        let bound = |object: PyObjectRef| {
            let refused = || vm.new_type_error("a bound of clip() is a number or an 'AudioView'");
            operand_of(&object, vm)?.ok_or_else(refused)
        };
        let low = bounds.min.map(bound).transpose()?;
        let high = bounds.max.map(bound).transpose()?;
        shown(zelf.view().clip(low.as_ref(), high.as_ref(), supply()), vm)
    }

    fn transpose(zelf: &Py<Self>, axes: PosArgs, vm: &VirtualMachine) -> PyResult {
        shown(zelf.view().transpose(&lengths(axes, vm)?), vm)
    }
}
