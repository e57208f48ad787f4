//! Views of sequences and iterators of numbers.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyIterator, PyList, PyRange, PyTuple};
use worker_shim::audio::{Growing, Kind, Number, View};

use super::{number_of, raise, supply};

/// Whether it may stand for an axis.
pub(super) fn is_sequence(object: &Bound<'_, PyAny>) -> bool {
    object.is_instance_of::<PyList>()
        || object.is_instance_of::<PyTuple>()
        || object.is_instance_of::<PyRange>()
}

/// A new view of nested sequences of numbers, of the kind that they are if none is named.
pub(super) fn view_of_sequences(object: &Bound<'_, PyAny>, kind: Option<Kind>) -> PyResult<View> {
    let (mut shape, mut numbers) = (Vec::new(), Vec::new());
    collect(object, 0, &mut shape, &mut numbers)?;
    let mut made = Growing::new(kind.unwrap_or_else(|| Kind::of_numbers(&numbers)));
    numbers.into_iter().try_for_each(|number| made.push(number)).map_err(raise)?;
    made.view(&shape, &supply()).map_err(raise)
}

/// The same, or a view of what an iterator gives.
pub(super) fn view_of_numbers(object: &Bound<'_, PyAny>, kind: Kind) -> PyResult<View> {
    let Ok(numbers) = object.cast::<PyIterator>() else {
        return view_of_sequences(object, Some(kind));
    };
    let mut made = Growing::new(kind);
    for number in numbers.clone() {
        made.push(number_of(&number?)?).map_err(raise)?;
    }
    let shape = [made.len()];
    made.view(&shape, &supply()).map_err(raise)
}

fn collect(
    object: &Bound<'_, PyAny>,
    depth: usize,
    shape: &mut Vec<usize>,
    numbers: &mut Vec<Number>,
) -> PyResult<()> {
    let uneven = || PyValueError::new_err("the sequences are not nested evenly");
    if !is_sequence(object) {
        if depth < shape.len() {
            return Err(uneven());
        }
        numbers.push(number_of(object)?);
        return Ok(());
    }
    let length = object.len()?;
    if numbers.is_empty() && depth == shape.len() {
        shape.push(length);
    } else if shape.get(depth) != Some(&length) {
        return Err(uneven());
    }
    for element in object.try_iter()? {
        collect(&element?, depth + 1, shape, numbers)?;
    }
    Ok(())
}
