//! Operators whose result is written to their left operand.

use super::{Index, Kind, Operand, Operator, Supply, View, ViewError};

/// Elements that change in place before what they are made of is read on.
const PART: usize = 4096;

impl Operator {
    /// Writes what the operator gives to the view that is its left operand.
    ///
    /// # Errors
    /// As [`Operator::apply`]; `ValueError` when the view is read-only or its shape would grow,
    /// `TypeError` when the result is of another sort of numbers.
    pub fn apply_in_place(self, target: &View, right: &Operand) -> Result<(), ViewError> {
        target.check_writable()?;
        let kind = target.kind()?;
        let private = Supply::default();
        let left = Operand::View(target.clone());
        // What `**` refuses is refused before anything is written.
        let parts = if self == Self::Power { None } else { target.parts_with(right)? };
        let Some(parts) = parts else {
            let made = self.apply(&left, right, &private)?;
            return self.put(target, kind, &made);
        };
        for (part, right) in parts {
            let made = self.apply(&Operand::View(part.clone()), &right, &private)?;
            self.put(&part, kind, &made)?;
        }
        Ok(())
    }

    fn put(self, target: &View, kind: Kind, made: &View) -> Result<(), ViewError> {
        let made_kind = made.kind()?;
        if !made_kind.may_become(kind) {
            let (symbol, made, own) = (self.symbol(), made_kind.name(), kind.name());
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
    /// The view and an operand in parts that an operator can go through one after another; nothing
    /// where one part might be written before another that lies there is read.
    fn parts_with(
        &self,
        other: &Operand,
    ) -> Result<Option<impl Iterator<Item = (Self, Operand)>>, ViewError> {
        let is_dense = |view: &Self| view.order() == Some(ipc_protocol::Order::C);
        let is_apart = match other {
            Operand::Number(_) => true,
            Operand::View(view) => {
                let is_same = std::ptr::eq(&raw const *view.block, &raw const *self.block);
                view.shape == self.shape
                    && is_dense(view)
                    && (!is_same || (view.offset == self.offset && view.kind == self.kind))
            }
        };
        if !is_apart || !is_dense(self) {
            return Ok(None);
        }
        let flat = self.reshape(&[-1], &Supply::default())?;
        let other = match other {
            Operand::View(view) => Operand::View(view.reshape(&[-1], &Supply::default())?),
            number => number.clone(),
        };
        let count = self.len();
        Ok(Some((0..count).step_by(PART).filter_map(move |start| {
            let stop = (start + PART).min(count);
            let part = [Index::Slice {
                start: Some(start.cast_signed()),
                stop: Some(stop.cast_signed()),
                step: 1,
            }];
            let right = match &other {
                Operand::View(view) => Operand::View(view.select(&part).ok()?),
                number => number.clone(),
            };
            Some((flat.select(&part).ok()?, right))
        })))
    }
}
