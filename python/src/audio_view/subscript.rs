//! `view[...]`, lists of its numbers, and views of lists.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyEllipsis, PyList, PyRange, PySlice, PyTuple};
use worker_shim::audio::{Index, Kind, Number, View};

use super::{AudioView, buffer, number_object, number_of, raise, supply};

pub(super) fn get(
    py: Python<'_>,
    view: &View,
    subscript: &Bound<'_, PyAny>,
) -> PyResult<Py<PyAny>> {
    if view.shape().len() == 1
        && let Ok(place) = subscript.extract::<isize>()
    {
        return number_object(py, view.number(&[place]).map_err(raise)?);
    }
    let parts = parts(subscript)?;
    let part = view.select(&parts).map_err(raise)?;
    if part.shape().is_empty() && !parts.contains(&Index::Ellipsis) {
        return number_object(py, part.number(&[]).map_err(raise)?);
    }
    Ok(Py::new(py, AudioView::new(part))?.into_any())
}

pub(super) fn set(
    view: &View,
    subscript: &Bound<'_, PyAny>,
    value: &Bound<'_, PyAny>,
) -> PyResult<()> {
    if view.shape().len() == 1
        && let Ok(place) = subscript.extract::<isize>()
    {
        return view.set_number(&[place], number_of(value)?).map_err(raise);
    }
    let part = view.select(&parts(subscript)?).map_err(raise)?;
    if let Ok(other) = value.cast::<AudioView>() {
        return part.copy_from(other.get().view()).map_err(raise);
    }
    if buffer::is_one(value) {
        return part.copy_from(&buffer::view_of(value, None)?).map_err(raise);
    }
    if value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>() {
        let kind = part.kind().map_err(raise)?;
        return part.copy_from(&view_of_sequences(value, kind)?).map_err(raise);
    }
    let numbers = std::iter::repeat_n(Ok(number_of(value)?), part.len());
    part.fill_from(numbers).map_err(raise)
}

fn parts(subscript: &Bound<'_, PyAny>) -> PyResult<Vec<Index>> {
    match subscript.cast::<PyTuple>() {
        Ok(tuple) => tuple.iter().map(|part| index(&part)).collect(),
        Err(_) => Ok(vec![index(subscript)?]),
    }
}

fn index(part: &Bound<'_, PyAny>) -> PyResult<Index> {
    if part.is_instance_of::<PyEllipsis>() {
        return Ok(Index::Ellipsis);
    }
    let Ok(slice) = part.cast::<PySlice>() else {
        return part.extract().map(Index::At);
    };
    let bound = |name: &str| slice.getattr(name)?.extract::<Option<isize>>();
    Ok(Index::Slice {
        start: bound("start")?,
        stop: bound("stop")?,
        step: bound("step")?.unwrap_or(1),
    })
}

/// The numbers as nested lists; a view without axes gives its number.
pub(super) fn nested_lists(py: Python<'_>, view: &View) -> PyResult<Py<PyAny>> {
    if view.shape().is_empty() {
        return number_object(py, view.number(&[]).map_err(raise)?);
    }
    let length = view.shape()[0].cast_signed();
    let parts: PyResult<Vec<Py<PyAny>>> = (0..length)
        .map(|place| {
            if view.shape().len() == 1 {
                return number_object(py, view.number(&[place]).map_err(raise)?);
            }
            nested_lists(py, &view.select(&[Index::At(place)]).map_err(raise)?)
        })
        .collect();
    Ok(PyList::new(py, parts?)?.into_any().unbind())
}

/// A new view of nested sequences of numbers.
pub(super) fn view_of_sequences(object: &Bound<'_, PyAny>, kind: Kind) -> PyResult<View> {
    let (mut shape, mut numbers) = (Vec::new(), Vec::new());
    collect(object, 0, &mut shape, &mut numbers)?;
    let block = supply().zeroed(numbers.len() * kind.bytes());
    let view = View::over(block, kind, &shape).map_err(raise)?;
    view.fill_from(numbers.into_iter().map(Ok)).map_err(raise)?;
    Ok(view)
}

fn collect(
    object: &Bound<'_, PyAny>,
    depth: usize,
    shape: &mut Vec<usize>,
    numbers: &mut Vec<Number>,
) -> PyResult<()> {
    let uneven = || PyValueError::new_err("the sequences are not nested evenly");
    let is_sequence = object.is_instance_of::<PyList>()
        || object.is_instance_of::<PyTuple>()
        || object.is_instance_of::<PyRange>();
    if !is_sequence {
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
