//! The Python class `AudioView` for RustPython. The operations themselves are in
//! `worker_shim::audio`.

mod arguments;
mod buffers;
mod memory;
mod methods;
mod numbers;
mod operators;
mod subscript;

pub(crate) use buffers::view_of_buffer;
pub(crate) use memory::{serve, supply};
pub(crate) use native::{AudioView, module_def};
pub(crate) use numbers::{OrRaise, raise};
use numbers::{number_of, read_only, view_of_numbers};
pub(crate) use operators::shown;

#[rustpython_vm::pymodule(name = "_remotemedia_native")]
mod native {
    use std::sync::OnceLock;

    use rustpython_vm::builtins::{PyBytes, PySequenceIterator, PyTupleRef, PyType};
    use rustpython_vm::common::hash::PyHash;
    use rustpython_vm::function::{Either, PyComparisonValue};
    use rustpython_vm::protocol::{BufferMethods, PyBuffer, PyMappingMethods, PySequenceMethods};
    use rustpython_vm::types::{
        AsBuffer, AsMapping, AsNumber, AsSequence, Constructor, Hashable, Iterable, PyComparisonOp,
        Representable,
    };
    use rustpython_vm::{
        Py, PyObject, PyObjectRef, PyPayload, PyRef, PyResult, VirtualMachine, atomic_func, pyclass,
    };
    use worker_shim::audio::{Kind, Supply, View, cast, fill};

    use super::arguments::{Made, New};
    use super::methods::Methods;
    use super::operators::{compared, contains};
    use super::{OrRaise, buffers, number_of, read_only, subscript, supply};

    /// An array of numbers in a block of memory, which may be shared with other processes.
    ///
    /// `AudioView(source, dtype=None, sample_rate=None)` copies nested sequences, an iterator, a
    /// buffer or a view. Indexing, slicing and dtypes are those of numpy's arrays. Arithmetic works
    /// for bool, uint8, int16, int32, float32 and float64, with numpy's results.
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

    impl Constructor for AudioView {
        type Args = Made;

        fn py_new(_cls: &Py<PyType>, made: Made, vm: &VirtualMachine) -> PyResult<Self> {
            let kind = made.dtype.map(|dtype| dtype.0);
            let mut view = if let Some(other) = made.source.downcast_ref::<Self>() {
                other.view.copy(supply()).or_raise(vm)?
            } else if made.source.check_buffer() {
                let buffer = made.source.clone().try_into_value::<PyBuffer>(vm)?;
                let is_bytes = &*buffer.desc.format == "B" && buffer.desc.itemsize == 1;
                buffers::view_of_buffer_as(&buffer, kind.filter(|_| is_bytes), vm)?
            } else {
                super::view_of_numbers(&made.source, kind.unwrap_or(Kind::F32), vm)?
            };
            if let Some(kind) = kind.filter(|kind| view.kind() != *kind) {
                view = cast(&view, kind, supply()).or_raise(vm)?;
            }
            view.sample_rate_hz = made.sample_rate.or(view.sample_rate_hz);
            Ok(Self { view })
        }
    }

    /// A class or function of the Python module `remotemedia._audio`.
    fn helper(name: &'static str, vm: &VirtualMachine) -> PyResult {
        vm.import("remotemedia._audio", 0)?;
        let modules = vm.sys_module.get_attr("modules", vm)?;
        modules.get_item("remotemedia._audio", vm)?.get_attr(name, vm)
    }

    fn new_view(new: New, is_zero: bool, vm: &VirtualMachine) -> PyResult<AudioView> {
        let kind = new.dtype.map_or(Kind::F32, |dtype| dtype.0);
        let shape = match new.shape.clone().try_into_value::<usize>(vm) {
            Ok(length) => vec![length],
            Err(_) => new.shape.try_into_value::<Vec<usize>>(vm)?,
        };
        let mut view = View::empty(&shape, kind, supply()).or_raise(vm)?;
        if is_zero {
            view.block().as_mut_slice().fill(0);
        }
        view.sample_rate_hz = new.sample_rate;
        Ok(AudioView::new(view))
    }

    #[pyclass(
        with(
            Constructor,
            AsBuffer,
            AsMapping,
            AsNumber,
            AsSequence,
            Hashable,
            Iterable,
            Methods,
            Representable
        ),
        flags(HAS_WEAKREF)
    )]
    impl AudioView {
        #[pyslot]
        fn slot_richcompare(
            zelf: &PyObject,
            other: &PyObject,
            comparison: PyComparisonOp,
            vm: &VirtualMachine,
        ) -> PyResult<Either<PyObjectRef, PyComparisonValue>> {
            compared(zelf, other, comparison, vm)
        }

        /// A new view of a shape, with arbitrary contents.
        #[pyclassmethod]
        fn empty(_cls: PyRef<PyType>, new: New, vm: &VirtualMachine) -> PyResult<Self> {
            new_view(new, false, vm)
        }

        /// A new view of a shape, filled with zeros.
        #[pyclassmethod]
        fn zeros(_cls: PyRef<PyType>, new: New, vm: &VirtualMachine) -> PyResult<Self> {
            new_view(new, true, vm)
        }

        /// Length of each axis.
        #[pygetset]
        fn shape(zelf: &Py<Self>, vm: &VirtualMachine) -> PyTupleRef {
            let lengths = zelf.view.layout().shape().iter();
            let lengths = lengths.map(|&length| vm.ctx.new_int(length).into());
            vm.ctx.new_tuple(lengths.collect())
        }

        /// The dtype: numpy's name for it as a `str` with the attributes `name`, `kind`,
        /// `itemsize`.
        #[pygetset]
        fn dtype(zelf: &Py<Self>, vm: &VirtualMachine) -> PyResult {
            static CLASS: OnceLock<PyObjectRef> = OnceLock::new();
            if CLASS.get().is_none() {
                let _first_stays = CLASS.set(helper("Dtype", vm)?);
            }
            let class = CLASS
                .get()
                .ok_or_else(|| vm.new_runtime_error("the class of dtypes is missing"))?;
            class.call((zelf.view.kind().name(),), vm)
        }

        /// Setter of `shape`: raises an error that moves the node to CPython, where numpy allows
        /// this.
        #[pygetset(setter)]
        fn set_shape(_zelf: &Py<Self>, _shape: PyObjectRef, vm: &VirtualMachine) -> PyResult<()> {
            Err(read_only("shape", vm))
        }

        /// Setter of `dtype`: raises an error that moves the node to CPython, where numpy allows
        /// this.
        #[pygetset(setter)]
        fn set_dtype(_zelf: &Py<Self>, _dtype: PyObjectRef, vm: &VirtualMachine) -> PyResult<()> {
            Err(read_only("dtype", vm))
        }

        /// Samples per second, or None if unknown.
        #[pygetset]
        fn sample_rate(zelf: &Py<Self>) -> Option<u32> {
            zelf.view.sample_rate_hz
        }

        /// Number of axes.
        #[pygetset]
        fn ndim(zelf: &Py<Self>) -> usize {
            zelf.view.layout().shape().len()
        }

        /// Size of one element, in bytes.
        #[pygetset]
        fn itemsize(zelf: &Py<Self>) -> usize {
            zelf.view.kind().bytes()
        }

        /// Number of elements.
        #[pygetset]
        fn size(zelf: &Py<Self>) -> usize {
            zelf.view.layout().len()
        }

        /// Size of all elements together, in bytes.
        #[pygetset]
        fn nbytes(zelf: &Py<Self>) -> usize {
            zelf.view.layout().len_bytes()
        }

        /// Whether the view is read-only, because its memory is shared with other readers.
        #[pygetset]
        fn readonly(zelf: &Py<Self>) -> bool {
            !zelf.view.block().is_writable()
        }

        /// Whether the view lies in shared memory, so that it can be sent without a copy.
        #[pygetset]
        fn is_shared(zelf: &Py<Self>) -> bool {
            zelf.view.block().shared_bytes().is_some()
        }

        /// Sets every element to `value`.
        #[pymethod]
        fn fill(zelf: &Py<Self>, value: PyObjectRef, vm: &VirtualMachine) -> PyResult<()> {
            fill(&zelf.view, number_of(&value, vm)?).or_raise(vm)
        }

        /// The numbers as nested lists.
        #[pymethod]
        fn tolist(zelf: &Py<Self>, vm: &VirtualMachine) -> PyResult {
            subscript::nested_lists(&zelf.view, vm)
        }

        /// The numbers as bytes, in C order.
        #[pymethod]
        fn tobytes(zelf: &Py<Self>, vm: &VirtualMachine) -> PyResult<PyRef<PyBytes>> {
            let dense = zelf.view.copy(&Supply::default()).or_raise(vm)?;
            Ok(vm.ctx.new_bytes(dense.bytes().to_vec()))
        }

        /// An `array.array` with the numbers, in C order.
        #[pymethod]
        fn to_array(zelf: &Py<Self>, vm: &VirtualMachine) -> PyResult {
            let bytes = Self::tobytes(zelf, vm)?;
            let class = vm.import("array", 0)?.get_attr("array", vm)?;
            class.call((zelf.view.kind().format(), bytes), vm)
        }

        #[pymethod]
        fn __reduce_ex__(zelf: &Py<Self>, _protocol: usize, vm: &VirtualMachine) -> PyResult {
            let restore = helper("restore", vm)?;
            let view = &zelf.view;
            let arguments = vm.new_tuple((
                Self::tobytes(zelf, vm)?,
                view.kind().name(),
                Self::shape(zelf, vm),
                view.sample_rate_hz,
            ));
            Ok(vm.new_tuple((restore, arguments)).into())
        }
    }

    static BUFFER_METHODS: BufferMethods = BufferMethods {
        obj_bytes: |buffer| buffer.obj_as::<AudioView>().view.block().as_slice().into(),
        obj_bytes_mut: |buffer| buffer.obj_as::<AudioView>().view.block().as_mut_slice().into(),
        // Nothing to do: a buffer holds a reference to the view, and the view one to its memory.
        release: |_| (),
        retain: |_| (),
    };

    impl AsBuffer for AudioView {
        fn as_buffer(zelf: &Py<Self>, _vm: &VirtualMachine) -> PyResult<PyBuffer> {
            let description = buffers::description(&zelf.view);
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
                    let value =
                        value.ok_or_else(|| vm.new_type_error("elements cannot be deleted"))?;
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
                contains: atomic_func!(|sequence, value, vm| {
                    contains(&AudioView::sequence_downcast(sequence).view, value, vm)
                }),
                ..PySequenceMethods::NOT_IMPLEMENTED
            };
            &METHODS
        }
    }

    impl Hashable for AudioView {
        fn hash(_zelf: &Py<Self>, vm: &VirtualMachine) -> PyResult<PyHash> {
            Err(vm.new_type_error("unhashable type: 'remotemedia.AudioView'"))
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
