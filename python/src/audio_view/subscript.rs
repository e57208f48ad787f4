//! `view[...]`, and lists of its numbers.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyEllipsis, PyList, PySlice, PyTuple};
use worker_shim::audio::{Index, Operand, Part, View};

use super::operators::found;
use super::sequences::{is_sequence, view_of_sequences};
use super::{AudioView, buffer, number_object, number_of, raise, supply};

pub(super) fn get(
    py: Python<'_>,
    view: &View,
    subscript: &Bound<'_, PyAny>,
) -> PyResult<Py<PyAny>> {
    if let Some(place) = place_of(view, subscript) {
        return number_object(py, view.number(&[place]).map_err(raise)?);
    }
    found(py, view.get(&parts(subscript)?, &supply()))
}

pub(super) fn set(
    view: &View,
    subscript: &Bound<'_, PyAny>,
    value: &Bound<'_, PyAny>,
) -> PyResult<()> {
    if let Some(place) = place_of(view, subscript) {
        return view.set_number(&[place], number_of(value)?).map_err(raise);
    }
    view.set(&parts(subscript)?, &assigned(view, value)?).map_err(raise)
}

/// What is written to elements of a view.
fn assigned(view: &View, value: &Bound<'_, PyAny>) -> PyResult<Operand> {
    if let Ok(other) = value.cast::<AudioView>() {
        return Ok(Operand::View(other.get().view().clone()));
    }
    if buffer::is_one(value) {
        return buffer::view_of(value, None).map(Operand::View);
    }
    if is_sequence(value) {
        let kind = view.kind().map_err(raise)?;
        return view_of_sequences(value, Some(kind)).map(Operand::View);
    }
    number_of(value).map(Operand::Number)
}

/// The place of a single number in a view with one axis.
fn place_of(view: &View, subscript: &Bound<'_, PyAny>) -> Option<isize> {
    let is_truth = subscript.is_instance_of::<PyBool>();
    let is_place = view.shape().len() == 1 && subscript.cast::<AudioView>().is_err() && !is_truth;
    is_place.then(|| subscript.extract().ok()).flatten()
}

fn parts(subscript: &Bound<'_, PyAny>) -> PyResult<Vec<Part>> {
    match subscript.cast::<PyTuple>() {
        Ok(tuple) => tuple.iter().map(|part| one_part(&part)).collect(),
        Err(_) => Ok(vec![one_part(subscript)?]),
    }
}

fn one_part(part: &Bound<'_, PyAny>) -> PyResult<Part> {
    if let Ok(view) = part.cast::<AudioView>() {
        return Ok(Part::Chosen(view.get().view().clone()));
    }
    if part.is_instance_of::<PyBool>() || is_sequence(part) {
        return view_of_sequences(part, None).map(Part::Chosen);
    }
    // Bytes are numbers to nobody here.
    if buffer::is_one(part) && !part.is_instance_of::<PyBytes>() {
        return buffer::view_of(part, None).map(Part::Chosen);
    }
    index(part).map(Part::Index)
}

fn index(part: &Bound<'_, PyAny>) -> PyResult<Index> {
    if part.is_instance_of::<PyEllipsis>() {
        return Ok(Index::Ellipsis);
    }
    if part.is_none() {
        return Ok(Index::NewAxis);
    }
    let Ok(slice) = part.cast::<PySlice>() else {
        if part.hasattr("__index__")? {
            return part.extract().map(Index::At);
        }
        return Err(PyTypeError::new_err(format!(
            "an 'AudioView' takes integers, slices, ..., None, masks and lists, not {}",
            part.get_type().name()?
        )));
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
