//! Loops over the numbers of views whose types are known: fast where they lie side by side.

use super::typed::Element;
use super::{View, ViewError};

/// States that numbers are added to in turn, so that no addition waits for the one before.
const LANES: usize = 16;

/// An axis of two views of the same shape: its length, and the bytes from one element to the next.
#[derive(Debug, Clone, Copy)]
struct Axis {
    length: usize,
    steps: [isize; 2],
}

/// One axis of a view, from its first element on.
#[derive(Clone, Copy)]
struct Lane<'a> {
    memory: &'a [u8],
    at: usize,
    step: isize,
    length: usize,
}

impl<'a> Lane<'a> {
    /// The bytes of its numbers, where these lie side by side.
    fn bytes<T: Element>(&self) -> Option<&'a [u8]> {
        let size = size_of::<T>();
        let is_dense = self.step == size.cast_signed() || self.length == 1;
        let bytes = self.memory.get(self.at..self.at + self.length * size);
        bytes.filter(|_| is_dense)
    }

    /// Its numbers, where they lie side by side.
    fn numbers<T: Element>(&self) -> Option<impl Iterator<Item = T> + 'a> {
        let bytes = self.bytes::<T>()?;
        Some(bytes.chunks_exact(size_of::<T>()).map(bytemuck::pod_read_unaligned))
    }

    /// Its number, where an axis was broadcast.
    fn constant<T: Element>(&self) -> Option<T> {
        if self.step != 0 {
            return None;
        }
        self.memory.get(self.at..self.at + size_of::<T>()).map(bytemuck::pod_read_unaligned)
    }

    /// Its numbers, with any step between them.
    fn spread<T: Element>(&self) -> impl Iterator<Item = T> + '_ {
        let places = (0..self.length.cast_signed()).map(|place| place * self.step);
        places.map_while(|way| {
            let at = self.at.checked_add_signed(way)?;
            self.memory.get(at..at + size_of::<T>()).map(bytemuck::pod_read_unaligned)
        })
    }
}

/// The axes of two views of the same shape from the outermost on, as few as they can be.
fn axes_of(left: &View, right: &View) -> Vec<Axis> {
    let mut axes: Vec<Axis> = Vec::new();
    let strides = left.strides.iter().zip(&right.strides);
    for (&length, (&one, &other)) in left.shape.iter().zip(strides) {
        if length == 1 {
            continue;
        }
        let reach = |step: isize| step.saturating_mul(length.cast_signed());
        match axes.last_mut() {
            Some(outer) if outer.steps == [reach(one), reach(other)] => {
                *outer = Axis { length: outer.length * length, steps: [one, other] };
            }
            _ => axes.push(Axis { length, steps: [one, other] }),
        }
    }
    axes
}

/// Calls `visit` with the innermost axis of both views, for every place on the others, in C order.
fn each_row<'a>(left: &'a View, right: &'a View, mut visit: impl FnMut(Lane<'a>, Lane<'a>)) {
    if left.is_empty() {
        return;
    }
    let mut axes = axes_of(left, right);
    let inner = axes.pop().unwrap_or(Axis { length: 1, steps: [0, 0] });
    let (one, other) = (left.block.as_slice(), right.block.as_slice());
    let lane = |memory, at: isize, step| {
        let at = at.unsigned_abs();
        Lane { memory, at, step, length: inner.length }
    };
    let mut place = vec![0_usize; axes.len()];
    let mut at = [left.offset.cast_signed(), right.offset.cast_signed()];
    loop {
        visit(lane(one, at[0], inner.steps[0]), lane(other, at[1], inner.steps[1]));
        let mut depth = axes.len();
        loop {
            if depth == 0 {
                return;
            }
            depth -= 1;
            let Axis { length, steps } = axes[depth];
            place[depth] += 1;
            at = [at[0] + steps[0], at[1] + steps[1]];
            if place[depth] < length {
                break;
            }
            let length = length.cast_signed();
            at = [at[0] - steps[0] * length, at[1] - steps[1] * length];
            place[depth] = 0;
        }
    }
}

/// Writes what `work` makes of the numbers of two views of one shape to `target`, in C order.
pub(super) fn combine<A: Element, B: Element, U: Element>(
    left: &View,
    right: &View,
    target: &mut [u8],
    work: impl Fn(A, B) -> U,
) {
    let mut rest = target.chunks_exact_mut(size_of::<U>());
    each_row(left, right, |one, other| {
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
    });
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

/// Writes what `work` makes of each number to `target`, in C order.
pub(super) fn map<A: Element, U: Element>(source: &View, target: &mut [u8], work: impl Fn(A) -> U) {
    let mut rest = target.chunks_exact_mut(size_of::<U>());
    each_row(source, source, |lane, _| {
        let places = rest.by_ref().take(lane.length);
        match lane.numbers() {
            Some(numbers) => write(places, numbers, &work),
            None => write(places, lane.spread(), &work),
        }
    });
}

/// Adds the numbers of a view, in C order, to as many states in turn.
pub(super) fn fold<A: Element, S: Copy>(source: &View, states: &mut [S], add: impl Fn(S, A) -> S) {
    let mut turn = 0;
    let count = states.len();
    each_row(source, source, |lane, _| {
        if count == 1 {
            states[0] = lane.spread().fold(states[0], &add);
            return;
        }
        let (mut numbers, mut left) = (lane.spread(), lane.length);
        while left > 0 {
            let end = count.min(turn + left);
            for (state, number) in states[turn..end].iter_mut().zip(numbers.by_ref()) {
                *state = add(*state, number);
            }
            left -= end - turn;
            turn = if end == count { 0 } else { end };
        }
    });
}

/// Adds the numbers of a view, as doubles, to states side by side, and joins these. The states begin
/// with zero.
pub(super) fn fold_in_lanes<A: Element>(
    source: &View,
    add: impl Fn(f64, f64) -> f64,
    join: impl Fn(f64, f64) -> f64,
) -> f64 {
    let mut lanes = [0.0; LANES];
    each_row(source, source, |lane, _| {
        let Some(bytes) = lane.bytes::<A>() else {
            lanes[0] = lane.spread::<A>().fold(lanes[0], |state, n| add(state, n.double()));
            return;
        };
        for chunk in bytes.chunks(LANES * size_of::<A>()) {
            for (state, number) in lanes.iter_mut().zip(chunk.chunks_exact(size_of::<A>())) {
                *state = add(*state, bytemuck::pod_read_unaligned::<A>(number).double());
            }
        }
    });
    lanes.into_iter().fold(0.0, join)
}

impl View {
    /// The shape that two shapes are broadcast to, by numpy's rules.
    ///
    /// # Errors
    /// `ValueError` when they do not fit.
    pub(super) fn common_shape(&self, other: &Self) -> Result<Vec<usize>, ViewError> {
        let (one, two) = (&self.shape, &other.shape);
        let axes = one.len().max(two.len());
        let length = |shape: &[usize], axis: usize| {
            (axis + shape.len()).checked_sub(axes).map_or(1, |axis| shape[axis])
        };
        let common = (0..axes).map(|axis| match (length(one, axis), length(two, axis)) {
            (1, length) | (length, 1) => Some(length),
            (length, same) => (length == same).then_some(length),
        });
        common.collect::<Option<_>>().ok_or_else(|| {
            ViewError::Value(format!(
                "operands could not be broadcast together with shapes {} {}",
                self.shape_text(),
                other.shape_text()
            ))
        })
    }

    /// The view broadcast to a shape.
    pub(super) fn stretched(&self, shape: &[usize]) -> Self {
        let missing = shape.len().saturating_sub(self.shape.len());
        let mut strides = vec![0; missing];
        let axes = self.shape.iter().zip(&self.strides).zip(shape.iter().skip(missing));
        strides
            .extend(axes.map(|((&own, &stride), &length)| if own == length { stride } else { 0 }));
        Self { shape: shape.to_vec(), strides, ..self.clone() }
    }
}
