//! `AudioView` for CPython without numpy: the class around [`View`], which does the work.

mod buffer;
mod subscript;

use pyo3::exceptions::{PyIndexError, PyMemoryError, PyOverflowError, PyTypeError, PyValueError};
use std::ffi::c_int;

use pyo3::ffi::Py_buffer;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple, PyType};
use worker_shim::audio::{Block, Kind, Number, Supply, View, ViewError};

use crate::numpy_memory::{outbound, own_arena};

/// An array of numbers over a block of memory, which may be shared with other processes.
#[pyclass(frozen, module = "remotemedia", weakref)]
#[derive(Debug)]
pub(crate) struct AudioView {
    view: View,
}

/// The exception that an error is in Python.
pub(crate) fn raise(error: ViewError) -> PyErr {
    match error {
        ViewError::Index(message) => PyIndexError::new_err(message),
        ViewError::Type(message) => PyTypeError::new_err(message),
        ViewError::Value(message) => PyValueError::new_err(message),
        ViewError::Overflow(message) => PyOverflowError::new_err(message),
        ViewError::Memory(message) => PyMemoryError::new_err(message),
    }
}

/// Where new views get their memory.
pub(crate) fn supply() -> Supply {
    match outbound() {
        Some(outbound) => outbound.supply(),
        None => Supply::new(own_arena(), super::convert::INLINE_MAX_BYTES, usize::MAX),
    }
}

/// A new view without contents that anybody asked for.
fn empty(shape: &[usize], kind: Kind) -> Result<View, ViewError> {
    let bytes = shape.iter().try_fold(kind.bytes(), |bytes, &length| bytes.checked_mul(length));
    let bytes = bytes.filter(|bytes| isize::try_from(*bytes).is_ok());
    let bytes = bytes.ok_or_else(|| ViewError::Memory(format!("no memory for shape {shape:?}")))?;
    View::over(supply().block(bytes), kind, shape)
}

fn converted(view: &View, kind: Kind) -> Result<View, ViewError> {
    let made = empty(view.shape(), kind)?;
    made.copy_from(view)?;
    Ok(made.at_rate(view.sample_rate_hz))
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
        let made = empty(self.view.shape(), self.view.kind().map_err(raise)?).map_err(raise)?;
        Bound::new(py, Self::new(made.at_rate(self.view.sample_rate_hz)))
    }

    fn made(
        shape: &Bound<'_, PyAny>,
        dtype: &str,
        rate: Option<u32>,
        is_zero: bool,
    ) -> PyResult<Self> {
        let shape =
            shape.extract::<usize>().map(|length| vec![length]).or_else(|_| shape.extract())?;
        let view = empty(&shape, Kind::named(dtype).map_err(raise)?).map_err(raise)?;
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
        dtype: Option<&str>,
        sample_rate: Option<u32>,
    ) -> PyResult<Self> {
        let kind = dtype.map(Kind::named).transpose().map_err(raise)?;
        let mut view = if let Ok(other) = source.cast::<Self>() {
            let other = other.get().view();
            other.copied_to(supply().block(other.len_bytes())).map_err(raise)?
        } else if buffer::is_one(source) {
            buffer::view_of(source, kind)?
        } else {
            subscript::view_of_sequences(source, kind.unwrap_or(Kind::F32))?
        };
        if let Some(kind) = kind.filter(|kind| view.kind() != Ok(*kind)) {
            view = converted(&view, kind).map_err(raise)?;
        }
        let rate = sample_rate.or(view.sample_rate_hz);
        Ok(Self::new(view.at_rate(rate)))
    }

    #[classmethod]
    #[pyo3(signature = (shape, dtype="float32", sample_rate=None))]
    fn empty(
        _kind: &Bound<'_, PyType>,
        shape: &Bound<'_, PyAny>,
        dtype: &str,
        sample_rate: Option<u32>,
    ) -> PyResult<Self> {
        Self::made(shape, dtype, sample_rate, false)
    }

    #[classmethod]
    #[pyo3(signature = (shape, dtype="float32", sample_rate=None))]
    fn zeros(
        _kind: &Bound<'_, PyType>,
        shape: &Bound<'_, PyAny>,
        dtype: &str,
        sample_rate: Option<u32>,
    ) -> PyResult<Self> {
        Self::made(shape, dtype, sample_rate, true)
    }

    #[getter]
    fn shape<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.view.shape())
    }

    #[getter]
    fn dtype(&self) -> &str {
        self.view.dtype_name()
    }

    #[getter]
    fn sample_rate(&self) -> Option<u32> {
        self.view.sample_rate_hz
    }

    #[getter]
    fn ndim(&self) -> usize {
        self.view.shape().len()
    }

    #[getter]
    fn size(&self) -> usize {
        self.view.len()
    }

    #[getter]
    fn nbytes(&self) -> usize {
        self.view.len_bytes()
    }

    #[getter]
    fn readonly(&self) -> bool {
        !self.view.is_writable()
    }

    #[getter]
    fn is_shared(&self) -> bool {
        self.view.block().shared_bytes().is_some()
    }

    #[getter(T)]
    fn transposed(&self) -> Self {
        Self::new(self.view.transposed())
    }

    fn sum(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        number_object(py, self.view.sum().map_err(raise)?)
    }

    fn mean(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        number_object(py, self.view.mean().map_err(raise)?)
    }

    fn rms(&self) -> PyResult<f64> {
        self.view.rms().map_err(raise)
    }

    fn peak(&self) -> PyResult<f64> {
        self.view.peak().map_err(raise)
    }

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

    fn fill(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let numbers = std::iter::repeat_n(Ok(number_of(value)?), self.view.len());
        self.view.fill_from(numbers).map_err(raise)
    }

    fn copy(&self) -> PyResult<Self> {
        let copy = self.view.copied_to(supply().block(self.view.len_bytes()));
        copy.map(Self::new).map_err(raise)
    }

    fn astype(&self, dtype: &str) -> PyResult<Self> {
        let kind = Kind::named(dtype).map_err(raise)?;
        converted(&self.view, kind).map(Self::new).map_err(raise)
    }

    #[pyo3(signature = (*shape))]
    fn reshape(&self, shape: &Bound<'_, PyTuple>) -> PyResult<Self> {
        let shape: Vec<isize> = match shape.extract::<Vec<isize>>() {
            Ok(shape) => shape,
            Err(_) => shape.get_item(0)?.extract()?,
        };
        self.view.reshape(&shape).map(Self::new).map_err(raise)
    }

    fn tolist(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        subscript::nested_lists(py, &self.view)
    }

    fn tobytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let copy = self.view.copied_to(Block::zeroed(self.view.len_bytes())).map_err(raise)?;
        Ok(PyBytes::new(py, copy.contiguous_bytes().unwrap_or(&[])))
    }

    /// An `array.array` with the numbers.
    fn toarray<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
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

/// A number as Python object.
pub(crate) fn number_object(py: Python<'_>, number: Number) -> PyResult<Py<PyAny>> {
    Ok(match number {
        Number::Bool(truth) => truth.into_pyobject(py)?.to_owned().into_any().unbind(),
        Number::Int(number) => number.into_pyobject(py)?.into_any().unbind(),
        Number::Float(number) => number.into_pyobject(py)?.into_any().unbind(),
        Number::Complex(real, imaginary) => {
            pyo3::types::PyComplex::from_doubles(py, real, imaginary).into_any().unbind()
        }
    })
}

/// A Python object as number.
fn number_of(object: &Bound<'_, PyAny>) -> PyResult<Number> {
    if let Ok(truth) = object.cast_exact::<pyo3::types::PyBool>() {
        return Ok(Number::Bool(truth.is_true()));
    }
    if let Ok(number) = object.cast::<pyo3::types::PyFloat>() {
        return Ok(Number::Float(number.value()));
    }
    if let Ok(number) = object.cast::<pyo3::types::PyComplex>() {
        use pyo3::types::PyComplexMethods as _;
        return Ok(Number::Complex(number.real(), number.imag()));
    }
    object.extract::<i128>().map(Number::Int).or_else(|_| object.extract().map(Number::Float))
}
