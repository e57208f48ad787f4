//! `AudioView` for CPython without numpy: the class around [`View`], which does the work.

mod arguments;
mod buffer;
mod number;
mod operators;
mod passes;
mod sequences;
mod shapes;
mod subscript;

use std::ffi::c_int;

use pyo3::exceptions::PyTypeError;
use pyo3::ffi::Py_buffer;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyTuple, PyType};
use worker_shim::audio::{Block, Index, Kind, View};

use arguments::Dtype;
use number::number_of;
pub(crate) use number::{number_object, raise, supply};
use operators::operand_of;

/// An array of numbers over a block of memory, which may be shared with other processes.
///
/// `AudioView(source, dtype=None, sample_rate=None)` copies nested sequences, an iterator, a buffer or
/// a view. It is indexed, sliced and computed with like an array of numpy, with the same dtypes and
/// results.
#[pyclass(frozen, module = "remotemedia", weakref)]
#[derive(Debug)]
pub(crate) struct AudioView {
    view: View,
}

impl AudioView {
    pub(crate) fn new(view: View) -> Self {
        Self { view }
    }

    pub(crate) fn view(&self) -> &View {
        &self.view
    }

    /// The view that results go to: the one that was given, or a new one.
    fn target<'py>(
        &self,
        py: Python<'py>,
        out: Option<Bound<'py, Self>>,
    ) -> PyResult<Bound<'py, Self>> {
        if let Some(out) = out {
            return Ok(out);
        }
        let made =
            supply().view(self.view.shape(), self.view.kind().map_err(raise)?).map_err(raise)?;
        Bound::new(py, Self::new(made.at_rate(self.view.sample_rate_hz)))
    }

    fn made(
        shape: &Bound<'_, PyAny>,
        dtype: Option<Dtype>,
        rate: Option<u32>,
        is_zero: bool,
    ) -> PyResult<Self> {
        let shape =
            shape.extract::<usize>().map(|length| vec![length]).or_else(|_| shape.extract())?;
        let kind = dtype.map_or(Kind::F32, |dtype| dtype.0);
        let view = supply().view(&shape, kind).map_err(raise)?;
        if is_zero {
            view.block().as_mut_slice().fill(0);
        }
        Ok(Self::new(view.at_rate(rate)))
    }
}

#[pymethods]
impl AudioView {
    #[new]
    #[pyo3(signature = (source, dtype=None, sample_rate=None))]
    fn py_new(
        source: &Bound<'_, PyAny>,
        dtype: Option<Dtype>,
        sample_rate: Option<u32>,
    ) -> PyResult<Self> {
        let kind = dtype.map(|dtype| dtype.0);
        let mut view = if let Ok(other) = source.cast::<Self>() {
            let other = other.get().view();
            other.copied_to(supply().block(other.len_bytes())).map_err(raise)?
        } else if buffer::is_one(source) {
            buffer::view_of(source, kind)?
        } else {
            sequences::view_of_numbers(source, kind.unwrap_or(Kind::F32))?
        };
        if let Some(kind) = kind.filter(|kind| view.kind() != Ok(*kind)) {
            view = view.cast(kind, &supply()).map_err(raise)?;
        }
        let rate = sample_rate.or(view.sample_rate_hz);
        Ok(Self::new(view.at_rate(rate)))
    }

    /// A new view of a shape, with any contents.
    #[classmethod]
    #[pyo3(signature = (shape, dtype=None, sample_rate=None))]
    fn empty(
        _kind: &Bound<'_, PyType>,
        shape: &Bound<'_, PyAny>,
        dtype: Option<Dtype>,
        sample_rate: Option<u32>,
    ) -> PyResult<Self> {
        Self::made(shape, dtype, sample_rate, false)
    }

    /// A new view of a shape, full of zeros.
    #[classmethod]
    #[pyo3(signature = (shape, dtype=None, sample_rate=None))]
    fn zeros(
        _kind: &Bound<'_, PyType>,
        shape: &Bound<'_, PyAny>,
        dtype: Option<Dtype>,
        sample_rate: Option<u32>,
    ) -> PyResult<Self> {
        Self::made(shape, dtype, sample_rate, true)
    }

    /// Length of each axis.
    #[getter]
    fn shape<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.view.shape())
    }

    /// The kind of its numbers: its name, as numpy has it, with `name`, `kind` and `itemsize`.
    #[getter]
    fn dtype<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        CLASS.import(py, "remotemedia._audio", "Dtype")?.call1((self.view.dtype_name(),))
    }

    /// Samples per second, or None where that is not known.
    #[getter]
    fn sample_rate(&self) -> Option<u32> {
        self.view.sample_rate_hz
    }

    /// Number of axes.
    #[getter]
    fn ndim(&self) -> usize {
        self.view.shape().len()
    }

    /// Number of elements.
    #[getter]
    fn size(&self) -> usize {
        self.view.len()
    }

    /// Bytes of all elements.
    #[getter]
    fn nbytes(&self) -> usize {
        self.view.len_bytes()
    }

    /// Whether writing is refused, because others see the memory too.
    #[getter]
    fn readonly(&self) -> bool {
        !self.view.is_writable()
    }

    /// Whether the memory can be lent to other processes without a copy.
    #[getter]
    fn is_shared(&self) -> bool {
        self.view.block().shared_bytes().is_some()
    }

    /// Each number times `factor`, in a new view or in `out`, which may be the view itself. Whole
    /// numbers are cut off and kept within their range.
    #[pyo3(signature = (factor, out=None))]
    fn scale<'py>(
        &self,
        py: Python<'py>,
        factor: f64,
        out: Option<Bound<'py, Self>>,
    ) -> PyResult<Bound<'py, Self>> {
        let target = self.target(py, out)?;
        self.view.scale_into(factor, target.get().view()).map_err(raise)?;
        Ok(target)
    }

    /// Each number plus `gain` times the one of `other`, in a new view or in `out`, which may be
    /// either of both. Whole numbers are cut off and kept within their range.
    #[pyo3(signature = (other, gain=1.0, out=None))]
    fn mix<'py>(
        &self,
        py: Python<'py>,
        other: &Bound<'py, Self>,
        gain: f64,
        out: Option<Bound<'py, Self>>,
    ) -> PyResult<Bound<'py, Self>> {
        let target = self.target(py, out)?;
        self.view.mix_into(other.get().view(), gain, target.get().view()).map_err(raise)?;
        Ok(target)
    }

    /// Sets every element.
    fn fill(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.view.fill(number_of(value)?).map_err(raise)
    }

    /// The numbers as nested lists.
    fn tolist(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        subscript::nested_lists(py, &self.view)
    }

    /// The numbers as bytes, in C order.
    fn tobytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let copy = self.view.copied_to(Block::zeroed(self.view.len_bytes())).map_err(raise)?;
        Ok(PyBytes::new(py, copy.contiguous_bytes().unwrap_or(&[])))
    }

    /// An `array.array` with the numbers, in C order.
    fn to_array<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let format = self.view.kind().map_err(raise)?.format();
        py.import("array")?.getattr("array")?.call1((format, self.tobytes(py)?))
    }

    fn __reduce_ex__<'py>(&self, py: Python<'py>, _protocol: usize) -> PyResult<Bound<'py, PyAny>> {
        self.view.kind().map_err(raise)?;
        let restore = py.import("remotemedia._audio")?.getattr("restore")?;
        let view = &self.view;
        let arguments =
            (self.tobytes(py)?, view.dtype_name(), self.shape(py)?, view.sample_rate_hz);
        Ok((restore, arguments).into_pyobject(py)?.into_any())
    }

    fn __len__(&self) -> PyResult<usize> {
        let first = self.view.shape().first().copied();
        first.ok_or_else(|| PyTypeError::new_err("a view without axes has no length"))
    }

    fn __iter__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let builtins = slf.py().import("builtins")?;
        let positions = builtins.call_method1("range", (slf.len()?,))?;
        builtins.call_method1("map", (slf.getattr("__getitem__")?, positions))
    }

    fn __reversed__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let backwards = Index::Slice { start: None, stop: None, step: -1 };
        let turned = slf.get().view.select(&[backwards]).map_err(raise)?;
        Self::__iter__(&Bound::new(slf.py(), Self::new(turned))?)
    }

    fn __contains__(&self, value: &Bound<'_, PyAny>) -> PyResult<bool> {
        match operand_of(value)? {
            Some(value) => self.view.contains(&value).map_err(raise),
            None => Ok(false),
        }
    }

    fn __getitem__(&self, py: Python<'_>, subscript: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        subscript::get(py, &self.view, subscript)
    }

    fn __setitem__(&self, subscript: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        subscript::set(&self.view, subscript, value)
    }

    unsafe fn __getbuffer__(
        slf: Bound<'_, Self>,
        buffer: *mut Py_buffer,
        flags: c_int,
    ) -> PyResult<()> {
        // SAFETY: Python gives a buffer to fill.
        unsafe { buffer::fill(slf, buffer, flags) }
    }

    unsafe fn __releasebuffer__(&self, buffer: *mut Py_buffer) {
        // SAFETY: Python gives back a buffer that was filled above.
        unsafe { buffer::release(buffer) };
    }

    fn __repr__(&self) -> String {
        self.view.to_string()
    }
}
