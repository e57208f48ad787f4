//! A shape over a block of memory, and what can be asked of it without touching its numbers.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use ipc_protocol::{Array, Dtype, Order, Payload};

use super::layout::{bytes_needed, strides_of};
use super::{Block, Kind, Number, ViewError, index};

/// An n-dimensional view. Cloning gives another view of the same memory.
#[derive(Debug, Clone)]
pub struct View {
    pub(super) block: Arc<Block>,
    pub(super) dtype: Dtype,
    /// `None` for elements that are no plain numbers: they can be passed on, not looked at.
    pub(super) kind: Option<Kind>,
    pub(super) shape: Vec<usize>,
    /// Per axis how many bytes lie between two elements.
    pub(super) strides: Vec<isize>,
    /// Where the first element begins in the block.
    pub(super) offset: usize,
    pub(super) is_scalar: bool,
    /// Samples per second and channel, where that is known.
    pub sample_rate_hz: Option<u32>,
}

/// Keeps a block alive for whoever holds its bytes.
struct Borrowed(View);

impl AsRef<[u8]> for Borrowed {
    fn as_ref(&self) -> &[u8] {
        self.0.contiguous_bytes().unwrap_or(&[])
    }
}

impl View {
    /// A view of a whole block.
    ///
    /// # Errors
    /// `ValueError` when the block is too short for the shape.
    pub fn over(block: Block, kind: Kind, shape: &[usize]) -> Result<Self, ViewError> {
        Self::with_layout(block, kind.dtype(), shape, Order::C)
    }

    pub(super) fn with_layout(
        block: Block,
        dtype: Dtype,
        shape: &[usize],
        order: Order,
    ) -> Result<Self, ViewError> {
        let item = dtype.item_bytes as usize;
        let needed = bytes_needed(item, shape)?;
        if block.len() < needed {
            let message = format!("shape {shape:?} needs {needed} bytes, not {}", block.len());
            return Err(ViewError::Value(message));
        }
        Ok(Self {
            block: Arc::new(block),
            kind: Kind::of_dtype(&dtype),
            dtype,
            strides: strides_of(item, shape, order),
            shape: shape.to_vec(),
            offset: 0,
            is_scalar: false,
            sample_rate_hz: None,
        })
    }

    /// The view of an array that arrived, over its own memory where that is possible.
    ///
    /// # Errors
    /// `ValueError` when shape, dtype and memory do not agree: the array may come from a broken
    /// peer.
    pub fn of_array(array: Array) -> Result<Self, ViewError> {
        let fits = |length: &u64| usize::try_from(*length).ok();
        let shape: Option<Vec<usize>> = array.shape.iter().map(fits).collect();
        let shape = shape.ok_or_else(|| ViewError::Value("an axis is too long".to_owned()))?;
        let needed = bytes_needed(array.dtype.item_bytes as usize, &shape)?;
        if needed != array.data.len() {
            return Err(ViewError::Value(format!(
                "array of shape {shape:?} and dtype {} does not fit its {} bytes",
                array.dtype.descr,
                array.data.len()
            )));
        }
        let block = Block::of_payload(array.data);
        let made = Self::with_layout(block, array.dtype, &shape, array.order)?;
        Ok(Self { is_scalar: array.scalar, ..made })
    }

    /// The array that this view is for other processes. Memory that is shared already stays where
    /// it is; private memory is lent, so that whoever has the array must be done with it before
    /// Python code runs again. `gather` makes the block for a view with gaps.
    ///
    /// # Errors
    /// `MemoryError` when `gather` gives none.
    pub fn to_array(
        &self,
        gather: impl FnOnce(usize) -> Result<Block, ViewError>,
    ) -> Result<Array, ViewError> {
        match self.order() {
            Some(order) => Ok(self.lent(order)),
            None => Ok(self.copied_to(gather(self.len_bytes())?)?.lent(Order::C)),
        }
    }

    /// The array of a view without gaps.
    fn lent(&self, order: Order) -> Array {
        let data: Payload = match self.block.shared_bytes() {
            Some(shared) => match shared.part(self.offset, self.len_bytes()) {
                Some(part) => part.into(),
                None => Vec::new().into(),
            },
            None => Bytes::from_owner(Borrowed(self.clone())).into(),
        };
        let shape = self.shape.iter().map(|&length| length as u64).collect();
        Array { dtype: self.dtype.clone(), shape, order, scalar: self.is_scalar, data }
    }

    /// The same numbers with a sample rate.
    #[must_use]
    pub fn at_rate(self, sample_rate_hz: Option<u32>) -> Self {
        Self { sample_rate_hz, ..self }
    }

    /// The order in which the elements lie without gaps, if they do.
    pub(super) fn order(&self) -> Option<Order> {
        let item = self.dtype.item_bytes as usize;
        let lies = |order: Order| {
            let wanted = strides_of(item, &self.shape, order);
            let axes = self.shape.iter().zip(self.strides.iter().zip(&wanted));
            self.is_empty() || axes.into_iter().all(|(&length, (a, b))| length == 1 || a == b)
        };
        [Order::C, Order::Fortran].into_iter().find(|&order| lies(order))
    }

    /// The bytes of a view without gaps, in the order in which they lie.
    #[must_use]
    pub fn contiguous_bytes(&self) -> Option<&[u8]> {
        self.order()?;
        self.block.as_slice().get(self.offset..self.offset + self.len_bytes())
    }

    /// As [`View::contiguous_bytes`] for writing, in C order only; `None` too when it is read-only.
    pub(super) fn contiguous_bytes_mut(&self) -> Option<&mut [u8]> {
        (self.order()? == Order::C && self.is_writable()).then_some(())?;
        self.block.as_mut_slice().get_mut(self.offset..self.offset + self.len_bytes())
    }

    /// The memory behind it.
    #[must_use]
    pub fn block(&self) -> &Block {
        &self.block
    }

    /// Where its first element begins in the block, in bytes.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// Length of each axis.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The shape as Python prints it.
    pub(super) fn shape_text(&self) -> String {
        shape_text(&self.shape)
    }

    /// Bytes between two elements of each axis.
    #[must_use]
    pub fn strides(&self) -> &[isize] {
        &self.strides
    }

    /// Number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.shape.contains(&0)
    }

    /// Bytes of one element.
    #[must_use]
    pub fn item_bytes(&self) -> usize {
        self.dtype.item_bytes as usize
    }

    /// Bytes of all its elements.
    #[must_use]
    pub fn len_bytes(&self) -> usize {
        self.len() * self.dtype.item_bytes as usize
    }

    /// Whether its elements may be changed.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        self.block.is_writable()
    }

    /// The type of an element as users name it.
    #[must_use]
    pub fn dtype_name(&self) -> &str {
        match self.kind {
            Some(kind) => kind.name(),
            None => &self.dtype.descr,
        }
    }

    /// The kind of its numbers.
    ///
    /// # Errors
    /// `TypeError` when they are no plain numbers.
    pub fn kind(&self) -> Result<Kind, ViewError> {
        self.kind.ok_or_else(|| {
            ViewError::Type(format!(
                "elements of dtype {} can be passed on but not looked at here: they are no plain \
                 numbers in this machine's byte order",
                self.dtype.descr
            ))
        })
    }

    /// The number, if it arrived as a single one and not as an array.
    #[must_use]
    pub fn scalar(&self) -> Option<Number> {
        (self.is_scalar && self.shape.is_empty()).then(|| self.number(&[]).ok()).flatten()
    }

    /// One element.
    ///
    /// # Errors
    /// `IndexError` beyond an axis, `TypeError` when it is no number.
    pub fn number(&self, place: &[isize]) -> Result<Number, ViewError> {
        let kind = self.kind()?;
        let at = self.offset_of(place)?;
        let bytes = self.block.as_slice().get(at..at + kind.bytes());
        Ok(kind.read(bytes.ok_or_else(|| ViewError::Index("beyond the memory".to_owned()))?))
    }

    /// Changes one element.
    ///
    /// # Errors
    /// As [`View::number`], `ValueError` when the view is read-only, `OverflowError` or `TypeError`
    /// when the number does not fit.
    pub fn set_number(&self, place: &[isize], number: Number) -> Result<(), ViewError> {
        let kind = self.kind()?;
        self.check_writable()?;
        let at = self.offset_of(place)?;
        let bytes = self.block.as_mut_slice().get_mut(at..at + kind.bytes());
        kind.write(bytes.ok_or_else(|| ViewError::Index("beyond the memory".to_owned()))?, number)
    }

    pub(super) fn check_writable(&self) -> Result<(), ViewError> {
        if self.is_writable() {
            return Ok(());
        }
        Err(ViewError::Value(
            "the view is read-only: its memory is shared with others; write to a copy()".to_owned(),
        ))
    }

    fn offset_of(&self, place: &[isize]) -> Result<usize, ViewError> {
        let mut offset = self.offset.cast_signed();
        for (axis, &index) in place.iter().enumerate() {
            let length = self.shape.get(axis).copied().unwrap_or(0);
            let at = index::at(index, length, axis)?;
            offset += at.cast_signed() * self.strides[axis];
        }
        Ok(offset.unsigned_abs())
    }

    /// A copy of its elements in a new block, in C order.
    ///
    /// # Errors
    /// `ValueError` when the block is too short.
    pub fn copied_to(&self, block: Block) -> Result<Self, ViewError> {
        let copy = Self::with_layout(block, self.dtype.clone(), &self.shape, Order::C)?;
        let copy = Self { sample_rate_hz: self.sample_rate_hz, ..copy };
        let mut to = 0;
        let (run, starts) = self.runs();
        starts.each_offset(|from| {
            if let Some(run) = self.block.as_slice().get(from..from + run) {
                copy.block.write(to, run);
            }
            to += run;
        });
        Ok(copy)
    }
}

impl fmt::Display for View {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (shape, dtype) = (self.shape_text(), self.dtype_name());
        write!(formatter, "<AudioView of shape {shape} and dtype {dtype}")?;
        match self.sample_rate_hz {
            Some(rate) => write!(formatter, " at {rate} Hz>"),
            None => write!(formatter, ">"),
        }
    }
}

/// A shape as Python prints it.
pub(super) fn shape_text(shape: &[usize]) -> String {
    match shape {
        [length] => format!("({length},)"),
        shape => {
            let lengths: Vec<String> = shape.iter().map(ToString::to_string).collect();
            format!("({})", lengths.join(", "))
        }
    }
}
