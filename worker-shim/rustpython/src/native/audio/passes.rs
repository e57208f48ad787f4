//! View methods that read all numbers: reductions, `clip`, `rms` and `peak`.

use rustpython_vm::{Py, PyObjectRef, PyPayload, PyResult, VirtualMachine, pyclass};
use worker_shim::audio::{Along, Reduction, View, ViewError};

use super::arguments::{Bounds, Dropping, Known};
use super::operators::{found, operand_of, shown};
use super::{AudioView, raise, supply};

/// The methods that read all numbers of a view.
#[pyclass]
pub(crate) trait Passes: PyPayload {
    fn passed(zelf: &Py<Self>) -> &View;

    /// The sum of all numbers, or a view with the sums along axes. Floats are added up in double
    /// precision, then rounded to their dtype.
    #[pymethod]
    fn sum(zelf: &Py<Self>, along: Known<Dropping>, vm: &VirtualMachine) -> PyResult {
        reduced(Self::passed(zelf), Reduction::Sum, along.0, vm)
    }

    /// The mean of all numbers, or a view with the means along axes.
    #[pymethod]
    fn mean(zelf: &Py<Self>, along: Known<Dropping>, vm: &VirtualMachine) -> PyResult {
        reduced(Self::passed(zelf), Reduction::Mean, along.0, vm)
    }

    /// The smallest number, or a view with the smallest ones along axes.
    #[pymethod]
    fn min(zelf: &Py<Self>, along: Known<Dropping>, vm: &VirtualMachine) -> PyResult {
        reduced(Self::passed(zelf), Reduction::Minimum, along.0, vm)
    }

    /// The largest number, or a view with the largest ones along axes.
    #[pymethod]
    fn max(zelf: &Py<Self>, along: Known<Dropping>, vm: &VirtualMachine) -> PyResult {
        reduced(Self::passed(zelf), Reduction::Maximum, along.0, vm)
    }

    /// Whether any number is not zero, or a view with the answers along axes.
    #[pymethod]
    fn any(zelf: &Py<Self>, along: Known<Dropping>, vm: &VirtualMachine) -> PyResult {
        reduced(Self::passed(zelf), Reduction::Any, along.0, vm)
    }

    /// Whether no number is zero, or a view with the answers along axes.
    #[pymethod]
    fn all(zelf: &Py<Self>, along: Known<Dropping>, vm: &VirtualMachine) -> PyResult {
        reduced(Self::passed(zelf), Reduction::All, along.0, vm)
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
        shown(Self::passed(zelf).clip(low.as_ref(), high.as_ref(), supply()), vm)
    }

    /// The root mean square.
    #[pymethod]
    fn rms(zelf: &Py<Self>, vm: &VirtualMachine) -> PyResult<f64> {
        Self::passed(zelf).rms().map_err(|error| raise(error, vm))
    }

    /// The largest absolute value.
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
