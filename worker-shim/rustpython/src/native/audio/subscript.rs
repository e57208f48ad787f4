//! `view[...]`, `len(view)` and lists of its numbers.

use rustpython_vm::builtins::{PyEllipsis, PyInt, PySlice, PyTuple};
use rustpython_vm::{AsObject, PyObject, PyPayload, PyResult, VirtualMachine};
use worker_shim::audio::{Index, View};

use super::{AudioView, number_object, number_of, raise, view_of_sequences};

pub(super) fn length(view: &View, vm: &VirtualMachine) -> PyResult<usize> {
    let first = view.shape().first().copied();
    first.ok_or_else(|| vm.new_type_error("a view without axes has no length"))
}

/// The element of a view with one axis, or the part of the first axis of one with more.
pub(super) fn item(view: &View, place: isize, vm: &VirtualMachine) -> PyResult {
    if view.shape().len() == 1 {
        let number = view.number(&[place]);
        return number.map(|number| number_object(number, vm)).map_err(|error| raise(error, vm));
    }
    selected(view, &[Index::At(place)], vm)
}

pub(super) fn get(view: &View, subscript: &PyObject, vm: &VirtualMachine) -> PyResult {
    if let Some(place) = subscript.downcast_ref::<PyInt>() {
        return item(view, place.try_to_primitive(vm)?, vm);
    }
    selected(view, &parts(subscript, vm)?, vm)
}

fn selected(view: &View, parts: &[Index], vm: &VirtualMachine) -> PyResult {
    let part = view.select(parts).map_err(|error| raise(error, vm))?;
    if part.shape().is_empty() && !parts.contains(&Index::Ellipsis) {
        let number = part.number(&[]);
        return number.map(|number| number_object(number, vm)).map_err(|error| raise(error, vm));
    }
    Ok(AudioView::new(part).into_pyobject(vm))
}

pub(super) fn set(
    view: &View,
    subscript: &PyObject,
    value: &PyObject,
    vm: &VirtualMachine,
) -> PyResult<()> {
    let raised = |error| raise(error, vm);
    if let Some(place) = subscript.downcast_ref::<PyInt>()
        && view.shape().len() == 1
    {
        let number = number_of(value, vm)?;
        return view.set_number(&[place.try_to_primitive(vm)?], number).map_err(raised);
    }
    let part = view.select(&parts(subscript, vm)?).map_err(raised)?;
    if let Some(other) = value.downcast_ref::<AudioView>() {
        return part.copy_from(other.view()).map_err(raised);
    }
    if value.check_buffer() {
        let buffer = value.to_owned().try_into_value(vm)?;
        return part.copy_from(&super::view_of_buffer(&buffer, vm)?).map_err(raised);
    }
    let types = &vm.ctx.types;
    if value.class().is(types.list_type) || value.class().is(types.tuple_type) {
        let kind = part.kind().map_err(raised)?;
        return part.copy_from(&view_of_sequences(value, kind, vm)?).map_err(raised);
    }
    let number = number_of(value, vm)?;
    part.fill_from(std::iter::repeat_n(Ok(number), part.len())).map_err(raised)
}

fn parts(subscript: &PyObject, vm: &VirtualMachine) -> PyResult<Vec<Index>> {
    match subscript.downcast_ref::<PyTuple>() {
        Some(tuple) => tuple.as_slice().iter().map(|part| index(part, vm)).collect(),
        None => Ok(vec![index(subscript, vm)?]),
    }
}

fn index(part: &PyObject, vm: &VirtualMachine) -> PyResult<Index> {
    if part.class().is(PyEllipsis::class(&vm.ctx)) {
        return Ok(Index::Ellipsis);
    }
    let Some(slice) = part.downcast_ref::<PySlice>() else {
        let place = part.try_index_opt(vm).ok_or_else(|| {
            let kind = part.class().name().to_string();
            vm.new_type_error(format!("an 'AudioView' takes integers, slices and ..., not {kind}"))
        })??;
        return Ok(Index::At(place.try_to_primitive(vm)?));
    };
    let bound = |bound: &PyObject| {
        if vm.is_none(bound) {
            return Ok(None);
        }
        bound.try_index(vm)?.try_to_primitive(vm).map(Some)
    };
    let start = slice.start.as_deref().map(bound).transpose()?.flatten();
    let step = slice.step.as_deref().map(bound).transpose()?.flatten();
    Ok(Index::Slice { start, stop: bound(&slice.stop)?, step: step.unwrap_or(1) })
}

/// The numbers as nested lists; a view without axes gives its number.
pub(super) fn nested_lists(view: &View, vm: &VirtualMachine) -> PyResult {
    let mut numbers = Vec::with_capacity(view.len());
    let read = view.each_number(|number| {
        numbers.push(number_object(number, vm));
        Ok(())
    });
    read.map_err(|error| raise(error, vm))?;
    // From the last axis to the first: each makes lists of what the next one made.
    for &length in view.shape().iter().rev() {
        if length == 0 {
            let outer = view.shape().iter().take_while(|length| **length > 0).product();
            numbers = (0..outer).map(|_| vm.ctx.new_list(Vec::new()).into()).collect();
            continue;
        }
        let lists = numbers.chunks(length).map(|part| vm.ctx.new_list(part.to_vec()).into());
        numbers = lists.collect();
    }
    numbers.pop().ok_or_else(|| vm.new_value_error("the view has no numbers"))
}
