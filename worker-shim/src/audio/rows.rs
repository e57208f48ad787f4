//! The walk over the elements of arrays, row by row. Pure.

use std::array::from_fn;
use std::ops::Range;

use super::Layout;

/// One row: the elements along an array's innermost axis, at fixed indices of the other axes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    /// Where the first element begins in the block, in bytes.
    pub(super) at: usize,
    /// Bytes from one element to the next.
    pub(super) step: isize,
    /// Number of elements.
    pub(super) length: usize,
}

impl Row {
    /// Whether elements of this size are contiguous.
    pub(super) fn is_dense(self, size: usize) -> bool {
        self.step == size.cast_signed() || self.length == 1
    }

    /// Where each element begins in the block.
    pub(super) fn places(self) -> impl Iterator<Item = usize> {
        let steps = 0..self.length.cast_signed();
        steps.map(move |place| self.at.wrapping_add_signed(place * self.step))
    }

    /// Byte ranges of the elements; contiguous elements make one range.
    fn runs(self, size: usize) -> impl Iterator<Item = Range<usize>> {
        let is_one = self.is_dense(size);
        let (length, bytes) = if is_one { (1, self.length * size) } else { (self.length, size) };
        Self { length, ..self }.places().map(move |at| at..at + bytes)
    }
}

/// The axes of layouts of the same shape, outermost first: the length, and the stride of each layout.
/// Neighbouring axes are merged where the strides allow it, so that rows are long.
fn axes_of<const N: usize>(layouts: [&Layout; N]) -> Vec<(usize, [isize; N])> {
    let mut axes: Vec<(usize, [isize; N])> = Vec::new();
    for (axis, &length) in layouts[0].shape.iter().enumerate().filter(|(_, length)| **length != 1) {
        let steps = layouts.map(|layout| layout.strides[axis]);
        let reach = steps.map(|step| step.saturating_mul(length.cast_signed()));
        match axes.last_mut() {
            Some((outer, outer_steps)) if *outer_steps == reach => {
                (*outer, *outer_steps) = (*outer * length, steps);
            }
            _ => axes.push((length, steps)),
        }
    }
    axes
}

/// The rows of layouts of the same shape, in C order.
pub(super) fn rows<const N: usize>(
    layouts: [&Layout; N],
) -> impl Iterator<Item = [Row; N]> + use<N> {
    let mut axes = axes_of(layouts);
    let (length, inner) = axes.pop().unwrap_or((1, [0; N]));
    let count = axes.iter().map(|(length, _)| length).product();
    let count = if layouts[0].is_empty() { 0 } else { count };
    let (mut places, mut next) = (vec![0; axes.len()], layouts.map(|layout| layout.offset));
    (0..count).map(move |_: usize| {
        let at = next;
        for ((length, steps), place) in axes.iter().zip(&mut places).rev() {
            *place += 1;
            let is_over = *place == *length;
            let way = if is_over { 1 - length.cast_signed() } else { 1 };
            next = from_fn(|one| next[one].wrapping_add_signed(way * steps[one]));
            if !is_over {
                break;
            }
            *place = 0;
        }
        from_fn(|one| Row { at: at[one], step: inner[one], length })
    })
}

impl Layout {
    /// Byte ranges of the elements in the block, in C order; a contiguous row is one range.
    pub(super) fn runs(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let size = self.item;
        rows([self]).flat_map(move |[row]| row.runs(size))
    }

    /// Where each element begins in the block, in C order.
    pub(super) fn places(&self) -> impl Iterator<Item = usize> + use<> {
        rows([self]).flat_map(|[row]| row.places())
    }
}
