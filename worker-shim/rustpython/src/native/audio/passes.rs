//! The methods of views that go through all numbers.

use rustpython_vm::{Py, PyObjectRef, PyPayload, PyResult, VirtualMachine, pyclass};
use worker_shim::audio::{Along, Operand, Operator, Reduction, View};

use super::arguments::{Bounds, Decimals, Dropping, Place, Running, Spread};
use super::operators::{found, operand_of, shown};
use super::{AudioView, raise, supply};

/// The methods that go through all numbers.
#[pyclass]
pub(crate) trait Passes: PyPayload {
    fn passed(zelf: &Py<Self>) -> &View;

    /// The sum of all numbers, or a view with the sums along axes. Floats are added up in double
    /// precision.
    #[pymethod]
    fn sum(zelf: &Py<Self>, along: Dropping, vm: &VirtualMachine) -> PyResult {
        reduced(Self::passed(zelf), Reduction::Sum, along, vm)
    }

    /// The mean of all numbers, or a view with the means along axes.
    #[pymethod]
    fn mean(zelf: &Py<Self>, along: Dropping, vm: &VirtualMachine) -> PyResult {
        reduced(Self::passed(zelf), Reduction::Mean, along, vm)
    }

    /// The smallest number, or a view with the smallest ones along axes.
    #[pymethod]
    fn min(zelf: &Py<Self>, along: Dropping, vm: &VirtualMachine) -> PyResult {
        reduced(Self::passed(zelf), Reduction::Minimum, along, vm)
    }

    /// The largest number, or a view with the largest ones along axes.
    #[pymethod]
    fn max(zelf: &Py<Self>, along: Dropping, vm: &VirtualMachine) -> PyResult {
        reduced(Self::passed(zelf), Reduction::Maximum, along, vm)
    }

    /// Whether a number is not zero, of all or along axes.
    #[pymethod]
    fn any(zelf: &Py<Self>, along: Dropping, vm: &VirtualMachine) -> PyResult {
        reduced(Self::passed(zelf), Reduction::Any, along, vm)
    }

    /// Whether no number is zero, of all or along axes.
    #[pymethod]
    fn all(zelf: &Py<Self>, along: Dropping, vm: &VirtualMachine) -> PyResult {
        reduced(Self::passed(zelf), Reduction::All, along, vm)
    }

    /// The product of all numbers, or a view with the products along axes. Floats are multiplied in
    /// double precision.
    #[pymethod]
    fn prod(zelf: &Py<Self>, along: Dropping, vm: &VirtualMachine) -> PyResult {
        found(Self::passed(zelf).product(&along.into(), supply()), vm)
    }

    /// The variance of all numbers, or a view with the variances along axes; its divisor is the
    /// count of numbers less `ddof`.
    #[pymethod]
    fn var(zelf: &Py<Self>, spread: Spread, vm: &VirtualMachine) -> PyResult {
        let (along, ddof) = spread.taken_apart();
        found(Self::passed(zelf).variance(&along, ddof, supply()), vm)
    }

    /// The standard deviation of all numbers, or a view with those along axes: the root of the
    /// variance.
    #[pymethod]
    fn std(zelf: &Py<Self>, spread: Spread, vm: &VirtualMachine) -> PyResult {
        let (along, ddof) = spread.taken_apart();
        found(Self::passed(zelf).deviation(&along, ddof, supply()), vm)
    }

    /// Where the smallest number stands: the first of all in C order, or a view with the places
    /// along an axis.
    #[pymethod]
    fn argmin(zelf: &Py<Self>, place: Place, vm: &VirtualMachine) -> PyResult {
        found(Self::passed(zelf).place_of(true, place.axis, place.keepdims, supply()), vm)
    }

    /// Where the largest number stands: the first of all in C order, or a view with the places along
    /// an axis.
    #[pymethod]
    fn argmax(zelf: &Py<Self>, place: Place, vm: &VirtualMachine) -> PyResult {
        found(Self::passed(zelf).place_of(false, place.axis, place.keepdims, supply()), vm)
    }

    /// The sums of all numbers up to each one: along an axis, or of all in C order.
    #[pymethod]
    fn cumsum(zelf: &Py<Self>, running: Running, vm: &VirtualMachine) -> PyResult {
        shown(Self::passed(zelf).running_sum(running.axis, supply()), vm)
    }

    /// The numbers rounded to so many decimals, halves to even digits.
    #[pymethod]
    fn round(zelf: &Py<Self>, decimals: Decimals, vm: &VirtualMachine) -> PyResult {
        shown(Self::passed(zelf).rounded(decimals.decimals, supply()), vm)
    }

    /// The product with another vector or matrix, or with a number. Floats are added up in double
    /// precision.
    #[pymethod]
    fn dot(zelf: &Py<Self>, other: PyObjectRef, vm: &VirtualMachine) -> PyResult {
        match operand_of(&other, vm)? {
            Some(Operand::View(other)) => found(Self::passed(zelf).times(&other, supply()), vm),
            Some(number) => {
                let own = Operand::View(Self::passed(zelf).clone());
                shown(Operator::Multiply.apply(&own, &number, supply()), vm)
            }
            None => Err(vm.new_type_error("dot() takes an 'AudioView' or a number")),
        }
    }

    /// A new view whose numbers are not below `min` and not above `max`: numbers or views, or None.
    #[pymethod]
    fn clip(zelf: &Py<Self>, bounds: Bounds, vm: &VirtualMachine) -> PyResult {
        let bound = |object: PyObjectRef| {
            let refused = || vm.new_type_error("a bound of clip() is a number or an 'AudioView'");
            operand_of(&object, vm)?.ok_or_else(refused)
        };
        let low = bounds.min.map(bound).transpose()?;
        let high = bounds.max.map(bound).transpose()?;
        shown(Self::passed(zelf).clip(low.as_ref(), high.as_ref(), supply()), vm)
    }

    /// The root of the mean square.
    #[pymethod]
    fn rms(zelf: &Py<Self>, vm: &VirtualMachine) -> PyResult<f64> {
        Self::passed(zelf).rms().map_err(|error| raise(error, vm))
    }

    /// The largest magnitude.
    #[pymethod]
    fn peak(zelf: &Py<Self>, vm: &VirtualMachine) -> PyResult<f64> {
        Self::passed(zelf).peak().map_err(|error| raise(error, vm))
    }
}

impl Passes for AudioView {
    fn passed(zelf: &Py<Self>) -> &View {
        zelf.view()
    }
}

fn reduced(view: &View, what: Reduction, along: Dropping, vm: &VirtualMachine) -> PyResult {
    found(view.reduced(what, &Along::from(along), supply()), vm)
}
