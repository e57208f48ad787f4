//! `AudioView` for RustPython: the class around [`View`], which does the work.

mod buffers;
mod subscript;

use std::sync::{Arc, OnceLock};

use ipc_protocol::shm::Exchange;
use malachite_bigint::BigInt;
use rustpython_vm::builtins::{PyBaseExceptionRef, PyComplex, PyFloat, PyInt};
use rustpython_vm::{AsObject, PyObject, PyObjectRef, PyResult, VirtualMachine};
use worker_shim::audio::{Kind, Number, Supply, View, ViewError};

pub(crate) use buffers::view_of_buffer;
pub(crate) use native::{AudioView, module_def};

static SUPPLY: OnceLock<Supply> = OnceLock::new();

/// From now on new arrays lie in the memory of this connection, if they are large.
pub(crate) fn serve(exchange: &Arc<Exchange>) {
    let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    let terms = exchange.terms();
    let (inline_max, max) = (size(terms.inline_max_bytes), size(terms.max_bytes));
    let _first_stays = SUPPLY.set(Supply::new(exchange.arena().clone(), inline_max, max));
}

/// Where new arrays get their memory.
pub(crate) fn supply() -> &'static Supply {
    static PRIVATE: OnceLock<Supply> = OnceLock::new();
    SUPPLY.get().unwrap_or_else(|| PRIVATE.get_or_init(Supply::default))
}

/// The exception that an error is in Python.
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
fn number_of(object: &PyObject, vm: &VirtualMachine) -> PyResult<Number> {
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

/// The numbers of nested sequences with their shape, in C order.
fn collect(
    object: &PyObject,
    depth: usize,
    shape: &mut Vec<usize>,
    numbers: &mut Vec<Number>,
    vm: &VirtualMachine,
) -> PyResult<()> {
    let types = &vm.ctx.types;
    let is_sequence = [types.list_type, types.tuple_type, types.range_type]
        .iter()
        .any(|kind| object.class().fast_issubclass(*kind));
    if !is_sequence {
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

/// A new view of nested sequences of numbers.
fn view_of_sequences(object: &PyObject, kind: Kind, vm: &VirtualMachine) -> PyResult<View> {
    let (mut shape, mut numbers) = (Vec::new(), Vec::new());
    collect(object, 0, &mut shape, &mut numbers, vm)?;
    let raised = |error| raise(error, vm);
    let view = View::over(supply().zeroed(numbers.len() * kind.bytes()), kind, &shape);
    let view = view.map_err(raised)?;
    view.fill_from(numbers.into_iter().map(Ok)).map_err(raised)?;
    Ok(view)
}

/// A new view without contents that anybody asked for.
fn empty(shape: &[usize], kind: Kind) -> Result<View, ViewError> {
    let bytes = shape.iter().try_fold(kind.bytes(), |bytes, &length| bytes.checked_mul(length));
    let bytes = bytes.filter(|bytes| isize::try_from(*bytes).is_ok());
    let bytes = bytes.ok_or_else(|| ViewError::Memory(format!("no memory for shape {shape:?}")))?;
    View::over(supply().block(bytes), kind, shape)
}

#[rustpython_vm::pymodule(name = "_remotemedia_native")]
mod native {
    use rustpython_vm::builtins::{PyBytes, PySequenceIterator, PyTupleRef, PyType};
    use rustpython_vm::function::ArgIntoFloat;
    use rustpython_vm::protocol::{BufferMethods, PyBuffer, PyMappingMethods, PySequenceMethods};
    use rustpython_vm::types::{AsBuffer, AsMapping, AsSequence, Constructor, Iterable, Representable};
    use rustpython_vm::{
        FromArgs, Py, PyObjectRef, PyPayload, PyRef, PyResult, VirtualMachine, atomic_func, pyclass,
    };
    use worker_shim::audio::{Kind, View};

    use super::{buffers, number_object, number_of, raise, subscript, supply};

    /// An array of numbers over a block of memory, which may be shared with other processes.
    #[pyattr]
    #[pyclass(name = "AudioView", module = "remotemedia")]
    #[derive(Debug, PyPayload)]
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
    }

    fn object(view: View, vm: &VirtualMachine) -> PyObjectRef {
        AudioView::new(view).into_pyobject(vm)
    }

    #[derive(FromArgs)]
    pub(crate) struct Made {
        #[pyarg(any)]
        source: PyObjectRef,
        #[pyarg(any, optional)]
        dtype: Option<String>,
        #[pyarg(any, optional)]
        sample_rate: Option<u32>,
    }

    impl Constructor for AudioView {
        type Args = Made;

        fn py_new(_cls: &Py<PyType>, made: Made, vm: &VirtualMachine) -> PyResult<Self> {
            let raised = |error| raise(error, vm);
            let kind = made.dtype.as_deref().map(Kind::named).transpose().map_err(raised)?;
            let mut view = if let Some(other) = made.source.downcast_ref::<Self>() {
                other.view.copied_to(supply().block(other.view.len_bytes())).map_err(raised)?
            } else if made.source.check_buffer() {
                let buffer = made.source.clone().try_into_value::<PyBuffer>(vm)?;
                let is_bytes = &*buffer.desc.format == "B" && buffer.desc.itemsize == 1;
                buffers::view_of_buffer_as(&buffer, kind.filter(|_| is_bytes), vm)?
            } else {
                super::view_of_sequences(&made.source, kind.unwrap_or(Kind::F32), vm)?
            };
            if let Some(kind) = kind.filter(|kind| view.kind() != Ok(*kind)) {
                view = converted(&view, kind, vm)?;
            }
            view.sample_rate_hz = made.sample_rate.or(view.sample_rate_hz);
            Ok(Self { view })
        }
    }

    fn converted(view: &View, kind: Kind, vm: &VirtualMachine) -> PyResult<View> {
        let made = super::empty(view.shape(), kind).and_then(|made| {
            made.copy_from(view)?;
            Ok(made.at_rate(view.sample_rate_hz))
        });
        made.map_err(|error| raise(error, vm))
    }

    /// The view that results go to: the one that was given, or a new one.
    fn target(view: &View, out: Option<PyRef<AudioView>>, vm: &VirtualMachine) -> PyResult<PyRef<AudioView>> {
        if let Some(out) = out {
            return Ok(out);
        }
        let kind = view.kind().map_err(|error| raise(error, vm))?;
        let made = super::empty(view.shape(), kind).map_err(|error| raise(error, vm))?;
        let made = made.at_rate(view.sample_rate_hz);
        Ok(AudioView::new(made).into_ref(&vm.ctx))
    }

    #[derive(FromArgs)]
    struct Scaled {
        #[pyarg(any)]
        factor: ArgIntoFloat,
        #[pyarg(any, optional)]
        out: Option<PyRef<AudioView>>,
    }

    #[derive(FromArgs)]
    struct Mixed {
        #[pyarg(any)]
        other: PyRef<AudioView>,
        #[pyarg(any, optional)]
        gain: Option<ArgIntoFloat>,
        #[pyarg(any, optional)]
        out: Option<PyRef<AudioView>>,
    }

    #[derive(FromArgs)]
    struct New {
        #[pyarg(any)]
        shape: PyObjectRef,
        #[pyarg(any, optional)]
        dtype: Option<String>,
        #[pyarg(any, optional)]
        sample_rate: Option<u32>,
    }

    fn new_view(new: New, is_zero: bool, vm: &VirtualMachine) -> PyResult {
        let raised = |error| raise(error, vm);
        let kind = Kind::named(new.dtype.as_deref().unwrap_or("float32")).map_err(raised)?;
        let shape = match new.shape.clone().try_into_value::<usize>(vm) {
            Ok(length) => vec![length],
            Err(_) => new.shape.try_into_value::<Vec<usize>>(vm)?,
        };
        let mut view = super::empty(&shape, kind).map_err(raised)?;
        if is_zero {
            view.block().as_mut_slice().fill(0);
        }
        view.sample_rate_hz = new.sample_rate;
        Ok(object(view, vm))
    }

    #[pyclass(
        with(Constructor, AsBuffer, AsMapping, AsSequence, Iterable, Representable),
        flags(HAS_WEAKREF)
    )]
    impl AudioView {
        #[pyclassmethod]
        fn empty(_cls: PyRef<PyType>, new: New, vm: &VirtualMachine) -> PyResult {
            new_view(new, false, vm)
        }

        #[pyclassmethod]
        fn zeros(_cls: PyRef<PyType>, new: New, vm: &VirtualMachine) -> PyResult {
            new_view(new, true, vm)
        }

        #[pygetset]
        fn shape(zelf: &Py<Self>, vm: &VirtualMachine) -> PyTupleRef {
            let lengths = zelf.view.shape().iter().map(|&length| vm.ctx.new_int(length).into());
            vm.ctx.new_tuple(lengths.collect())
        }

        #[pygetset]
        fn dtype(zelf: &Py<Self>) -> String {
            zelf.view.dtype_name().to_owned()
        }

        #[pygetset]
        fn sample_rate(zelf: &Py<Self>) -> Option<u32> {
            zelf.view.sample_rate_hz
        }

        #[pygetset]
        fn ndim(zelf: &Py<Self>) -> usize {
            zelf.view.shape().len()
        }

        #[pygetset]
        fn size(zelf: &Py<Self>) -> usize {
            zelf.view.len()
        }

        #[pygetset]
        fn nbytes(zelf: &Py<Self>) -> usize {
            zelf.view.len_bytes()
        }

        #[pygetset]
        fn readonly(zelf: &Py<Self>) -> bool {
            !zelf.view.is_writable()
        }

        #[pygetset]
        fn is_shared(zelf: &Py<Self>) -> bool {
            zelf.view.block().shared_bytes().is_some()
        }

        #[pygetset(name = "T")]
        fn transposed(zelf: &Py<Self>, vm: &VirtualMachine) -> PyObjectRef {
            object(zelf.view.transposed(), vm)
        }

        #[pymethod]
        fn sum(zelf: &Py<Self>, vm: &VirtualMachine) -> PyResult {
            zelf.view.sum().map(|sum| number_object(sum, vm)).map_err(|error| raise(error, vm))
        }

        #[pymethod]
        fn mean(zelf: &Py<Self>, vm: &VirtualMachine) -> PyResult {
            zelf.view.mean().map(|mean| number_object(mean, vm)).map_err(|error| raise(error, vm))
        }

        #[pymethod]
        fn rms(zelf: &Py<Self>, vm: &VirtualMachine) -> PyResult<f64> {
            zelf.view.rms().map_err(|error| raise(error, vm))
        }

        #[pymethod]
        fn peak(zelf: &Py<Self>, vm: &VirtualMachine) -> PyResult<f64> {
            zelf.view.peak().map_err(|error| raise(error, vm))
        }

        #[pymethod]
        fn scale(zelf: &Py<Self>, args: Scaled, vm: &VirtualMachine) -> PyResult<PyRef<Self>> {
            let target = target(&zelf.view, args.out, vm)?;
            let scaled = zelf.view.scale_into(args.factor.into_float(), &target.view);
            scaled.map(|()| target).map_err(|error| raise(error, vm))
        }

        #[pymethod]
        fn mix(zelf: &Py<Self>, args: Mixed, vm: &VirtualMachine) -> PyResult<PyRef<Self>> {
            let target = target(&zelf.view, args.out, vm)?;
            let gain = args.gain.map_or(1.0, ArgIntoFloat::into_float);
            let mixed = zelf.view.mix_into(&args.other.view, gain, &target.view);
            mixed.map(|()| target).map_err(|error| raise(error, vm))
        }

        #[pymethod]
        fn fill(zelf: &Py<Self>, value: PyObjectRef, vm: &VirtualMachine) -> PyResult<()> {
            let number = number_of(&value, vm)?;
            let numbers = std::iter::repeat_n(Ok(number), zelf.view.len());
            zelf.view.fill_from(numbers).map_err(|error| raise(error, vm))
        }

        #[pymethod]
        fn copy(zelf: &Py<Self>, vm: &VirtualMachine) -> PyResult {
            let copy = zelf.view.copied_to(supply().block(zelf.view.len_bytes()));
            copy.map(|copy| object(copy, vm)).map_err(|error| raise(error, vm))
        }

        #[pymethod]
        fn astype(zelf: &Py<Self>, dtype: String, vm: &VirtualMachine) -> PyResult {
            let kind = Kind::named(&dtype).map_err(|error| raise(error, vm))?;
            converted(&zelf.view, kind, vm).map(|view| object(view, vm))
        }

        #[pymethod]
        fn reshape(
            zelf: &Py<Self>,
            shape: rustpython_vm::function::PosArgs,
            vm: &VirtualMachine,
        ) -> PyResult {
            let shape = match shape.into_vec() {
                given if given.len() == 1 && given[0].downcast_ref::<rustpython_vm::builtins::PyInt>().is_none() => {
                    given[0].clone().try_into_value::<Vec<isize>>(vm)?
                }
                given => given.into_iter().map(|axis| axis.try_into_value(vm)).collect::<PyResult<_>>()?,
            };
            let view = zelf.view.reshape(&shape);
            view.map(|view| object(view, vm)).map_err(|error| raise(error, vm))
        }

        #[pymethod]
        fn tolist(zelf: &Py<Self>, vm: &VirtualMachine) -> PyResult {
            subscript::nested_lists(&zelf.view, vm)
        }

        #[pymethod]
        fn tobytes(zelf: &Py<Self>, vm: &VirtualMachine) -> PyResult<PyRef<PyBytes>> {
            buffers::bytes_of(&zelf.view).map(|bytes| vm.ctx.new_bytes(bytes)).map_err(|error| raise(error, vm))
        }

        /// An `array.array` with the numbers.
        #[pymethod]
        fn toarray(zelf: &Py<Self>, vm: &VirtualMachine) -> PyResult {
            let kind = zelf.view.kind().map_err(|error| raise(error, vm))?;
            let bytes = Self::tobytes(zelf, vm)?;
            let class = vm.import("array", 0)?.get_attr("array", vm)?;
            class.call((kind.format(), bytes), vm)
        }

        #[pymethod]
        fn __reduce_ex__(zelf: &Py<Self>, _protocol: usize, vm: &VirtualMachine) -> PyResult {
            vm.import("remotemedia._audio", 0)?;
            let modules = vm.sys_module.get_attr("modules", vm)?;
            let restore = modules.get_item("remotemedia._audio", vm)?.get_attr("restore", vm)?;
            let view = &zelf.view;
            view.kind().map_err(|error| raise(error, vm))?;
            let arguments = vm.new_tuple((
                Self::tobytes(zelf, vm)?,
                view.dtype_name().to_owned(),
                Self::shape(zelf, vm),
                view.sample_rate_hz,
            ));
            Ok(vm.new_tuple((restore, arguments)).into())
        }
    }

    static BUFFER_METHODS: BufferMethods = BufferMethods {
        obj_bytes: |buffer| buffer.obj_as::<AudioView>().view.block().as_slice().into(),
        obj_bytes_mut: |buffer| buffer.obj_as::<AudioView>().view.block().as_mut_slice().into(),
        // Whoever has the buffer holds the view, and the view its memory.
        release: |_| (),
        retain: |_| (),
    };

    impl AsBuffer for AudioView {
        fn as_buffer(zelf: &Py<Self>, vm: &VirtualMachine) -> PyResult<PyBuffer> {
            let description = buffers::description(&zelf.view, vm)?;
            Ok(PyBuffer::new(zelf.to_owned().into(), description, &BUFFER_METHODS))
        }
    }

    impl AsMapping for AudioView {
        fn as_mapping() -> &'static PyMappingMethods {
            static METHODS: PyMappingMethods = PyMappingMethods {
                length: atomic_func!(|mapping, vm| {
                    subscript::length(&AudioView::mapping_downcast(mapping).view, vm)
                }),
                subscript: atomic_func!(|mapping, subscript, vm| {
                    subscript::get(&AudioView::mapping_downcast(mapping).view, subscript, vm)
                }),
                ass_subscript: atomic_func!(|mapping, subscript, value, vm| {
                    let view = &AudioView::mapping_downcast(mapping).view;
                    let value = value.ok_or_else(|| vm.new_type_error("elements cannot be deleted"))?;
                    subscript::set(view, subscript, &value, vm)
                }),
            };
            &METHODS
        }
    }

    impl AsSequence for AudioView {
        fn as_sequence() -> &'static PySequenceMethods {
            static METHODS: PySequenceMethods = PySequenceMethods {
                length: atomic_func!(|sequence, vm| {
                    subscript::length(&AudioView::sequence_downcast(sequence).view, vm)
                }),
                item: atomic_func!(|sequence, place, vm| {
                    subscript::item(&AudioView::sequence_downcast(sequence).view, place, vm)
                }),
                ..PySequenceMethods::NOT_IMPLEMENTED
            };
            &METHODS
        }
    }

    impl Iterable for AudioView {
        fn iter(zelf: PyRef<Self>, vm: &VirtualMachine) -> PyResult {
            subscript::length(&zelf.view, vm)?;
            Ok(PySequenceIterator::new(zelf.into(), vm)?.into_pyobject(vm))
        }
    }

    impl Representable for AudioView {
        fn repr_str(zelf: &Py<Self>, _vm: &VirtualMachine) -> PyResult<String> {
            Ok(zelf.view.to_string())
        }
    }
}
