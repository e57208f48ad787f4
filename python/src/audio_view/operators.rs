//! The operators of views.

use pyo3::basic::CompareOp;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyComplex, PyFloat, PyInt};
use worker_shim::audio::{Found, Operand, Operator, Unary, ViewError};

use super::{AudioView, number_object, number_of, raise, supply};

/// An answer, or `NotImplemented`.
type Answer<'py> = PyResult<Bound<'py, PyAny>>;

/// What an object is to an operator; nothing for objects that have operators of their own.
pub(super) fn operand_of(object: &Bound<'_, PyAny>) -> PyResult<Option<Operand>> {
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
}

/// A view or a number as Python object.
pub(super) fn found(py: Python<'_>, made: Result<Found, ViewError>) -> PyResult<Py<PyAny>> {
    match made.map_err(raise)? {
        Found::View(view) => Ok(Py::new(py, AudioView::new(view))?.into_any()),
        Found::Number(number) => number_object(py, number),
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

    fn __and__<'py>(&self, other: &Bound<'py, PyAny>) -> Answer<'py> {
        self.operated(Operator::And, other, false)
    }

    fn __rand__<'py>(&self, other: &Bound<'py, PyAny>) -> Answer<'py> {
        self.operated(Operator::And, other, true)
    }

    fn __iand__(&self, other: &Bound<'_, PyAny>) -> PyResult<()> {
        self.operated_in_place(Operator::And, other)
    }

    fn __or__<'py>(&self, other: &Bound<'py, PyAny>) -> Answer<'py> {
        self.operated(Operator::Or, other, false)
    }

    fn __ror__<'py>(&self, other: &Bound<'py, PyAny>) -> Answer<'py> {
        self.operated(Operator::Or, other, true)
    }

    fn __ior__(&self, other: &Bound<'_, PyAny>) -> PyResult<()> {
        self.operated_in_place(Operator::Or, other)
    }

    fn __xor__<'py>(&self, other: &Bound<'py, PyAny>) -> Answer<'py> {
        self.operated(Operator::Xor, other, false)
    }

    fn __rxor__<'py>(&self, other: &Bound<'py, PyAny>) -> Answer<'py> {
        self.operated(Operator::Xor, other, true)
    }

    fn __ixor__(&self, other: &Bound<'_, PyAny>) -> PyResult<()> {
        self.operated_in_place(Operator::Xor, other)
    }

    fn __lshift__<'py>(&self, other: &Bound<'py, PyAny>) -> Answer<'py> {
        self.operated(Operator::LeftShift, other, false)
    }

    fn __rlshift__<'py>(&self, other: &Bound<'py, PyAny>) -> Answer<'py> {
        self.operated(Operator::LeftShift, other, true)
    }

    fn __ilshift__(&self, other: &Bound<'_, PyAny>) -> PyResult<()> {
        self.operated_in_place(Operator::LeftShift, other)
    }

    fn __rshift__<'py>(&self, other: &Bound<'py, PyAny>) -> Answer<'py> {
        self.operated(Operator::RightShift, other, false)
    }

    fn __rrshift__<'py>(&self, other: &Bound<'py, PyAny>) -> Answer<'py> {
        self.operated(Operator::RightShift, other, true)
    }

    fn __irshift__(&self, other: &Bound<'_, PyAny>) -> PyResult<()> {
        self.operated_in_place(Operator::RightShift, other)
    }

    fn __matmul__<'py>(&self, other: &Bound<'py, PyAny>) -> Answer<'py> {
        let py = other.py();
        let Ok(other) = other.cast::<Self>() else {
            return Ok(py.NotImplemented().into_bound(py));
        };
        let other = &other.get().view;
        let made = py.detach(|| self.view.times(other, &supply()));
        Ok(found(py, made)?.into_bound(py))
    }

    fn __invert__(&self) -> PyResult<Self> {
        self.alone(Unary::Invert)
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
}
