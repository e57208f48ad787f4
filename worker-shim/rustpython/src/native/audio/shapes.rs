//! View methods that change shape or dtype, or copy.

use rustpython_vm::builtins::PyType;
use rustpython_vm::function::PosArgs;
use rustpython_vm::{Py, PyObjectRef, PyPayload, PyRef, PyResult, VirtualMachine, pyclass};
use worker_shim::audio::View;

use super::arguments::{Casting, Joined, Known, lengths};
use super::operators::{shown, single};
use super::{AudioView, raise, supply};

/// The methods that return the same numbers in another shape, dtype or place.
#[pyclass]
pub(crate) trait Shapes: PyPayload {
    fn shaped(zelf: &Py<Self>) -> &View;

    fn only(zelf: &Py<Self>, vm: &VirtualMachine) -> PyResult;

    /// A view of the same memory with the axes in reverse order.
    #[pygetset(name = "T")]
    fn reversed(zelf: &Py<Self>, vm: &VirtualMachine) -> PyResult {
        shown(Self::shaped(zelf).transpose(&[]), vm)
    }

    /// Size of one element, in bytes.
    #[pygetset]
    fn itemsize(zelf: &Py<Self>) -> usize {
        Self::shaped(zelf).kind().bytes()
    }

    /// A copy with memory of its own.
    #[pymethod]
    fn copy(zelf: &Py<Self>, _none: Known<()>, vm: &VirtualMachine) -> PyResult {
        shown(Self::shaped(zelf).copy(supply()), vm)
    }

    #[pymethod]
    fn __copy__(zelf: &Py<Self>, vm: &VirtualMachine) -> PyResult {
        Self::copy(zelf, Known(()), vm)
    }

    #[pymethod]
    fn __deepcopy__(zelf: &Py<Self>, _memo: PyObjectRef, vm: &VirtualMachine) -> PyResult {
        Self::copy(zelf, Known(()), vm)
    }

    /// The numbers in another dtype, as a new view. Fractions are cut off, integers wrap around.
    /// With `copy=False`, returns the view itself if it has the dtype already.
    #[pymethod]
    fn astype(zelf: PyRef<Self>, casting: Known<Casting>, vm: &VirtualMachine) -> PyResult {
        let view = Self::shaped(&zelf);
        if !casting.0.copy && view.kind() == casting.0.dtype.0 {
            return Ok(zelf.into());
        }
        shown(view.cast(casting.0.dtype.0, supply()), vm)
    }

    /// The same elements in another shape; one axis may be -1. A view of the same memory if the
    /// elements lie in C order without gaps, otherwise a copy.
    #[pymethod]
    fn reshape(zelf: &Py<Self>, shape: Known<PosArgs>, vm: &VirtualMachine) -> PyResult {
        shown(Self::shaped(zelf).reshape(&lengths(shape.0, vm)?, supply()), vm)
    }

    /// The elements on a single axis: a view of the same memory if they lie in C order without
    /// gaps, otherwise a copy.
    #[pymethod]
    fn ravel(zelf: &Py<Self>, _none: Known<()>, vm: &VirtualMachine) -> PyResult {
        shown(Self::shaped(zelf).raveled(supply()), vm)
    }

    /// A copy with all elements on a single axis.
    #[pymethod]
    fn flatten(zelf: &Py<Self>, _none: Known<()>, vm: &VirtualMachine) -> PyResult {
        let copy = Self::shaped(zelf).copy(supply());
        shown(copy.and_then(|copy| copy.raveled(supply())), vm)
    }

    /// A view of the same memory with the axes in another order; without arguments, in reverse
    /// order.
    #[pymethod]
    fn transpose(zelf: &Py<Self>, axes: PosArgs, vm: &VirtualMachine) -> PyResult {
        shown(Self::shaped(zelf).transpose(&lengths(axes, vm)?), vm)
    }

    /// The number of a view with one element.
    #[pymethod]
    fn item(zelf: &Py<Self>, vm: &VirtualMachine) -> PyResult {
        Self::only(zelf, vm)
    }

    /// A new view of several views joined along an axis.
    #[pyclassmethod]
    fn concatenate(_cls: PyRef<PyType>, joined: Joined, vm: &VirtualMachine) -> PyResult {
        let views: Vec<PyRef<AudioView>> = joined.views.try_into_value(vm)?;
        let views: Vec<View> = views.iter().map(|view| view.view().clone()).collect();
        let made = View::joined(&views, joined.axis, supply());
        made.map(|made| AudioView::new(made).into_pyobject(vm)).map_err(|error| raise(error, vm))
    }
}

impl Shapes for AudioView {
    fn shaped(zelf: &Py<Self>) -> &View {
        zelf.view()
    }

    fn only(zelf: &Py<Self>, vm: &VirtualMachine) -> PyResult {
        single(zelf, vm)
    }
}
