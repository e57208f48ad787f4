//! Subscripts `view[...]`, `len(view)`, and conversion of a view to lists.

use rustpython_vm::builtins::{PyEllipsis, PyInt, PySlice, PyTuple};
use rustpython_vm::{AsObject, PyObject, PyPayload, PyResult, VirtualMachine};
use worker_shim::audio::{Index, Operand, View, ViewError, assign, set_number};

use super::numbers::{OrRaise, is_sequence, number_object, number_of, view_of_numbers};
use super::operators::shown;
use super::{AudioView, raise, supply};

pub(super) fn length(view: &View, vm: &VirtualMachine) -> PyResult<usize> {
    let first = view.layout().shape().first().copied();
    first.ok_or_else(|| vm.new_type_error("a view without axes has no length"))
}

/// `view[place]`: an element of a view with one axis, otherwise a view with one axis less.
pub(super) fn item(view: &View, place: isize, vm: &VirtualMachine) -> PyResult {
    if view.layout().shape().len() == 1 {
        return view.number(&[place]).or_raise(vm).map(|number| number_object(number, vm));
    }
    shown(view.get(&[Index::At(place)], supply()), vm)
}

pub(super) fn get(view: &View, subscript: &PyObject, vm: &VirtualMachine) -> PyResult {
    if let Some(place) = place_of(view, subscript, vm)? {
        return item(view, place, vm);
    }
    shown(view.get(&parts(subscript, vm)?, supply()), vm)
}

pub(super) fn set(
    view: &View,
    subscript: &PyObject,
    value: &PyObject,
    vm: &VirtualMachine,
) -> PyResult<()> {
    if let Some(place) = place_of(view, subscript, vm)? {
        return set_number(view, &[place], number_of(value, vm)?).or_raise(vm);
    }
    assign(view, &parts(subscript, vm)?, &assigned(view, value, vm)?).or_raise(vm)
}

/// Converts the value of an assignment `view[...] = value` to an operand.
fn assigned(view: &View, value: &PyObject, vm: &VirtualMachine) -> PyResult<Operand> {
    if let Some(other) = value.downcast_ref::<AudioView>() {
        return Ok(Operand::View(other.view().clone()));
    }
    if value.check_buffer() {
        let buffer = value.to_owned().try_into_value(vm)?;
        return super::view_of_buffer(&buffer, vm).map(Operand::View);
    }
    if is_sequence(value, vm) {
        return view_of_numbers(value, view.kind(), vm).map(Operand::View);
    }
    number_of(value, vm).map(Operand::Number)
}

/// The fast path for the most frequent subscript: the index of one element of a view with one axis;
/// `None` for other subscripts.
fn place_of(view: &View, subscript: &PyObject, vm: &VirtualMachine) -> PyResult<Option<isize>> {
    match subscript.downcast_ref::<PyInt>() {
        Some(place) if view.layout().shape().len() == 1 && !is_truth(subscript, vm) => {
            place.try_to_primitive(vm).map(Some)
        }
        _ => Ok(None),
    }
}

fn is_truth(object: &PyObject, vm: &VirtualMachine) -> bool {
    object.class().is(vm.ctx.types.bool_type)
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
    if vm.is_none(part) {
        return Ok(Index::NewAxis);
    }
    if let Some(mask) = part.downcast_ref::<AudioView>() {
        return mask.view().mask().or_raise(vm).map(Index::Mask);
    }
    let Some(slice) = part.downcast_ref::<PySlice>() else {
        // numpy also accepts bools as masks, and lists as index arrays.
        let place = if is_truth(part, vm) { None } else { part.try_index_opt(vm) };
        let place = place.ok_or_else(|| {
            let kind = part.class().name().to_string();
            let refused =
                format!("an 'AudioView' takes integers, slices, ..., None and masks, not {kind}");
            raise(ViewError::Unsupported(refused), vm)
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

/// The numbers as nested lists; for a view without axes, its number.
pub(super) fn nested_lists(view: &View, vm: &VirtualMachine) -> PyResult {
    let mut numbers = Vec::with_capacity(view.layout().len());
    view.each_number(|number| numbers.push(number_object(number, vm)));
    // Groups the objects into lists once for each axis, from the last axis to the first.
    for &length in view.layout().shape().iter().rev() {
        if length == 0 {
            let outer = view.layout().shape().iter().take_while(|length| **length > 0).product();
            numbers = (0..outer).map(|_| vm.ctx.new_list(Vec::new()).into()).collect();
            continue;
        }
        let lists = numbers.chunks(length).map(|part| vm.ctx.new_list(part.to_vec()).into());
        numbers = lists.collect();
    }
    numbers.pop().ok_or_else(|| vm.new_value_error("the view has no numbers"))
}
