//! Loops over the numbers of arrays; fast if the numbers of a row are contiguous.

use ipc_protocol::Order;

use super::rows::{Row, rows};
use super::typed::Element;
use super::{Layout, ViewError};

/// Number of independent partial results of a reduction, so that the processor can overlap their
/// additions.
const LANES: usize = 16;

/// The numbers of an array: the memory of a block, and where in it they lie.
#[derive(Debug, Clone, Copy)]
pub(super) struct Numbers<'a> {
    pub(super) memory: &'a [u8],
    pub(super) layout: &'a Layout,
}

/// The numbers of one row.
#[derive(Debug, Clone, Copy)]
struct Line<'a> {
    memory: &'a [u8],
    row: Row,
}

impl<'a> Line<'a> {
    /// The numbers; `None` if they are not contiguous.
    fn dense<T: Element>(self) -> Option<&'a [T]> {
        let Row { at, length, .. } = self.row;
        let bytes = self.memory.get(at..at + length * size_of::<T>())?;
        bytemuck::try_cast_slice(bytes).ok().filter(|_| self.row.is_dense(size_of::<T>()))
    }

    /// The one number of a broadcast row; `None` for other rows.
    fn constant<T: Element>(self) -> Option<T> {
        (self.row.step == 0).then(|| self.spread().next()).flatten()
    }

    /// The numbers, for any step.
    fn spread<T: Element>(self) -> impl Iterator<Item = T> + 'a {
        let number = move |at: usize| self.memory.get(at..at + size_of::<T>());
        self.row.places().map_while(number).map(bytemuck::pod_read_unaligned)
    }

    /// Adds the numbers to `state`. Adds contiguous numbers to [`LANES`] states that begin with
    /// `start`, and joins those with `state`.
    fn folded<A: Element, S: Copy>(
        self,
        state: S,
        start: S,
        add: impl Fn(S, A) -> S,
        join: impl Fn(S, S) -> S,
    ) -> S {
        let Some(numbers) = self.dense() else { return self.spread().fold(state, add) };
        let mut lanes = [start; LANES];
        for chunk in numbers.chunks(LANES) {
            for (lane, number) in lanes.iter_mut().zip(chunk) {
                *lane = add(*lane, *number);
            }
        }
        lanes.into_iter().fold(state, join)
    }
}

/// Applies `work` to the numbers of two arrays of the same shape and writes the results to `target`,
/// in C order.
pub(super) fn combine<A: Element, B: Element, U: Element>(
    [one, other]: [Numbers; 2],
    target: &mut [u8],
    work: impl Fn(A, B) -> U,
) {
    let mut rest = target.chunks_exact_mut(size_of::<U>());
    for [left, right] in rows([one.layout, other.layout]) {
        let places = rest.by_ref().take(left.length);
        let left = Line { memory: one.memory, row: left };
        let right = Line { memory: other.memory, row: right };
        if let (Some(ones), Some(others)) = (left.dense(), right.dense()) {
            write(places, ones.iter().zip(others), |(a, b)| work(*a, *b));
        } else if let (Some(ones), Some(b)) = (left.dense(), right.constant()) {
            write(places, ones.iter(), |a| work(*a, b));
        } else if let (Some(a), Some(others)) = (left.constant(), right.dense()) {
            write(places, others.iter(), |b| work(a, *b));
        } else {
            write(places, left.spread().zip(right.spread()), |(a, b)| work(a, b));
        }
    }
}

/// Applies `work` to each number and writes the results to `target`, in C order.
pub(super) fn map<A: Element, U: Element>(
    source: Numbers,
    target: &mut [u8],
    work: impl Fn(A) -> U,
) {
    combine([source, source], target, |number: A, _: A| work(number));
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

/// Adds the numbers of an array to states, one for each element of the shape `kept`. That is the
/// array's shape with length 1 for the reduced axes. `start` must be neutral for `join`.
pub(super) fn fold<A: Element, S: Copy>(
    Numbers { memory, layout }: Numbers,
    kept: &[usize],
    start: S,
    add: impl Fn(S, A) -> S,
    join: impl Fn(S, S) -> S,
) -> Result<Vec<S>, ViewError> {
    let mut states = vec![start; kept.iter().product()];
    let places = Layout::dense(1, kept, Order::C)?.stretched(layout.shape())?;
    for [row, Row { at, step, .. }] in rows([layout, &places]) {
        let line = Line { memory, row };
        if step == 0 {
            states[at] = line.folded(states[at], start, &add, &join);
            continue;
        }
        for (state, number) in states[at..].iter_mut().zip(line.spread()) {
            *state = add(*state, number);
        }
    }
    Ok(states)
}
