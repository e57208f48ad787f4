//! View methods: reductions and levels, gains, and the same numbers in another shape, dtype or place.

use rustpython_vm::builtins::PyType;
use rustpython_vm::function::{ArgIntoFloat, PosArgs};
use rustpython_vm::{Py, PyObjectRef, PyPayload, PyRef, PyResult, VirtualMachine, pyclass};
use worker_shim::audio::{
    Reduction, View, ViewError, cast, clip, concatenate, mix, peak, rms, scale,
};

use super::arguments::{Axes, Bounds, Casting, Dropping, Joined, Known, Mixed, Scaled, lengths};
use super::operators::{operand_of, shown, single};
use super::{AudioView, OrRaise, raise, supply};

/// The methods of a view that compute.
#[pyclass]
pub(crate) trait Methods: PyPayload {
    fn own(zelf: &Py<Self>) -> &View;

    /// The sum of all numbers, or a view with the sums along axes. Floats are added up in double
    /// precision, then rounded to their dtype.
    #[pymethod]
    fn sum(zelf: &Py<Self>, along: Known<Dropping>, vm: &VirtualMachine) -> PyResult {
        reduced(Self::own(zelf), Reduction::Sum, along.0, vm)
    }

    /// The mean of all numbers, or a view with the means along axes.
    #[pymethod]
    fn mean(zelf: &Py<Self>, along: Known<Dropping>, vm: &VirtualMachine) -> PyResult {
        reduced(Self::own(zelf), Reduction::Mean, along.0, vm)
    }

    /// The smallest number, or a view with the smallest ones along axes.
    #[pymethod]
    fn min(zelf: &Py<Self>, along: Known<Dropping>, vm: &VirtualMachine) -> PyResult {
        reduced(Self::own(zelf), Reduction::Minimum, along.0, vm)
    }

    /// The largest number, or a view with the largest ones along axes.
    #[pymethod]
    fn max(zelf: &Py<Self>, along: Known<Dropping>, vm: &VirtualMachine) -> PyResult {
        reduced(Self::own(zelf), Reduction::Maximum, along.0, vm)
    }

    /// Whether any number is not zero, or a view with the answers along axes.
    #[pymethod]
    fn any(zelf: &Py<Self>, along: Known<Dropping>, vm: &VirtualMachine) -> PyResult {
        reduced(Self::own(zelf), Reduction::Any, along.0, vm)
    }

    /// Whether no number is zero, or a view with the answers along axes.
    #[pymethod]
    fn all(zelf: &Py<Self>, along: Known<Dropping>, vm: &VirtualMachine) -> PyResult {
        reduced(Self::own(zelf), Reduction::All, along.0, vm)
    }

    /// The root mean square.
    #[pymethod]
    fn rms(zelf: &Py<Self>, vm: &VirtualMachine) -> PyResult<f64> {
        rms(Self::own(zelf)).or_raise(vm)
    }

    /// The largest absolute value.
    #[pymethod]
    fn peak(zelf: &Py<Self>, vm: &VirtualMachine) -> PyResult<f64> {
        peak(Self::own(zelf)).or_raise(vm)
    }

    /// A new view with the numbers limited to the range from `min` to `max`, each a number, a view
    /// or None.
    #[pymethod]
    fn clip(zelf: &Py<Self>, bounds: Known<Bounds>, vm: &VirtualMachine) -> PyResult {
        let bound = |object: PyObjectRef| {
            let refused = "a bound of clip() is a number or an 'AudioView'";
            let refused = || raise(ViewError::Unsupported(refused.to_owned()), vm);
            operand_of(&object, vm)?.ok_or_else(refused)
        };
        let low = bounds.0.min.map(bound).transpose()?;
        let high = bounds.0.max.map(bound).transpose()?;
        shown(clip(Self::own(zelf), low.as_ref(), high.as_ref(), supply()), vm)
    }

    /// Multiplies each number by `factor`; returns a new view or `out`, which may be this view.
    /// For integers the fraction is cut off and the result is limited to the dtype's range.
    #[pymethod]
    fn scale(zelf: &Py<Self>, args: Scaled, vm: &VirtualMachine) -> PyResult {
        let out = args.out.as_ref().map(|out| out.view());
        let made = scale(Self::own(zelf), args.factor.into_float(), out, supply());
        made_or_out(made, args.out, vm)
    }

    /// Adds `gain` times `other` to each number; returns a new view or `out`, which may be this
    /// view or `other`. For integers the fraction is cut off and the result is limited to the
    /// dtype's range.
    #[pymethod]
    fn mix(zelf: &Py<Self>, args: Mixed, vm: &VirtualMachine) -> PyResult {
        let gain = args.gain.map_or(1.0, ArgIntoFloat::into_float);
        let out = args.out.as_ref().map(|out| out.view());
        let made = mix(Self::own(zelf), args.other.view(), gain, out, supply());
        made_or_out(made, args.out, vm)
    }

    /// A view of the same memory with the axes in reverse order.
    #[pygetset(name = "T")]
    fn reversed(zelf: &Py<Self>, vm: &VirtualMachine) -> PyResult {
        shown(Self::own(zelf).transpose(&[]), vm)
    }

    /// A copy with memory of its own.
    #[pymethod]
    fn copy(zelf: &Py<Self>, _none: Known<()>, vm: &VirtualMachine) -> PyResult {
        shown(Self::own(zelf).copy(supply()), vm)
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
        let (view, kind) = (Self::own(&zelf), casting.0.dtype.0);
        if !casting.0.copy && view.kind() == kind {
            return Ok(zelf.into());
        }
        shown(cast(view, kind, supply()), vm)
    }

    /// The same elements in another shape; one axis may be -1. A view of the same memory if the
    /// elements lie in C order without gaps, otherwise a copy.
    #[pymethod]
    fn reshape(zelf: &Py<Self>, shape: Known<PosArgs>, vm: &VirtualMachine) -> PyResult {
        shown(Self::own(zelf).reshape(&lengths(shape.0, vm)?, supply()), vm)
    }

    /// The elements on a single axis: a view of the same memory if they lie in C order without
    /// gaps, otherwise a copy.
    #[pymethod]
    fn ravel(zelf: &Py<Self>, _none: Known<()>, vm: &VirtualMachine) -> PyResult {
        shown(Self::own(zelf).reshape(&[-1], supply()), vm)
    }

    /// A copy with all elements on a single axis.
    #[pymethod]
    fn flatten(zelf: &Py<Self>, _none: Known<()>, vm: &VirtualMachine) -> PyResult {
        let copy = Self::own(zelf).copy(supply());
        shown(copy.and_then(|copy| copy.reshape(&[-1], supply())), vm)
    }

    /// A view of the same memory with the axes in another order; without arguments, in reverse
    /// order.
    #[pymethod]
    fn transpose(zelf: &Py<Self>, axes: PosArgs, vm: &VirtualMachine) -> PyResult {
        shown(Self::own(zelf).transpose(&lengths(axes, vm)?), vm)
    }

    /// The number of a view with one element.
    #[pymethod]
    fn item(zelf: &Py<Self>, vm: &VirtualMachine) -> PyResult {
        single(Self::own(zelf), vm)
    }

    /// A new view of several views joined along an axis.
    #[pyclassmethod]
    fn concatenate(_cls: PyRef<PyType>, joined: Joined, vm: &VirtualMachine) -> PyResult {
        let views: Vec<PyRef<AudioView>> = joined.views.try_into_value(vm)?;
        let views: Vec<View> = views.iter().map(|view| view.view().clone()).collect();
        shown(concatenate(&views, joined.axis, supply()), vm)
    }
}

impl Methods for AudioView {
    fn own(zelf: &Py<Self>) -> &View {
        zelf.view()
    }
}

fn reduced(view: &View, what: Reduction, along: Dropping, vm: &VirtualMachine) -> PyResult {
    let axes = along.axis.map(|Axes(axes)| axes);
    shown(what.apply(view, axes.as_deref(), along.keepdims, supply()), vm)
}

/// The object that a method with the argument `out` returns.
fn made_or_out(
    made: Result<View, ViewError>,
    out: Option<PyRef<AudioView>>,
    vm: &VirtualMachine,
) -> PyResult {
    let made = made.or_raise(vm)?;
    Ok(out.map_or_else(|| AudioView::new(made).into_pyobject(vm), Into::into))
}
