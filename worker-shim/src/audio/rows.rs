//! Loops over the numbers of views, row by row; fast if the numbers of a row are contiguous.

use std::array::from_fn;
use std::ops::Range;

use ipc_protocol::Order;

use super::layout::strides_of;
use super::typed::Element;
use super::{Block, Kind, Supply, View, ViewError};

/// Number of independent partial results of a reduction, so that the processor can overlap their
/// additions.
const LANES: usize = 16;

/// One row: the elements along a view's innermost axis, at fixed indices of the other axes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row<'a> {
    block: &'a Block,
    /// Where the first element begins in the block, in bytes.
    at: usize,
    /// Bytes from one element to the next.
    step: isize,
    length: usize,
}

impl<'a> Row<'a> {
    fn is_dense(self, size: usize) -> bool {
        self.step == size.cast_signed() || self.length == 1
    }

    /// The bytes of the row's numbers; `None` if they are not contiguous.
    fn bytes<T: Element>(self) -> Option<&'a [u8]> {
        let size = size_of::<T>();
        let bytes = self.block.as_slice().get(self.at..self.at + self.length * size);
        bytes.filter(|_| self.is_dense(size))
    }

    /// The row's numbers; `None` if they are not contiguous.
    fn numbers<T: Element>(self) -> Option<impl Iterator<Item = T> + 'a> {
        let bytes = self.bytes::<T>()?;
        Some(bytes.chunks_exact(size_of::<T>()).map(bytemuck::pod_read_unaligned))
    }

    /// The one number of a broadcast row; `None` for other rows.
    fn constant<T: Element>(self) -> Option<T> {
        if self.step != 0 {
            return None;
        }
        let bytes = self.block.as_slice().get(self.at..self.at + size_of::<T>());
        bytes.map(bytemuck::pod_read_unaligned)
    }

    /// The row's numbers, for any step.
    fn spread<T: Element>(self) -> impl Iterator<Item = T> + 'a {
        let memory = self.block.as_slice();
        self.runs(size_of::<T>(), false)
            .map_while(|run| memory.get(run).map(bytemuck::pod_read_unaligned))
    }

    /// Byte ranges of the row's elements in the block. With `joined`, contiguous elements make one
    /// range.
    fn runs(self, size: usize, joined: bool) -> impl Iterator<Item = Range<usize>> {
        let is_one = joined && self.is_dense(size);
        let (count, bytes) = if is_one { (1, self.length * size) } else { (self.length, size) };
        (0..count.cast_signed()).map(move |place| {
            let at = self.at.wrapping_add_signed(place * self.step);
            at..at + bytes
        })
    }

    /// Adds the row's numbers to `state`. For contiguous numbers it adds them to [`LANES`] states
    /// that begin with `start`, and joins those with `state`.
    fn folded<A: Element, S: Copy>(
        self,
        state: S,
        start: S,
        add: impl Fn(S, A) -> S,
        join: impl Fn(S, S) -> S,
    ) -> S {
        let Some(bytes) = self.bytes::<A>() else { return self.spread().fold(state, add) };
        let mut lanes = [start; LANES];
        for chunk in bytes.chunks(LANES * size_of::<A>()) {
            for (lane, number) in lanes.iter_mut().zip(chunk.chunks_exact(size_of::<A>())) {
                *lane = add(*lane, bytemuck::pod_read_unaligned(number));
            }
        }
        lanes.into_iter().fold(state, join)
    }
}

/// An axis of views of the same shape: its length, and the stride of each view in bytes.
#[derive(Debug, Clone, Copy)]
struct Axis<const N: usize> {
    length: usize,
    steps: [isize; N],
}

/// The axes of views of the same shape, outermost first. Neighbouring axes are merged where the
/// strides allow it, so that rows are long.
fn axes_of<const N: usize>(views: [&View; N]) -> Vec<Axis<N>> {
    let mut axes: Vec<Axis<N>> = Vec::new();
    for (axis, &length) in views[0].shape.iter().enumerate().filter(|(_, length)| **length != 1) {
        let steps = views.map(|view| view.strides[axis]);
        let reach = steps.map(|step| step.saturating_mul(length.cast_signed()));
        match axes.last_mut() {
            Some(outer) if outer.steps == reach => {
                *outer = Axis { length: outer.length * length, steps };
            }
            _ => axes.push(Axis { length, steps }),
        }
    }
    axes
}

/// The rows of views of the same shape, in C order.
fn rows<'a, const N: usize>(views: [&'a View; N]) -> impl Iterator<Item = [Row<'a>; N]> {
    let mut axes = axes_of(views);
    let inner = axes.pop().unwrap_or(Axis { length: 1, steps: [0; N] });
    let count = if views[0].is_empty() { 0 } else { axes.iter().map(|axis| axis.length).product() };
    let (mut places, mut next) = (vec![0; axes.len()], views.map(|view| view.offset));
    (0..count).map(move |_: usize| {
        let at = next;
        for (axis, place) in axes.iter().zip(&mut places).rev() {
            *place += 1;
            let is_over = *place == axis.length;
            let way = if is_over { 1 - axis.length.cast_signed() } else { 1 };
            next = from_fn(|view| next[view].wrapping_add_signed(way * axis.steps[view]));
            if !is_over {
                break;
            }
            *place = 0;
        }
        from_fn(|view| Row {
            block: &views[view].block,
            at: at[view],
            step: inner.steps[view],
            length: inner.length,
        })
    })
}

/// Applies `work` to the numbers of two views of the same shape and writes the results to `target`,
/// in C order.
pub(super) fn combine<A: Element, B: Element, U: Element>(
    views: [&View; 2],
    target: &mut [u8],
    work: impl Fn(A, B) -> U,
) {
    let mut rest = target.chunks_exact_mut(size_of::<U>());
    for [one, other] in rows(views) {
        let places = rest.by_ref().take(one.length);
        if let (Some(ones), Some(others)) = (one.numbers(), other.numbers()) {
            write(places, ones.zip(others), |(a, b)| work(a, b));
        } else if let (Some(ones), Some(b)) = (one.numbers(), other.constant()) {
            write(places, ones, |a| work(a, b));
        } else if let (Some(a), Some(others)) = (one.constant(), other.numbers()) {
            write(places, others, |b| work(a, b));
        } else {
            write(places, one.spread().zip(other.spread()), |(a, b)| work(a, b));
        }
    }
}

/// A new view with `work` applied to each number.
pub(super) fn map<A: Element, U: Element>(
    source: &View,
    kind: Kind,
    supply: &Supply,
    work: impl Fn(A) -> U,
) -> Result<View, ViewError> {
    let made = supply.view(&source.shape, kind)?.after(source, source);
    let mut rest = made.block.as_mut_slice().chunks_exact_mut(size_of::<U>());
    for [row] in rows([source]) {
        let places = rest.by_ref().take(row.length);
        match row.numbers() {
            Some(numbers) => write(places, numbers, &work),
            None => write(places, row.spread(), &work),
        }
    }
    Ok(made)
}

fn write<'a, T, U: Element>(
    places: impl Iterator<Item = &'a mut [u8]>,
    numbers: impl Iterator<Item = T>,
    work: impl Fn(T) -> U,
) {
    for (place, number) in places.zip(numbers) {
        place.copy_from_slice(bytemuck::bytes_of(&work(number)));
    }
}

/// Reduces a view: adds its numbers to states, one for each element of the shape `kept`. `kept` is
/// the shape of `source` with length 1 for the reduced axes. `start` must be neutral for `join`.
pub(super) fn fold<A: Element, S: Copy>(
    source: &View,
    kept: &[usize],
    start: S,
    add: impl Fn(S, A) -> S,
    join: impl Fn(S, S) -> S,
) -> Vec<S> {
    let mut states = vec![start; kept.iter().product()];
    let strides = strides_of(1, kept, Order::C);
    let places = View { shape: kept.to_vec(), strides, offset: 0, ..source.clone() };
    for [row, Row { at, step, .. }] in rows([source, &places.stretched(&source.shape)]) {
        if step == 0 {
            states[at] = row.folded(states[at], start, &add, &join);
            continue;
        }
        for (state, number) in states[at..].iter_mut().zip(row.spread()) {
            *state = add(*state, number);
        }
    }
    states
}

impl View {
    /// Byte ranges of the elements in the block, in C order; a contiguous row is one range.
    pub(super) fn runs(&self) -> impl Iterator<Item = Range<usize>> {
        rows([self]).flat_map(|[row]| row.runs(self.kind.bytes(), true))
    }

    /// Where each element begins in the block, in bytes, in C order.
    pub(super) fn places(&self) -> impl Iterator<Item = usize> {
        rows([self]).flat_map(|[row]| row.runs(self.kind.bytes(), false)).map(|run| run.start)
    }
}
