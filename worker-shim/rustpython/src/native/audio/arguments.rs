//! What the methods of views take.

use rustpython_vm::builtins::PyInt;
use rustpython_vm::function::{ArgIntoFloat, PosArgs};
use rustpython_vm::{FromArgs, PyObjectRef, PyRef, PyResult, VirtualMachine};

use super::AudioView;

/// `AudioView(...)`.
#[derive(FromArgs)]
pub(crate) struct Made {
    #[pyarg(any)]
    pub(super) source: PyObjectRef,
    #[pyarg(any, optional)]
    pub(super) dtype: Option<String>,
    #[pyarg(any, optional)]
    pub(super) sample_rate: Option<u32>,
}

/// `zeros` and `empty`.
#[derive(FromArgs)]
pub(super) struct New {
    #[pyarg(any)]
    pub(super) shape: PyObjectRef,
    #[pyarg(any, optional)]
    pub(super) dtype: Option<String>,
    #[pyarg(any, optional)]
    pub(super) sample_rate: Option<u32>,
}

/// `scale`.
#[derive(FromArgs)]
pub(super) struct Scaled {
    #[pyarg(any)]
    pub(super) factor: ArgIntoFloat,
    #[pyarg(any, optional)]
    pub(super) out: Option<PyRef<AudioView>>,
}

/// `mix`.
#[derive(FromArgs)]
pub(super) struct Mixed {
    #[pyarg(any)]
    pub(super) other: PyRef<AudioView>,
    #[pyarg(any, optional)]
    pub(super) gain: Option<ArgIntoFloat>,
    #[pyarg(any, optional)]
    pub(super) out: Option<PyRef<AudioView>>,
}

/// `sum` and the like.
#[derive(FromArgs)]
pub(crate) struct Along {
    #[pyarg(any, optional)]
    pub(super) axis: Option<isize>,
    #[pyarg(any, default = false)]
    pub(super) keepdims: bool,
}

/// `clip`.
#[derive(FromArgs)]
pub(crate) struct Bounds {
    #[pyarg(any, optional)]
    pub(super) min: Option<PyObjectRef>,
    #[pyarg(any, optional)]
    pub(super) max: Option<PyObjectRef>,
}

/// Integers that are given as arguments or as one sequence.
pub(super) fn lengths(given: PosArgs, vm: &VirtualMachine) -> PyResult<Vec<isize>> {
    match given.into_vec() {
        given if given.len() == 1 && given[0].downcast_ref::<PyInt>().is_none() => {
            given[0].clone().try_into_value(vm)
        }
        given => given.into_iter().map(|length| length.try_into_value(vm)).collect(),
    }
}
