//! Parsing of the arguments of view methods.

use std::ops::RangeInclusive;

use rustpython_vm::builtins::{PyInt, PyStr, PyTuple, PyType};
use rustpython_vm::function::{ArgIntoFloat, ArgumentError, FromArgs, FuncArgs, PosArgs};
use rustpython_vm::{FromArgs, PyObjectRef, PyRef, PyResult, TryFromObject, VirtualMachine};
use worker_shim::audio::{Kind, ViewError};

use super::{AudioView, OrRaise, raise};

/// Arguments of a method that takes more arguments in numpy. Such an argument raises a `TypeError`
/// that moves the node to CPython.
pub(crate) struct Known<T>(pub(super) T);

impl<T: FromArgs> FromArgs for Known<T> {
    fn arity() -> RangeInclusive<usize> {
        T::arity()
    }

    fn from_args(vm: &VirtualMachine, args: &mut FuncArgs) -> Result<Self, ArgumentError> {
        let known = T::from_args(vm, args)?;
        let named = args.remaining_keywords().next().map(|(name, _)| format!("'{name}'"));
        let other = named.or_else(|| args.take_positional().map(|_| "more".to_owned()));
        match other {
            None => Ok(Self(known)),
            Some(other) => {
                let message = format!("this method of 'AudioView' has no argument {other}");
                Err(raise(ViewError::Unsupported(message), vm).into())
            }
        }
    }
}

/// A dtype argument: its name, a type such as `float`, or an object with the attribute `name`.
#[derive(Clone, Copy)]
pub(super) struct Dtype(pub(super) Kind);

impl TryFromObject for Dtype {
    fn try_from_object(vm: &VirtualMachine, object: PyObjectRef) -> PyResult<Self> {
        let name: String = if let Some(kind) = object.downcast_ref::<PyType>() {
            kind.name().to_string()
        } else if object.downcast_ref::<PyStr>().is_some() {
            object.try_into_value(vm)?
        } else {
            let named = object.get_attr("name", vm);
            named
                .map_err(|_| vm.new_type_error("a dtype is a name or a type"))?
                .try_into_value(vm)?
        };
        Kind::named(&name).map(Self).or_raise(vm)
    }
}

/// An argument that names one axis or, as a tuple, several.
pub(super) struct Axes(pub(super) Vec<isize>);

impl TryFromObject for Axes {
    fn try_from_object(vm: &VirtualMachine, object: PyObjectRef) -> PyResult<Self> {
        if object.downcast_ref::<PyTuple>().is_some() {
            return object.try_into_value(vm).map(Self);
        }
        Ok(Self(vec![object.try_index(vm)?.try_to_primitive(vm)?]))
    }
}

/// Arguments of `AudioView(...)`.
#[derive(FromArgs)]
pub(crate) struct Made {
    #[pyarg(any)]
    pub(super) source: PyObjectRef,
    #[pyarg(any, optional)]
    pub(super) dtype: Option<Dtype>,
    #[pyarg(any, optional)]
    pub(super) sample_rate: Option<u32>,
}

/// Arguments of `zeros` and `empty`.
#[derive(FromArgs)]
pub(super) struct New {
    #[pyarg(any)]
    pub(super) shape: PyObjectRef,
    #[pyarg(any, optional)]
    pub(super) dtype: Option<Dtype>,
    #[pyarg(any, optional)]
    pub(super) sample_rate: Option<u32>,
}

/// Arguments of `concatenate`.
#[derive(FromArgs)]
pub(crate) struct Joined {
    #[pyarg(any)]
    pub(super) views: PyObjectRef,
    #[pyarg(any, default = 0)]
    pub(super) axis: isize,
}

/// Arguments of `astype`.
#[derive(FromArgs)]
pub(crate) struct Casting {
    #[pyarg(any)]
    pub(super) dtype: Dtype,
    #[pyarg(named, default = true)]
    pub(super) copy: bool,
}

/// Arguments of `scale`.
#[derive(FromArgs)]
pub(crate) struct Scaled {
    #[pyarg(any)]
    pub(super) factor: ArgIntoFloat,
    #[pyarg(any, optional)]
    pub(super) out: Option<PyRef<AudioView>>,
}

/// Arguments of `mix`.
#[derive(FromArgs)]
pub(crate) struct Mixed {
    #[pyarg(any)]
    pub(super) other: PyRef<AudioView>,
    #[pyarg(any, optional)]
    pub(super) gain: Option<ArgIntoFloat>,
    #[pyarg(any, optional)]
    pub(super) out: Option<PyRef<AudioView>>,
}

/// Arguments of `sum` and the other reductions.
#[derive(FromArgs)]
pub(crate) struct Dropping {
    #[pyarg(any, optional)]
    pub(super) axis: Option<Axes>,
    #[pyarg(named, default = false)]
    pub(super) keepdims: bool,
}

/// Arguments of `clip`.
#[derive(FromArgs)]
pub(crate) struct Bounds {
    #[pyarg(any, optional)]
    pub(super) min: Option<PyObjectRef>,
    #[pyarg(any, optional)]
    pub(super) max: Option<PyObjectRef>,
}

/// Integers given as separate arguments or as one sequence, as in `reshape(2, 3)`.
pub(super) fn lengths(given: PosArgs, vm: &VirtualMachine) -> PyResult<Vec<isize>> {
    match given.into_vec() {
        given if given.len() == 1 && given[0].downcast_ref::<PyInt>().is_none() => {
            given[0].clone().try_into_value(vm)
        }
        given => given.into_iter().map(|length| length.try_into_value(vm)).collect(),
    }
}
