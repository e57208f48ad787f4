//! Writing numbers: to elements of views, and as copies in another dtype or joined.

use std::ops::Range;

use ipc_protocol::Order;

use super::layout::shape_text;
use super::loops::map;
use super::select::Selected;
use super::typed::{Element, typed};
use super::{Index, Kind, Number, Operand, Supply, View, ViewError, index};

/// Writes `view[...] = value`. A view is broadcast, and converted to this view's dtype as by
/// [`cast`]; it may overlap with the target.
///
/// # Errors
/// Those of [`View::get`] for the subscript. `ValueError` when the target is read-only or the shape
/// of the value cannot be broadcast; `OverflowError` or `TypeError` when the dtype cannot store a
/// number; `TypeError` when the dtypes differ and views do not compute with both.
pub fn assign(target: &View, subscript: &[Index], value: &Operand) -> Result<(), ViewError> {
    match (target.layout().select(subscript)?, value) {
        (Selected::Part(layout), Operand::View(value)) => copy(value, &target.with_layout(layout)),
        (Selected::Part(layout), Operand::Number(number)) => store(target, layout.runs(), *number),
        (Selected::Masked(_, runs), Operand::Number(number)) => store(target, runs, *number),
        (Selected::Masked(shape, runs), Operand::View(value)) => {
            check_writable(target)?;
            let value = stretched_copy(value, &shape, target.kind())?;
            target.block().scatter(runs, value.bytes());
            Ok(())
        }
    }
}

/// Writes the element at an index.
///
/// # Errors
/// `IndexError` for an index beyond an axis, and as [`fill`].
pub fn set_number(target: &View, indices: &[isize], number: Number) -> Result<(), ViewError> {
    check_writable(target)?;
    let place = target.layout().place(indices)?;
    number.store(target.kind(), |element| target.block().write(place, element)).map(drop)
}

/// Sets every element to a number.
///
/// # Errors
/// `ValueError` when the view is read-only, `OverflowError` or `TypeError` when the dtype cannot
/// store the number.
pub fn fill(target: &View, number: Number) -> Result<(), ViewError> {
    store(target, target.layout().runs(), number)
}

/// Sets the elements in byte ranges of the block.
fn store(
    target: &View,
    runs: impl IntoIterator<Item = Range<usize>>,
    number: Number,
) -> Result<(), ViewError> {
    check_writable(target)?;
    number.store(target.kind(), |element| {
        for run in runs {
            let places = target.block().as_mut_slice().get_mut(run).unwrap_or(&mut []);
            places.chunks_exact_mut(element.len()).for_each(|at| at.copy_from_slice(element));
        }
    })
}

/// Copies the elements of `source` to `target`, see [`assign`].
pub(super) fn copy(source: &View, target: &View) -> Result<(), ViewError> {
    check_writable(target)?;
    let shape = target.layout().shape();
    let is_plain = source.layout().order() == Some(Order::C)
        && (source.kind(), source.layout().shape()) == (target.kind(), shape)
        && !std::ptr::eq(target.block(), source.block());
    let copied = if is_plain { None } else { Some(stretched_copy(source, shape, target.kind())?) };
    target.block().scatter(target.layout().runs(), copied.as_ref().unwrap_or(source).bytes());
    Ok(())
}

/// A copy in C order, broadcast to a shape and converted to a dtype.
fn stretched_copy(source: &View, shape: &[usize], kind: Kind) -> Result<View, ViewError> {
    cast(&source.with_layout(source.layout().stretched(shape)?), kind, &Supply::default())
}

pub(super) fn check_writable(view: &View) -> Result<(), ViewError> {
    if view.block().is_writable() {
        return Ok(());
    }
    let message = "the view is read-only: its memory is shared with others; write to a copy()";
    Err(ViewError::Value(message.to_owned()))
}

/// A copy converted to another dtype; integers wrap around as in numpy.
///
/// # Errors
/// `TypeError` for dtypes that views do not compute with, `MemoryError` when the allocation fails.
pub fn cast(view: &View, kind: Kind, supply: &Supply) -> Result<View, ViewError> {
    if kind == view.kind() {
        return view.copy(supply);
    }
    let made = View::empty(view.layout().shape(), kind.computed()?, supply)?;
    let target = made.block().as_mut_slice();
    typed!(view.kind(), A => typed!(kind, B => {
        map(view.numbers(), target, |number: A| number.cast::<B>());
    }));
    Ok(made.at_rate(view.sample_rate_hz))
}

/// Joins views along an axis, in the smallest dtype that can represent the numbers of all.
///
/// # Errors
/// `ValueError` for no views and for shapes that differ in another axis, `TypeError` when the dtypes
/// differ and views do not compute with all of them.
pub fn concatenate(views: &[View], axis: isize, supply: &Supply) -> Result<View, ViewError> {
    let refused = |message: &str| Err(ViewError::Value(message.to_owned()));
    let Some(first) = views.first() else {
        return refused("need at least one array to concatenate");
    };
    let lengths = first.layout().shape();
    if lengths.is_empty() {
        return refused("zero-dimensional arrays cannot be concatenated");
    }
    let axis = index::axes(&[axis], lengths.len())?[0];
    let (mut kind, mut shape) = (first.kind(), lengths.to_vec());
    shape[axis] = 0;
    for view in views {
        let own = view.layout().shape();
        let is_alike = |(at, (one, other)): (_, (&usize, _))| at == axis || one == other;
        if own.len() != lengths.len() || !own.iter().zip(lengths).enumerate().all(is_alike) {
            let (one, other) = (shape_text(lengths), shape_text(own));
            return refused(&format!(
                "all the input array dimensions except for the concatenation axis must match \
                 exactly, not {one} and {other}"
            ));
        }
        kind = if view.kind() == kind { kind } else { kind.common(view.kind())? };
        shape[axis] += own[axis];
    }
    let made = View::empty(&shape, kind, supply)?;
    let (mut subscript, mut start) = (vec![Index::ALL; axis + 1], 0);
    for view in views {
        let stop = start + view.layout().shape()[axis].cast_signed();
        subscript[axis] = Index::Slice { start: Some(start), stop: Some(stop), step: 1 };
        assign(&made, &subscript, &view.into())?;
        start = stop;
    }
    Ok(made.at_rate(views.iter().find_map(|view| view.sample_rate_hz)))
}
