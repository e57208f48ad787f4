//! Operators whose result is written to their left operand.

use ipc_protocol::Order;

use super::{Index, Operand, Operator, Supply, View, ViewError};

/// Elements that are computed before they are written: few enough to stay in the cache.
const PART: usize = 4096;

impl Operator {
    /// Writes what the operator gives to the view that is its left operand.
    ///
    /// # Errors
    /// As [`Operator::apply`]; `ValueError` when the view is read-only or its shape would grow,
    /// `TypeError` when the dtype of the result may not become that of the view.
    pub fn apply_in_place(self, target: &View, right: &Operand) -> Result<(), ViewError> {
        target.check_writable()?;
        let private = Supply::default();
        let work = |part: &View, right: &Operand| {
            let made = self.apply(&Operand::View(part.clone()), right, &private)?;
            self.put(part, &made)
        };
        // A negative exponent is refused before anything is written.
        if self == Self::Power { work(target, right) } else { target.each_part(right, work) }
    }

    fn put(self, target: &View, made: &View) -> Result<(), ViewError> {
        let (own, made_kind) = (target.numeric()?, made.numeric()?);
        if !made_kind.may_become(own) {
            let (symbol, made, own) = (self.symbol(), made_kind.name(), own.name());
            return Err(ViewError::Type(format!(
                "{symbol}= gives numbers of dtype {made}, which a view of {own} has no room for; \
                 write x = x {symbol} y instead"
            )));
        }
        if made.shape != target.shape {
            return Err(ViewError::Value(format!(
                "a view of shape {} has no room for a result of shape {}",
                target.shape_text(),
                made.shape_text()
            )));
        }
        target.copy_from(made)
    }
}

impl View {
    /// Whether both show the same elements.
    pub(super) fn is_same_as(&self, other: &Self) -> bool {
        self.shares_block(other)
            && (self.offset, self.kind) == (other.offset, other.kind)
            && (&self.shape, &self.strides) == (&other.shape, &other.strides)
    }

    /// Calls `work` with the view and an operand, in parts where no part is written before another
    /// that lies there is read.
    pub(super) fn each_part(
        &self,
        other: &Operand,
        mut work: impl FnMut(&Self, &Operand) -> Result<(), ViewError>,
    ) -> Result<(), ViewError> {
        let is_dense = self.order() == Some(Order::C);
        let is_apart = match other {
            Operand::Number(_) => true,
            Operand::View(view) => {
                let is_apart = !self.shares_block(view) || self.is_same_as(view);
                view.shape == self.shape && view.order() == Some(Order::C) && is_apart
            }
        };
        if !is_apart || !is_dense {
            return work(self, other);
        }
        let private = Supply::default();
        let (flat, count) = (self.raveled(&private)?, self.len());
        let other = match other {
            Operand::View(view) => Operand::View(view.raveled(&private)?),
            number => number.clone(),
        };
        for start in (0..count).step_by(PART) {
            let stop = (start + PART).min(count);
            let (start, stop) = (Some(start.cast_signed()), Some(stop.cast_signed()));
            let part = [Index::Slice { start, stop, step: 1 }];
            let right = match &other {
                Operand::View(view) => Operand::View(view.select(&part)?),
                number => number.clone(),
            };
            work(&flat.select(&part)?, &right)?;
        }
        Ok(())
    }
}
