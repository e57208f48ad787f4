//! Indexing: the elements that a subscript selects. Pure.

use std::ops::Range;

use super::{Index, Layout, Mask, ViewError, index};

/// The elements that a subscript selects.
#[derive(Debug)]
pub(super) enum Selected {
    /// Elements with a layout of their own.
    Part(Layout),
    /// The elements for which a mask is true: the shape of the selection, and the byte ranges of the
    /// elements in the block, in C order.
    Masked(Vec<usize>, Vec<Range<usize>>),
}

impl Layout {
    /// The elements that a subscript selects.
    pub(super) fn select(&self, subscript: &[Index]) -> Result<Selected, ViewError> {
        let given: usize = subscript.iter().map(Index::axes).sum();
        let ellipses = subscript.iter().filter(|part| matches!(part, Index::Ellipsis)).count();
        let Some(missing) = self.shape.len().checked_sub(given).filter(|_| ellipses <= 1) else {
            let axes = self.shape.len();
            return Err(ViewError::Index(format!("too many indices or ellipses for {axes} axes")));
        };
        let mut made = Self { shape: Vec::new(), strides: Vec::new(), ..*self };
        let (mut axis, mut mask) = (0, None);
        for part in subscript.iter().chain((ellipses == 0).then_some(&Index::Ellipsis)) {
            let stride = self.strides.get(axis).copied().unwrap_or(0);
            let mut whole = part.axes();
            match *part {
                Index::At(place) => {
                    made.skip(index::at(place, self.shape[axis], axis)?, stride);
                    (axis, whole) = (axis + 1, 0);
                }
                Index::Slice { start, stop, step } => {
                    let (first, count) = index::range(start, stop, step, self.shape[axis])?;
                    made.skip(first, stride);
                    made.shape.push(count);
                    made.strides.push(stride.saturating_mul(step));
                    (axis, whole) = (axis + 1, 0);
                }
                Index::NewAxis => {
                    made.shape.push(1);
                    made.strides.push(0);
                }
                Index::Ellipsis => whole = missing,
                Index::Mask(ref one) => mask = Some((one, made.shape.len())),
            }
            made.shape.extend(&self.shape[axis..axis + whole]);
            made.strides.extend(&self.strides[axis..axis + whole]);
            axis += whole;
        }
        let Some((mask, axis)) = mask else { return Ok(Selected::Part(made)) };
        check_masks(subscript)?;
        made.masked(axis, mask)
    }

    fn skip(&mut self, places: usize, stride: isize) {
        self.offset = self.offset.wrapping_add_signed(places.cast_signed() * stride);
    }

    /// The elements for which a mask is true; the mask covers the axes from `axis` on.
    fn masked(&self, axis: usize, mask: &Mask) -> Result<Selected, ViewError> {
        let end = axis + mask.shape.len();
        for (axis, (own, length)) in (axis..).zip(self.shape[axis..end].iter().zip(&mask.shape)) {
            if own != length {
                return Err(ViewError::Index(format!(
                    "boolean index did not match indexed array along axis {axis}; size of axis is \
                     {own} but size of corresponding boolean axis is {length}"
                )));
            }
        }
        // Distances to the first element; those backwards wrap around.
        let distances = |axes: Range<usize>| Self { offset: 0, ..self.axes(axes) };
        let chosen = distances(axis..end);
        let chosen = chosen.places().zip(&mask.truths).filter(|(_, truth)| **truth);
        let chosen: Vec<usize> = chosen.map(|(distance, _)| distance).collect();
        let behind: Vec<Range<usize>> = self.axes(end..self.shape.len()).runs().collect();
        let mut runs = Vec::with_capacity(chosen.len());
        for outer in distances(0..axis).places() {
            for inner in &chosen {
                let place = |at: usize| at.wrapping_add(outer).wrapping_add(*inner);
                runs.extend(behind.iter().map(|run| place(run.start)..place(run.end)));
            }
        }
        let shape = [&self.shape[..axis], &[chosen.len()], &self.shape[end..]].concat();
        Ok(Selected::Masked(shape, runs))
    }
}

/// Refuses several masks, and a mask with other parts between it and integers: there numpy moves the
/// masked axis to the front. The error moves the node to CPython.
fn check_masks(subscript: &[Index]) -> Result<(), ViewError> {
    let is_single = |part: &Index| matches!(part, Index::At(_) | Index::Mask(_));
    let singles = (0..subscript.len()).filter(|place| is_single(&subscript[*place]));
    let is_apart = singles.clone().zip(singles.skip(1)).any(|(one, next)| one + 1 != next);
    let masks = subscript.iter().filter(|part| matches!(part, Index::Mask(_))).count();
    if masks > 1 || is_apart { Err(Mask::refused()) } else { Ok(()) }
}
