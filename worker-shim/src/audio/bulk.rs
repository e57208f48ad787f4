//! Arithmetic over all numbers of a view, at the speed of the machine where they lie without gaps.
//!
//! Sums are made in double precision, of integers exactly.

use super::lanes::{Sample, larger, peak_of, slices, sum_of, whole_sum_of, with_slice};
use super::{Kind, Number, View, ViewError};

/// What a pass over all numbers adds up.
#[derive(Debug, Clone, Copy, Default)]
struct Totals {
    whole: i128,
    real: f64,
    imaginary: f64,
    squares: f64,
    peak: f64,
}

impl View {
    /// The sum of all numbers: an `int` of whole numbers, else a `float` or a `complex`.
    ///
    /// # Errors
    /// `TypeError` when they are no numbers.
    pub fn sum(&self) -> Result<Number, ViewError> {
        let kind = self.kind()?;
        if let (Kind::F32 | Kind::F64, Some(bytes)) = (kind, self.contiguous_bytes())
            && let Some(sum) = slices!(kind, bytes, numbers => sum_of(numbers, |n| n), None)
        {
            return Ok(Number::Float(sum));
        }
        if let Some(bytes) = self.contiguous_bytes()
            && let Some(sum) = slices!(kind, bytes, numbers => whole_sum_of(numbers), None)
        {
            return Ok(Number::Int(sum.into()));
        }
        let totals = self.totals()?;
        Ok(match kind {
            Kind::F16 | Kind::F32 | Kind::F64 => Number::Float(totals.real),
            Kind::C64 | Kind::C128 => Number::Complex(totals.real, totals.imaginary),
            _ => Number::Int(totals.whole),
        })
    }

    /// The mean; NaN of no numbers.
    ///
    /// # Errors
    /// As [`View::sum`].
    pub fn mean(&self) -> Result<Number, ViewError> {
        let count = self.count();
        Ok(match self.sum()? {
            Number::Complex(real, imaginary) => Number::Complex(real / count, imaginary / count),
            sum => Number::Float(sum.real() / count),
        })
    }

    /// The root of the mean square; NaN of no numbers.
    ///
    /// # Errors
    /// As [`View::sum`].
    pub fn rms(&self) -> Result<f64, ViewError> {
        let squares = match self.contiguous_bytes() {
            Some(bytes) => {
                slices!(self.kind()?, bytes, numbers => sum_of(numbers, |n| n * n), None)
            }
            None => None,
        };
        let squares = squares.map_or_else(|| self.totals().map(|totals| totals.squares), Ok)?;
        Ok((squares / self.count()).sqrt())
    }

    /// The largest magnitude; 0 of no numbers.
    ///
    /// # Errors
    /// As [`View::sum`].
    pub fn peak(&self) -> Result<f64, ViewError> {
        let peak = match self.contiguous_bytes() {
            Some(bytes) => slices!(self.kind()?, bytes, numbers => peak_of(numbers), None),
            None => None,
        };
        peak.map_or_else(|| self.totals().map(|totals| totals.peak), Ok)
    }

    #[expect(clippy::cast_precision_loss, reason = "more elements than 2^53 fit no memory")]
    fn count(&self) -> f64 {
        self.len() as f64
    }

    fn totals(&self) -> Result<Totals, ViewError> {
        let mut totals = Totals::default();
        self.each_number(|number| {
            let (real, imaginary) = number.as_complex();
            match number {
                Number::Int(number) => totals.whole += number,
                Number::Bool(truth) => totals.whole += i128::from(truth),
                Number::Float(_) | Number::Complex(..) => {}
            }
            totals.real += real;
            totals.imaginary += imaginary;
            totals.squares += real * real + imaginary * imaginary;
            totals.peak = larger(totals.peak, real.hypot(imaginary));
            Ok(())
        })?;
        Ok(totals)
    }

    /// Calls `visit` with each number, in C order.
    ///
    /// # Errors
    /// What `visit` gives, and `TypeError` when they are no numbers.
    pub fn each_number(
        &self,
        mut visit: impl FnMut(Number) -> Result<(), ViewError>,
    ) -> Result<(), ViewError> {
        let kind = self.kind()?;
        let memory = self.block.as_slice();
        let mut outcome = Ok(());
        self.each_offset(|at| {
            if outcome.is_ok()
                && let Some(bytes) = memory.get(at..at + kind.bytes())
            {
                outcome = visit(kind.read(bytes));
            }
        });
        outcome
    }

    /// Writes `factor` times each number to `target`, which may be the view itself. Whole numbers
    /// are cut off and kept within their range.
    ///
    /// # Errors
    /// `ValueError` for a target of another shape or a read-only one, `TypeError` when there are no
    /// numbers.
    pub fn scale_into(&self, factor: f64, target: &Self) -> Result<(), ViewError> {
        self.combine(
            None,
            target,
            |number, _| number * factor,
            |number, _| {
                let (real, imaginary) = number.as_complex();
                Number::Complex(real * factor, imaginary * factor)
            },
        )
    }

    /// Writes each number plus `gain` times the number of `other` to `target`, which may be either
    /// of both.
    ///
    /// # Errors
    /// As [`View::scale_into`].
    pub fn mix_into(&self, other: &Self, gain: f64, target: &Self) -> Result<(), ViewError> {
        self.combine(
            Some(other),
            target,
            |a, b| a + gain * b,
            |a, b| {
                let ((ar, ai), (br, bi)) = (a.as_complex(), b.as_complex());
                Number::Complex(ar + gain * br, ai + gain * bi)
            },
        )
    }

    fn combine(
        &self,
        other: Option<&Self>,
        target: &Self,
        fast: impl Fn(f64, f64) -> f64,
        exact: impl Fn(Number, Number) -> Number,
    ) -> Result<(), ViewError> {
        let (kind, target_kind) = (self.kind()?, target.kind()?);
        target.check_writable()?;
        for view in [Some(target), other].into_iter().flatten() {
            if view.shape != self.shape {
                let message = format!("shapes {:?} and {:?} differ", self.shape, view.shape);
                return Err(ViewError::Value(message));
            }
        }
        let is_same = target_kind == kind && other.is_none_or(|other| other.kind == Some(kind));
        if is_same && self.combine_fast(kind, other, target, &fast) {
            return Ok(());
        }
        // What the target has been given may overlap what is still to be read.
        let mut made = Vec::with_capacity(self.len());
        self.each_number(|number| {
            made.push(number);
            Ok(())
        })?;
        let mut place = 0;
        if let Some(other) = other {
            other.each_number(|number| {
                made[place] = exact(made[place], number);
                place += 1;
                Ok(())
            })?;
        } else {
            made.iter_mut().for_each(|number| *number = exact(*number, Number::Int(0)));
        }
        target.fill_from(made.into_iter().map(|number| Ok(target_kind.nearest(number))))
    }

    /// The same over slices, where all lie without gaps; false when they do not.
    fn combine_fast(
        &self,
        kind: Kind,
        other: Option<&Self>,
        target: &Self,
        combine: &impl Fn(f64, f64) -> f64,
    ) -> bool {
        fn over<T: Sample>(target: &mut [u8], other: &[u8], combine: impl Fn(f64, f64) -> f64) {
            let size = size_of::<T>();
            let numbers = target.chunks_exact_mut(size);
            if other.is_empty() {
                for bytes in numbers {
                    let number: T = bytemuck::pod_read_unaligned(bytes);
                    let made = T::from_double(combine(number.double(), 0.0));
                    bytes.copy_from_slice(bytemuck::bytes_of(&made));
                }
                return;
            }
            for (bytes, other) in numbers.zip(other.chunks_exact(size)) {
                let number: T = bytemuck::pod_read_unaligned(bytes);
                let other: T = bytemuck::pod_read_unaligned(other);
                let made = T::from_double(combine(number.double(), other.double()));
                bytes.copy_from_slice(bytemuck::bytes_of(&made));
            }
        }
        let is_c = |view: &Self| view.order() == Some(ipc_protocol::Order::C);
        if !is_c(self) || !is_c(target) || other.is_some_and(|other| !is_c(other)) {
            return false;
        }
        let (Some(mine), Some(bytes)) = (self.contiguous_bytes(), target.contiguous_bytes_mut())
        else {
            return false;
        };
        let apart = |a: &Self| !std::ptr::eq(&raw const *a.block, &raw const *target.block);
        let is_in_place = !apart(self) && self.offset == target.offset;
        // Reading what was written a moment ago would be wrong where they overlap.
        if !(is_in_place || apart(self)) || other.is_some_and(|other| !apart(other)) {
            return false;
        }
        if !is_in_place {
            bytes.copy_from_slice(mine);
        }
        let theirs = other.and_then(Self::contiguous_bytes).unwrap_or(&[]);
        if other.is_some() && theirs.is_empty() {
            return bytes.is_empty();
        }
        match kind {
            Kind::I8 => over::<i8>(bytes, theirs, combine),
            Kind::I16 => over::<i16>(bytes, theirs, combine),
            Kind::I32 => over::<i32>(bytes, theirs, combine),
            Kind::U8 => over::<u8>(bytes, theirs, combine),
            Kind::U16 => over::<u16>(bytes, theirs, combine),
            Kind::U32 => over::<u32>(bytes, theirs, combine),
            Kind::F32 => over::<f32>(bytes, theirs, combine),
            Kind::F64 => over::<f64>(bytes, theirs, combine),
            _ => return false,
        }
        true
    }

    /// Writes numbers to the elements, in C order.
    ///
    /// # Errors
    /// The first that `numbers` gives, `ValueError` when there are not as many as elements or the
    /// view is read-only, `OverflowError` or `TypeError` when one does not fit.
    pub fn fill_from(
        &self,
        numbers: impl IntoIterator<Item = Result<Number, ViewError>>,
    ) -> Result<(), ViewError> {
        let kind = self.kind()?;
        self.check_writable()?;
        let mut numbers = numbers.into_iter();
        let mut outcome = Ok(());
        self.each_offset(|at| {
            if outcome.is_err() {
                return;
            }
            outcome = match numbers.next() {
                Some(number) => number.and_then(|number| {
                    let bytes = self.block.as_mut_slice().get_mut(at..at + kind.bytes());
                    bytes.map_or(Ok(()), |bytes| kind.write(bytes, number))
                }),
                None => Err(ViewError::Value(format!("fewer numbers than {}", self.len()))),
            };
        });
        outcome?;
        match numbers.next() {
            None => Ok(()),
            Some(_) => Err(ViewError::Value(format!("more numbers than {}", self.len()))),
        }
    }
}
