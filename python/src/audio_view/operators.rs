//! The operators of views, and what makes few numbers of many.

use pyo3::basic::CompareOp;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyComplex, PyFloat, PyInt, PyTuple};
use worker_shim::audio::{Operand, Operator, Reduction, Unary};

use super::{AudioView, number_object, number_of, raise, supply};

/// An answer, or `NotImplemented`.
type Answer<'py> = PyResult<Bound<'py, PyAny>>;

/// What an object is to an operator; nothing for objects that have operators of their own.
fn operand_of(object: &Bound<'_, PyAny>) -> PyResult<Option<Operand>> {
    if let Ok(view) = object.cast::<AudioView>() {
        return Ok(Some(Operand::View(view.get().view.clone())));
    }
    let is_number = object.is_instance_of::<PyInt>()
        || object.is_instance_of::<PyFloat>()
        || object.is_instance_of::<PyComplex>();
    is_number.then(|| number_of(object).map(Operand::Number)).transpose()
}

impl AudioView {
    fn operated<'py>(
        &self,
        operator: Operator,
        other: &Bound<'py, PyAny>,
        is_reflected: bool,
    ) -> Answer<'py> {
        let py = other.py();
        let Some(other) = operand_of(other)? else {
            return Ok(py.NotImplemented().into_bound(py));
        };
        let own = Operand::View(self.view.clone());
        let (left, right) = if is_reflected { (&other, &own) } else { (&own, &other) };
        let made = py.detach(|| operator.apply(left, right, &supply())).map_err(raise)?;
        Ok(Bound::new(py, Self::new(made))?.into_any())
    }

    fn operated_in_place(&self, operator: Operator, other: &Bound<'_, PyAny>) -> PyResult<()> {
        let Some(operand) = operand_of(other)? else {
            return Err(PyTypeError::new_err(format!(
                "unsupported operand type(s) for {}=: 'remotemedia.AudioView' and '{}'",
                operator.symbol(),
                other.get_type().name()?
            )));
        };
        other.py().detach(|| operator.apply_in_place(&self.view, &operand)).map_err(raise)
    }

    fn alone(&self, operator: Unary) -> PyResult<Self> {
        operator.apply(&self.view, &supply()).map(Self::new).map_err(raise)
    }

    fn reduced(
        &self,
        py: Python<'_>,
        reduction: Reduction,
        axis: Option<isize>,
        keepdims: bool,
    ) -> PyResult<Py<PyAny>> {
        if axis.is_none() && !keepdims {
            return number_object(py, self.view.reduced(reduction).map_err(raise)?);
        }
        let made = self.view.reduced_along(axis, keepdims, reduction, &supply()).map_err(raise)?;
        Ok(Py::new(py, Self::new(made))?.into_any())
    }
}

/// `**` with a third operand is for integers.
fn refuse_modulo(modulo: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
    match modulo {
        Some(modulo) if !modulo.is_none() => {
            Err(PyTypeError::new_err("a power of a view takes no third argument"))
        }
        _ => Ok(()),
    }
}

#[pymethods]
impl AudioView {
    fn __add__<'py>(&self, other: &Bound<'py, PyAny>) -> Answer<'py> {
        self.operated(Operator::Add, other, false)
    }

    fn __radd__<'py>(&self, other: &Bound<'py, PyAny>) -> Answer<'py> {
        self.operated(Operator::Add, other, true)
    }

    fn __iadd__(&self, other: &Bound<'_, PyAny>) -> PyResult<()> {
        self.operated_in_place(Operator::Add, other)
    }

    fn __sub__<'py>(&self, other: &Bound<'py, PyAny>) -> Answer<'py> {
        self.operated(Operator::Subtract, other, false)
    }

    fn __rsub__<'py>(&self, other: &Bound<'py, PyAny>) -> Answer<'py> {
        self.operated(Operator::Subtract, other, true)
    }

    fn __isub__(&self, other: &Bound<'_, PyAny>) -> PyResult<()> {
        self.operated_in_place(Operator::Subtract, other)
    }

    fn __mul__<'py>(&self, other: &Bound<'py, PyAny>) -> Answer<'py> {
        self.operated(Operator::Multiply, other, false)
    }

    fn __rmul__<'py>(&self, other: &Bound<'py, PyAny>) -> Answer<'py> {
        self.operated(Operator::Multiply, other, true)
    }

    fn __imul__(&self, other: &Bound<'_, PyAny>) -> PyResult<()> {
        self.operated_in_place(Operator::Multiply, other)
    }

    fn __truediv__<'py>(&self, other: &Bound<'py, PyAny>) -> Answer<'py> {
        self.operated(Operator::Divide, other, false)
    }

    fn __rtruediv__<'py>(&self, other: &Bound<'py, PyAny>) -> Answer<'py> {
        self.operated(Operator::Divide, other, true)
    }

    fn __itruediv__(&self, other: &Bound<'_, PyAny>) -> PyResult<()> {
        self.operated_in_place(Operator::Divide, other)
    }

    fn __floordiv__<'py>(&self, other: &Bound<'py, PyAny>) -> Answer<'py> {
        self.operated(Operator::FloorDivide, other, false)
    }

    fn __rfloordiv__<'py>(&self, other: &Bound<'py, PyAny>) -> Answer<'py> {
        self.operated(Operator::FloorDivide, other, true)
    }

    fn __ifloordiv__(&self, other: &Bound<'_, PyAny>) -> PyResult<()> {
        self.operated_in_place(Operator::FloorDivide, other)
    }

    fn __mod__<'py>(&self, other: &Bound<'py, PyAny>) -> Answer<'py> {
        self.operated(Operator::Remainder, other, false)
    }

    fn __rmod__<'py>(&self, other: &Bound<'py, PyAny>) -> Answer<'py> {
        self.operated(Operator::Remainder, other, true)
    }

    fn __imod__(&self, other: &Bound<'_, PyAny>) -> PyResult<()> {
        self.operated_in_place(Operator::Remainder, other)
    }

    fn __pow__<'py>(
        &self,
        other: &Bound<'py, PyAny>,
        modulo: Option<&Bound<'py, PyAny>>,
    ) -> Answer<'py> {
        refuse_modulo(modulo)?;
        self.operated(Operator::Power, other, false)
    }

    fn __rpow__<'py>(
        &self,
        other: &Bound<'py, PyAny>,
        modulo: Option<&Bound<'py, PyAny>>,
    ) -> Answer<'py> {
        refuse_modulo(modulo)?;
        self.operated(Operator::Power, other, true)
    }

    fn __ipow__(
        &self,
        other: &Bound<'_, PyAny>,
        modulo: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        refuse_modulo(modulo)?;
        self.operated_in_place(Operator::Power, other)
    }

    fn __neg__(&self) -> PyResult<Self> {
        self.alone(Unary::Negative)
    }

    fn __pos__(&self) -> PyResult<Self> {
        self.alone(Unary::Positive)
    }

    fn __abs__(&self) -> PyResult<Self> {
        self.alone(Unary::Absolute)
    }

    fn __richcmp__<'py>(&self, other: &Bound<'py, PyAny>, compare: CompareOp) -> Answer<'py> {
        let operator = match compare {
            CompareOp::Lt => Operator::Less,
            CompareOp::Le => Operator::LessEqual,
            CompareOp::Eq => Operator::Equal,
            CompareOp::Ne => Operator::NotEqual,
            CompareOp::Gt => Operator::Greater,
            CompareOp::Ge => Operator::GreaterEqual,
        };
        self.operated(operator, other, false)
    }

    fn __bool__(&self) -> PyResult<bool> {
        self.view.truth().map_err(raise)
    }

    fn __float__<'py>(&self, py: Python<'py>) -> Answer<'py> {
        let number = number_object(py, self.view.single().map_err(raise)?)?;
        py.get_type::<PyFloat>().call1((number,))
    }

    fn __int__<'py>(&self, py: Python<'py>) -> Answer<'py> {
        let number = number_object(py, self.view.single().map_err(raise)?)?;
        py.get_type::<PyInt>().call1((number,))
    }

    /// The sum of all numbers, or a view with the sums along an axis. Floats are added up in double
    /// precision.
    #[pyo3(signature = (axis=None, keepdims=false))]
    fn sum(&self, py: Python<'_>, axis: Option<isize>, keepdims: bool) -> PyResult<Py<PyAny>> {
        self.reduced(py, Reduction::Sum, axis, keepdims)
    }

    /// The mean of all numbers, or a view with the means along an axis.
    #[pyo3(signature = (axis=None, keepdims=false))]
    fn mean(&self, py: Python<'_>, axis: Option<isize>, keepdims: bool) -> PyResult<Py<PyAny>> {
        self.reduced(py, Reduction::Mean, axis, keepdims)
    }

    /// The smallest number, or a view with the smallest ones along an axis.
    #[pyo3(signature = (axis=None, keepdims=false))]
    fn min(&self, py: Python<'_>, axis: Option<isize>, keepdims: bool) -> PyResult<Py<PyAny>> {
        self.reduced(py, Reduction::Minimum, axis, keepdims)
    }

    /// The largest number, or a view with the largest ones along an axis.
    #[pyo3(signature = (axis=None, keepdims=false))]
    fn max(&self, py: Python<'_>, axis: Option<isize>, keepdims: bool) -> PyResult<Py<PyAny>> {
        self.reduced(py, Reduction::Maximum, axis, keepdims)
    }

    /// Whether a number is not zero, of all or along an axis.
    #[pyo3(signature = (axis=None, keepdims=false))]
    fn any(&self, py: Python<'_>, axis: Option<isize>, keepdims: bool) -> PyResult<Py<PyAny>> {
        self.reduced(py, Reduction::Any, axis, keepdims)
    }

    /// Whether no number is zero, of all or along an axis.
    #[pyo3(signature = (axis=None, keepdims=false))]
    fn all(&self, py: Python<'_>, axis: Option<isize>, keepdims: bool) -> PyResult<Py<PyAny>> {
        self.reduced(py, Reduction::All, axis, keepdims)
    }

    /// A new view whose numbers are not below `min` and not above `max`: numbers or views, or None.
    #[pyo3(signature = (min=None, max=None))]
    fn clip(
        &self,
        min: Option<&Bound<'_, PyAny>>,
        max: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let bound = |object: &Bound<'_, PyAny>| {
            let refused =
                || PyTypeError::new_err("a bound of clip() is a number or an 'AudioView'");
            operand_of(object)?.ok_or_else(refused)
        };
        let low = min.map(bound).transpose()?;
        let high = max.map(bound).transpose()?;
        self.view.clip(low.as_ref(), high.as_ref(), &supply()).map(Self::new).map_err(raise)
    }

    /// The view with its axes in another order, in reverse order without arguments: a view of the
    /// same memory.
    #[pyo3(signature = (*axes))]
    fn transpose(&self, axes: &Bound<'_, PyTuple>) -> PyResult<Self> {
        let axes = super::lengths(axes)?;
        self.view.transpose(&axes).map(Self::new).map_err(raise)
    }
}
