//! The methods of views that show the same numbers in other ways, or copy them.

use pyo3::prelude::*;
use pyo3::types::{PyTuple, PyType};
use worker_shim::audio::View;

use super::arguments::{Axes, Dtype, lengths};
use super::{AudioView, number_object, raise, supply};

#[pymethods]
impl AudioView {
    /// The view with its axes in reverse order: a view of the same memory.
    #[getter(T)]
    fn transposed(&self) -> Self {
        Self::new(self.view.transposed())
    }

    /// The real parts of the numbers: a view of the same memory.
    #[getter]
    fn real(&self) -> PyResult<Self> {
        self.view.real_part().map(Self::new).map_err(raise)
    }

    /// The imaginary parts of the numbers: a view of the same memory, or zeros where they have none.
    #[getter]
    fn imag(&self) -> PyResult<Self> {
        self.view.imaginary_part(&supply()).map(Self::new).map_err(raise)
    }

    /// Bytes of one element.
    #[getter]
    fn itemsize(&self) -> usize {
        self.view.item_bytes()
    }

    /// The numbers with their imaginary parts turned round.
    fn conj(&self) -> PyResult<Self> {
        self.view.conjugate(&supply()).map(Self::new).map_err(raise)
    }

    /// A view of memory of its own with the same numbers.
    fn copy(&self) -> PyResult<Self> {
        let copy = self.view.copied_to(supply().block(self.view.len_bytes()));
        copy.map(Self::new).map_err(raise)
    }

    fn __copy__(&self) -> PyResult<Self> {
        self.copy()
    }

    fn __deepcopy__(&self, _memo: &Bound<'_, PyAny>) -> PyResult<Self> {
        self.copy()
    }

    /// The numbers in another dtype: fractions are cut off, integers wrap around. A new view, but
    /// the view itself with `copy=False` where it has that dtype.
    #[pyo3(signature = (dtype, *, copy=true))]
    fn astype<'py>(slf: &Bound<'py, Self>, dtype: Dtype, copy: bool) -> PyResult<Bound<'py, Self>> {
        let view = slf.get().view();
        if !copy && view.kind() == Ok(dtype.0) {
            return Ok(slf.clone());
        }
        Bound::new(slf.py(), Self::new(view.cast(dtype.0, &supply()).map_err(raise)?))
    }

    /// The same elements in another shape, where one axis may be -1: a view of the same memory
    /// where the elements lie in order, else a copy.
    #[pyo3(signature = (*shape))]
    fn reshape(&self, shape: &Bound<'_, PyTuple>) -> PyResult<Self> {
        let shape = lengths(shape)?;
        self.view.reshape(&shape, &supply()).map(Self::new).map_err(raise)
    }

    /// The elements on a single axis: a view of the same memory where they lie in order, else a
    /// copy.
    fn ravel(&self) -> PyResult<Self> {
        self.view.raveled(&supply()).map(Self::new).map_err(raise)
    }

    /// A copy with all elements on a single axis.
    fn flatten(&self) -> PyResult<Self> {
        self.copy()?.ravel()
    }

    /// The view without axes of length 1, all or those that are named: a view of the same memory.
    #[pyo3(signature = (axis=None))]
    fn squeeze(&self, axis: Option<Axes>) -> PyResult<Self> {
        let axes = axis.map(|Axes(axes)| axes);
        self.view.squeezed(axes.as_deref()).map(Self::new).map_err(raise)
    }

    /// The view with its axes in another order, in reverse order without arguments: a view of the
    /// same memory.
    #[pyo3(signature = (*axes))]
    fn transpose(&self, axes: &Bound<'_, PyTuple>) -> PyResult<Self> {
        let axes = lengths(axes)?;
        self.view.transpose(&axes).map(Self::new).map_err(raise)
    }

    /// The only number of the view.
    fn item(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        number_object(py, self.view.single().map_err(raise)?)
    }

    /// Views one after another along an axis, as a new view.
    #[classmethod]
    #[pyo3(signature = (views, axis=0))]
    fn concatenate(
        _kind: &Bound<'_, PyType>,
        views: Vec<Bound<'_, Self>>,
        axis: isize,
    ) -> PyResult<Self> {
        let views: Vec<View> = views.iter().map(|view| view.get().view().clone()).collect();
        View::joined(&views, axis, &supply()).map(Self::new).map_err(raise)
    }
}
