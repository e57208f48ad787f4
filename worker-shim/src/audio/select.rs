//! Reading and writing `view[...]`, with masks and lists of places too.

use super::{Block, Index, Kind, Number, Operand, Supply, View, ViewError, index};

/// One part of a subscript.
#[derive(Debug, Clone)]
pub enum Part {
    /// A part that gives a view of the same memory.
    Index(Index),
    /// A mask, or places along an axis: the chosen elements are copied.
    Chosen(View),
}

/// A part of a view, or the number that it comes to where no axis is left.
#[derive(Debug, Clone)]
pub enum Found {
    /// A single number.
    Number(Number),
    /// A view with at least one axis, or of a subscript with `...`.
    View(View),
}

/// Elements that are chosen one by one along neighbouring axes of a view.
struct Choice {
    view: View,
    /// The first of the axes that are chosen from.
    axis: usize,
    /// Count of the axes that are chosen from.
    axes: usize,
    /// Where each chosen element of these axes begins, in bytes from the first element.
    places: Vec<isize>,
    /// The axes that replace them in the result.
    shape: Vec<usize>,
}

impl View {
    /// Reads `view[...]`.
    ///
    /// # Errors
    /// `IndexError` beyond an axis and for masks of another shape, `ValueError` for a step of zero,
    /// `TypeError` for several lists or masks, and for one apart from a single place.
    pub fn get(&self, parts: &[Part], supply: &Supply) -> Result<Found, ViewError> {
        let (view, choice) = self.chosen(parts)?;
        if let Some(choice) = choice {
            return choice.gathered(supply).map(Found::View);
        }
        let is_whole = parts.iter().any(|part| matches!(part, Part::Index(Index::Ellipsis)));
        if view.shape.is_empty() && !is_whole {
            return view.number(&[]).map(Found::Number);
        }
        Ok(Found::View(view))
    }

    /// Carries out `view[...] = value`.
    ///
    /// # Errors
    /// As [`View::get`], and as [`View::copy_from`] and [`View::fill`].
    pub fn set(&self, parts: &[Part], value: &Operand) -> Result<(), ViewError> {
        self.check_writable()?;
        let (view, choice) = self.chosen(parts)?;
        match (choice, value) {
            (None, Operand::View(value)) => view.copy_from(value),
            (None, Operand::Number(number)) => view.fill(*number),
            (Some(choice), Operand::View(value)) => choice.scatter(value),
            (Some(choice), Operand::Number(number)) => {
                let single = Supply::default().view(&[], self.kind)?;
                single.fill(*number)?;
                choice.scatter(&single)
            }
        }
    }

    /// The view without regard to the mask or list in the subscript, and the choice that this makes.
    fn chosen(&self, parts: &[Part]) -> Result<(Self, Option<Choice>), ViewError> {
        let (mut plain, mut chosen) = (Vec::new(), None);
        let mut singles = Vec::new();
        for (number, part) in parts.iter().enumerate() {
            match part {
                Part::Index(index) => {
                    if matches!(index, Index::At(_)) {
                        singles.push(number);
                    }
                    plain.push(*index);
                }
                Part::Chosen(by) if by.shape.is_empty() && by.kind != Kind::Bool => {
                    let Number::Int(place) = by.number(&[])? else {
                        return Err(no_place());
                    };
                    singles.push(number);
                    plain.push(Index::At(isize::try_from(place).unwrap_or(isize::MAX)));
                }
                Part::Chosen(by) if chosen.is_some() => {
                    return Err(ViewError::Type(format!(
                        "an 'AudioView' takes one list or mask at a time, not a second of shape {}",
                        by.shape_text()
                    )));
                }
                Part::Chosen(by) => {
                    chosen = Some((plain.len(), by));
                    singles.push(number);
                    let axes = if by.kind == Kind::Bool { by.shape.len() } else { 1 };
                    plain.extend(std::iter::repeat_n(Index::ALL, axes));
                }
            }
        }
        let view = self.select(&plain)?;
        let Some((place, by)) = chosen else {
            return Ok((view, None));
        };
        let axis = self.axes_before(&plain, place);
        // numpy moves the chosen axis to the front then, which is rare enough for CPython.
        if singles.windows(2).any(|pair| pair[0] + 1 != pair[1]) {
            let message = "an 'AudioView' takes a list or mask beside single places only";
            return Err(ViewError::Type(message.to_owned()));
        }
        let choice = Choice::new(&view, axis, by)?;
        Ok((view, Some(choice)))
    }

    /// Count of the axes that the first parts of a subscript leave.
    fn axes_before(&self, plain: &[Index], place: usize) -> usize {
        let missing = self.shape.len() - plain.iter().filter(|index| index.takes_axis()).count();
        let left = plain[..place].iter().map(|index| match index {
            Index::At(_) => 0,
            Index::Slice { .. } | Index::NewAxis => 1,
            Index::Ellipsis => missing,
        });
        left.sum()
    }
}

impl Choice {
    fn new(view: &View, axis: usize, by: &View) -> Result<Self, ViewError> {
        if !by.kind.is_whole() {
            return Err(no_place());
        }
        let view = view.clone();
        if by.kind == Kind::Bool {
            let axes = by.shape.len();
            let places = view.places_of_mask(axis, by)?;
            let shape = vec![places.len()];
            return Ok(Self { view, axis, axes, places, shape });
        }
        let (length, stride) = (view.shape[axis], view.strides[axis]);
        let mut places = Vec::with_capacity(by.len());
        by.each_number(|number| {
            if let Number::Int(place) = number {
                let place = isize::try_from(place).unwrap_or(isize::MAX);
                let at = index::at(place, length, axis);
                places.push(at.map(|at| at.cast_signed() * stride));
            }
        });
        let places = places.into_iter().collect::<Result<_, _>>()?;
        Ok(Self { view, axis, axes: 1, places, shape: by.shape.clone() })
    }

    /// The shape of the result.
    fn made_shape(&self) -> Vec<usize> {
        let (before, rest) = self.view.shape.split_at(self.axis);
        [before, &self.shape, &rest[self.axes..]].concat()
    }

    /// Calls `visit` with where each run of bytes begins in the block, in C order; returns the length
    /// of a run.
    fn each_run(&self, mut visit: impl FnMut(usize)) -> usize {
        let behind = self.axis + self.axes;
        let rest = View {
            shape: self.view.shape[behind..].to_vec(),
            strides: self.view.strides[behind..].to_vec(),
            ..self.view.clone()
        };
        let (run, rest) = rest.runs();
        let outer = steps(&self.view.shape[..self.axis], &self.view.strides[..self.axis]);
        let inner = steps(&rest.shape, &rest.strides);
        let first = self.view.offset.cast_signed();
        for from in outer {
            for place in &self.places {
                for to in &inner {
                    visit((first + from + place + to).unsigned_abs());
                }
            }
        }
        run
    }

    fn gathered(&self, supply: &Supply) -> Result<View, ViewError> {
        let shape = self.made_shape();
        let view = &self.view;
        let made = supply.view(&shape, view.kind)?;
        let mut starts = Vec::new();
        let run = self.each_run(|at| starts.push(at));
        if !made.is_empty() {
            let runs = made.block.as_mut_slice().chunks_exact_mut(run);
            for (target, at) in runs.zip(starts) {
                if let Some(source) = view.block.as_slice().get(at..at + run) {
                    target.copy_from_slice(source);
                }
            }
        }
        Ok(made.at_rate(view.sample_rate_hz))
    }

    fn scatter(&self, value: &View) -> Result<(), ViewError> {
        let shape = self.made_shape();
        let value = value.over_shape(&shape, self.view.kind)?;
        let bytes = value.contiguous_bytes().unwrap_or(&[]);
        let mut starts = Vec::new();
        let run = self.each_run(|at| starts.push(at));
        if !bytes.is_empty() {
            for (source, at) in bytes.chunks_exact(run).zip(starts) {
                self.view.block.write(at, source);
            }
        }
        Ok(())
    }
}

impl View {
    /// Where the elements lie at which a mask over the axes from `axis` on is true.
    fn places_of_mask(&self, axis: usize, mask: &Self) -> Result<Vec<isize>, ViewError> {
        let axes = axis..axis + mask.shape.len();
        for (axis, &length) in axes.clone().zip(&mask.shape) {
            let own = self.shape[axis];
            if own != length {
                return Err(ViewError::Index(format!(
                    "boolean index did not match indexed array along axis {axis}; size of axis is \
                     {own} but size of corresponding boolean axis is {length}"
                )));
            }
        }
        let mask = mask.copied_to(Block::zeroed(mask.len_bytes()))?;
        let truths = mask.contiguous_bytes().unwrap_or(&[]);
        let steps = steps(&self.shape[axes.clone()], &self.strides[axes]);
        Ok(steps
            .into_iter()
            .zip(truths)
            .filter(|(_, truth)| **truth != 0)
            .map(|(at, _)| at)
            .collect())
    }
}

fn no_place() -> ViewError {
    ViewError::Index("arrays used as indices must be of integer (or boolean) type".to_owned())
}

/// How far each element lies from the first one, in C order.
fn steps(shape: &[usize], strides: &[isize]) -> Vec<isize> {
    let mut made = vec![0];
    for (&length, &stride) in shape.iter().zip(strides) {
        let along = |from: isize| (0..length.cast_signed()).map(move |place| from + place * stride);
        made = made.into_iter().flat_map(along).collect();
    }
    made
}
