//! The methods of views that go through all numbers.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use worker_shim::audio::{Operand, Operator, Reduction};

use super::arguments::{Axes, along};
use super::operators::{found, operand_of};
use super::{AudioView, raise, supply};

impl AudioView {
    fn reduced(
        &self,
        py: Python<'_>,
        reduction: Reduction,
        axis: Option<Axes>,
        keepdims: bool,
    ) -> PyResult<Py<PyAny>> {
        let along = along(axis, keepdims);
        let made = py.detach(|| self.view.reduced(reduction, &along, &supply()));
        found(py, made)
    }
}

#[pymethods]
impl AudioView {
    /// The sum of all numbers, or a view with the sums along axes. Floats are added up in double
    /// precision.
    #[pyo3(signature = (axis=None, keepdims=false))]
    fn sum(&self, py: Python<'_>, axis: Option<Axes>, keepdims: bool) -> PyResult<Py<PyAny>> {
        self.reduced(py, Reduction::Sum, axis, keepdims)
    }

    /// The mean of all numbers, or a view with the means along axes.
    #[pyo3(signature = (axis=None, keepdims=false))]
    fn mean(&self, py: Python<'_>, axis: Option<Axes>, keepdims: bool) -> PyResult<Py<PyAny>> {
        self.reduced(py, Reduction::Mean, axis, keepdims)
    }

    /// The smallest number, or a view with the smallest ones along axes.
    #[pyo3(signature = (axis=None, keepdims=false))]
    fn min(&self, py: Python<'_>, axis: Option<Axes>, keepdims: bool) -> PyResult<Py<PyAny>> {
        self.reduced(py, Reduction::Minimum, axis, keepdims)
    }

    /// The largest number, or a view with the largest ones along axes.
    #[pyo3(signature = (axis=None, keepdims=false))]
    fn max(&self, py: Python<'_>, axis: Option<Axes>, keepdims: bool) -> PyResult<Py<PyAny>> {
        self.reduced(py, Reduction::Maximum, axis, keepdims)
    }

    /// Whether a number is not zero, of all or along axes.
    #[pyo3(signature = (axis=None, keepdims=false))]
    fn any(&self, py: Python<'_>, axis: Option<Axes>, keepdims: bool) -> PyResult<Py<PyAny>> {
        self.reduced(py, Reduction::Any, axis, keepdims)
    }

    /// Whether no number is zero, of all or along axes.
    #[pyo3(signature = (axis=None, keepdims=false))]
    fn all(&self, py: Python<'_>, axis: Option<Axes>, keepdims: bool) -> PyResult<Py<PyAny>> {
        self.reduced(py, Reduction::All, axis, keepdims)
    }

    /// The product of all numbers, or a view with the products along axes. Floats are multiplied in
    /// double precision.
    #[pyo3(signature = (axis=None, keepdims=false))]
    fn prod(&self, py: Python<'_>, axis: Option<Axes>, keepdims: bool) -> PyResult<Py<PyAny>> {
        found(py, self.view.product(&along(axis, keepdims), &supply()))
    }

    /// The variance of all numbers, or a view with the variances along axes; its divisor is the
    /// count of numbers less `ddof`.
    #[pyo3(signature = (axis=None, *, ddof=0.0, keepdims=false))]
    fn var(
        &self,
        py: Python<'_>,
        axis: Option<Axes>,
        ddof: f64,
        keepdims: bool,
    ) -> PyResult<Py<PyAny>> {
        found(py, self.view.variance(&along(axis, keepdims), ddof, &supply()))
    }

    /// The standard deviation of all numbers, or a view with those along axes: the root of the
    /// variance.
    #[pyo3(signature = (axis=None, *, ddof=0.0, keepdims=false))]
    fn std(
        &self,
        py: Python<'_>,
        axis: Option<Axes>,
        ddof: f64,
        keepdims: bool,
    ) -> PyResult<Py<PyAny>> {
        found(py, self.view.deviation(&along(axis, keepdims), ddof, &supply()))
    }

    /// Where the smallest number stands: the first of all in C order, or a view with the places
    /// along an axis.
    #[pyo3(signature = (axis=None, *, keepdims=false))]
    fn argmin(&self, py: Python<'_>, axis: Option<isize>, keepdims: bool) -> PyResult<Py<PyAny>> {
        found(py, self.view.place_of(true, axis, keepdims, &supply()))
    }

    /// Where the largest number stands: the first of all in C order, or a view with the places along
    /// an axis.
    #[pyo3(signature = (axis=None, *, keepdims=false))]
    fn argmax(&self, py: Python<'_>, axis: Option<isize>, keepdims: bool) -> PyResult<Py<PyAny>> {
        found(py, self.view.place_of(false, axis, keepdims, &supply()))
    }

    /// The sums of all numbers up to each one: along an axis, or of all in C order.
    #[pyo3(signature = (axis=None))]
    fn cumsum(&self, axis: Option<isize>) -> PyResult<Self> {
        self.view.running_sum(axis, &supply()).map(Self::new).map_err(raise)
    }

    /// The numbers rounded to so many decimals, halves to even digits.
    #[pyo3(signature = (decimals=0))]
    fn round(&self, decimals: i32) -> PyResult<Self> {
        self.view.rounded(decimals, &supply()).map(Self::new).map_err(raise)
    }

    /// The product with another vector or matrix, or with a number. Floats are added up in double
    /// precision.
    fn dot(&self, py: Python<'_>, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        match operand_of(other)? {
            Some(Operand::View(other)) => {
                let made = py.detach(|| self.view.times(&other, &supply()));
                found(py, made)
            }
            Some(number) => {
                let own = Operand::View(self.view.clone());
                let made = Operator::Multiply.apply(&own, &number, &supply()).map_err(raise)?;
                Ok(Py::new(py, Self::new(made))?.into_any())
            }
            None => Err(PyTypeError::new_err("dot() takes an 'AudioView' or a number")),
        }
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

    /// The root of the mean square.
    fn rms(&self) -> PyResult<f64> {
        self.view.rms().map_err(raise)
    }

    /// The largest magnitude.
    fn peak(&self) -> PyResult<f64> {
        self.view.peak().map_err(raise)
    }
}
