//! Reading and writing parts of a view: `view[...]`, also with masks.

use std::ops::Range;

use super::layout::shape_text;
use super::{Index, Kind, Number, Operand, Supply, View, ViewError};

/// The result of a subscript or a reduction: a view, or a number if no axis is left.
#[derive(Debug, Clone)]
pub enum Found {
    /// A single number.
    Number(Number),
    /// A view. It has no axis only if a subscript contains `...` or a reduction keeps the axes.
    View(View),
}

/// The elements that a mask selects.
struct Masked {
    /// Shape of the selection.
    shape: Vec<usize>,
    /// Byte ranges of the elements in the block, in C order.
    runs: Vec<Range<usize>>,
}

impl View {
    /// Reads `view[...]`.
    ///
    /// # Errors
    /// `IndexError` for an index beyond an axis and for a mask of another shape, `ValueError` for a
    /// step of zero, `TypeError` for several masks and for a mask apart from the integer indices.
    pub fn get(&self, subscript: &[Index], supply: &Supply) -> Result<Found, ViewError> {
        let (view, masked) = self.chosen(subscript)?;
        if let Some(Masked { shape, runs }) = masked {
            let made = supply.view(&shape, self.kind)?.at_rate(self.sample_rate_hz);
            made.gather(&self.block, runs);
            return Ok(Found::View(made));
        }
        let is_whole = subscript.iter().any(|part| matches!(part, Index::Ellipsis));
        if view.shape.is_empty() && !is_whole {
            return view.number(&[]).map(Found::Number);
        }
        Ok(Found::View(view))
    }

    /// Writes `view[...] = value`.
    ///
    /// # Errors
    /// As [`View::get`], and as [`View::copy_from`] and [`View::fill`].
    pub fn set(&self, subscript: &[Index], value: &Operand) -> Result<(), ViewError> {
        self.check_writable()?;
        let (view, masked) = self.chosen(subscript)?;
        let Some(Masked { shape, runs }) = masked else {
            return match value {
                Operand::View(value) => view.copy_from(value),
                Operand::Number(number) => view.fill(*number),
            };
        };
        let value = match value {
            Operand::View(value) => value.over_shape(&shape, self.kind)?,
            Operand::Number(number) => {
                let made = Supply::default().view(&shape, self.kind)?;
                made.fill(*number)?;
                made
            }
        };
        self.scatter(runs, value.bytes());
        Ok(())
    }

    /// The view that the subscript selects with its mask taken as `:`, and the mask's selection.
    fn chosen(&self, subscript: &[Index]) -> Result<(Self, Option<Masked>), ViewError> {
        let (view, masks) = self.with_masks(subscript)?;
        let Some(&(mask, axis)) = masks.first() else { return Ok((view, None)) };
        // With other parts between mask and integers, numpy moves the masked axis to the front.
        let is_single = |part: &Index| matches!(part, Index::At(_) | Index::Mask(_));
        let places = (0..subscript.len()).filter(|place| is_single(&subscript[*place]));
        let is_apart = places.clone().zip(places.skip(1)).any(|(one, next)| one + 1 != next);
        if masks.len() > 1 || is_apart || mask.kind != Kind::Bool || mask.shape.is_empty() {
            let (shape, dtype) = (shape_text(&mask.shape), mask.kind.name());
            // `Unsupported` moves the node to CPython.
            return Err(ViewError::Unsupported(format!(
                "an 'AudioView' takes one mask at a time, of bools and next to the subscript's \
                 integers; this mask has shape {shape} and dtype {dtype}"
            )));
        }
        let masked = view.masked(axis, mask)?;
        Ok((view, Some(masked)))
    }

    /// The elements for which a mask is true; the mask covers the axes from `axis` on.
    fn masked(&self, axis: usize, mask: &Self) -> Result<Masked, ViewError> {
        let end = axis + mask.shape.len();
        for (axis, (&own, &length)) in (axis..).zip(self.shape[axis..end].iter().zip(&mask.shape)) {
            if own != length {
                return Err(ViewError::Index(format!(
                    "boolean index did not match indexed array along axis {axis}; size of axis is \
                     {own} but size of corresponding boolean axis is {length}"
                )));
            }
        }
        let over = |axes: Range<usize>| Self {
            shape: self.shape[axes.clone()].to_vec(),
            strides: self.strides[axes].to_vec(),
            ..self.clone()
        };
        let truths = mask.copy(&Supply::default())?;
        let truths = truths.bytes();
        let (before, chosen, behind) =
            (over(0..axis), over(axis..end), over(end..self.shape.len()));
        let chosen = chosen.places().zip(truths).filter(|(_, truth)| **truth != 0);
        let chosen: Vec<usize> = chosen.map(|(at, _)| at).collect();
        let behind: Vec<Range<usize>> = behind.runs().collect();
        let mut runs = Vec::with_capacity(chosen.len());
        for outer in before.places() {
            for at in &chosen {
                let way = (outer + at).wrapping_sub(2 * self.offset);
                let place = |at: usize| at.wrapping_add(way);
                runs.extend(behind.iter().map(|run| place(run.start)..place(run.end)));
            }
        }
        let shape = [&self.shape[..axis], &[chosen.len()], &self.shape[end..]].concat();
        Ok(Masked { shape, runs })
    }
}
