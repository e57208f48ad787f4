//! The type [`View`]: a shape over a block of memory, and its conversion from and to arrays of the
//! protocol.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use ipc_protocol::{Array, Order, Payload};

use super::layout::{bytes_needed, shape_text, strides_of};
use super::{Block, Kind, Number, Supply, ViewError, index};

/// An n-dimensional view of a block. Cloning makes another view of the same memory.
#[derive(Debug, Clone)]
pub struct View {
    pub(super) block: Arc<Block>,
    pub(super) kind: Kind,
    pub(super) shape: Vec<usize>,
    /// For each axis the bytes from one element to the next.
    pub(super) strides: Vec<isize>,
    /// Where the first element begins in the block, in bytes.
    pub(super) offset: usize,
    pub(super) is_scalar: bool,
    /// Samples per second and channel, if known.
    pub sample_rate_hz: Option<u32>,
}

/// Owner of the bytes of a payload: keeps the view's block alive as long as the payload lives.
struct Borrowed(View);

impl AsRef<[u8]> for Borrowed {
    fn as_ref(&self) -> &[u8] {
        self.0.bytes()
    }
}

impl View {
    /// A view in C order from the start of a block.
    ///
    /// # Errors
    /// `ValueError` when the block is too short for the shape.
    pub fn over(block: Block, kind: Kind, shape: &[usize]) -> Result<Self, ViewError> {
        Self::with_layout(block, kind, shape, Order::C)
    }

    pub(super) fn with_layout(
        block: Block,
        kind: Kind,
        shape: &[usize],
        order: Order,
    ) -> Result<Self, ViewError> {
        let item = kind.bytes();
        let needed = bytes_needed(item, shape)?;
        if block.bytes < needed {
            let message = format!("shape {shape:?} needs {needed} bytes, not {}", block.bytes);
            return Err(ViewError::Value(message));
        }
        Ok(Self {
            block: Arc::new(block),
            kind,
            strides: strides_of(item, shape, order),
            shape: shape.to_vec(),
            offset: 0,
            is_scalar: false,
            sample_rate_hz: None,
        })
    }

    /// A view of a received array; uses the array's memory without a copy where possible.
    ///
    /// # Errors
    /// `TypeError` if the elements are not plain numbers in this machine's byte order, because
    /// views cannot hold others. `ValueError` if shape, dtype and memory contradict each other: the
    /// peer that sent the array may be broken.
    pub fn of_array(array: Array) -> Result<Self, ViewError> {
        let kind = Kind::of_dtype(&array.dtype).ok_or_else(|| {
            let dtype = &array.dtype.descr;
            ViewError::Unsupported(format!("an 'AudioView' cannot hold arrays of dtype {dtype}"))
        })?;
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
        let block = Block::of_payload(array.data)?;
        let made = Self::with_layout(block, kind, &shape, array.order)?;
        Ok(Self { is_scalar: array.scalar, ..made })
    }

    /// Converts the view to an array to be sent. Shared memory is not copied. Private memory is
    /// lent, so the array must be dropped before Python code runs again. A view with gaps is
    /// copied; `copies` is called with the number of copied bytes.
    ///
    /// # Errors
    /// `MemoryError` when a copy would exceed the address space.
    pub fn to_array(
        &self,
        supply: &Supply,
        copies: impl FnOnce(usize),
    ) -> Result<Array, ViewError> {
        if let Some(order) = self.order() {
            return Ok(self.lent(order));
        }
        copies(self.len_bytes());
        Ok(self.copy(supply)?.lent(Order::C))
    }

    /// The array for a view without gaps, without copying.
    fn lent(&self, order: Order) -> Array {
        let data: Payload = match self.block.shared_bytes() {
            Some(shared) => match shared.part(self.offset, self.len_bytes()) {
                Some(part) => part.into(),
                None => Vec::new().into(),
            },
            None => Bytes::from_owner(Borrowed(self.clone())).into(),
        };
        let shape = self.shape.iter().map(|&length| length as u64).collect();
        Array { dtype: self.kind.dtype(), shape, order, scalar: self.is_scalar, data }
    }

    /// The same view with another sample rate.
    #[must_use]
    pub fn at_rate(self, sample_rate_hz: Option<u32>) -> Self {
        Self { sample_rate_hz, ..self }
    }

    /// The order in which the elements lie, or `None` if there are gaps between them.
    pub(super) fn order(&self) -> Option<Order> {
        let lies = |order: Order| {
            let wanted = strides_of(self.kind.bytes(), &self.shape, order);
            let axes = self.shape.iter().zip(self.strides.iter().zip(&wanted));
            self.is_empty() || axes.into_iter().all(|(&length, (a, b))| length == 1 || a == b)
        };
        [Order::C, Order::Fortran].into_iter().find(|&order| lies(order))
    }

    /// The bytes of a view without gaps, in memory order; empty for a view with gaps.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        let bytes = self
            .order()
            .and_then(|_| self.block.as_slice().get(self.offset..self.offset + self.len_bytes()));
        bytes.unwrap_or(&[])
    }

    /// The block that this view shows.
    #[must_use]
    pub fn block(&self) -> &Block {
        &self.block
    }

    /// Whether both views show the same block.
    pub(super) fn shares_block(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.block, &other.block)
    }

    /// Where the first element begins in the block, in bytes.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// Length of each axis.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// For each axis the bytes from one element to the next.
    #[must_use]
    pub fn strides(&self) -> &[isize] {
        &self.strides
    }

    /// Number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether the view has no elements.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.shape.contains(&0)
    }

    /// Size of all elements together, in bytes.
    #[must_use]
    pub fn len_bytes(&self) -> usize {
        self.len() * self.kind.bytes()
    }

    /// Whether the elements may be changed.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        self.block.is_writable()
    }

    /// The dtype of the elements.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The number, if this is a single number (numpy's scalar) and not an array.
    #[must_use]
    pub fn scalar(&self) -> Option<Number> {
        (self.is_scalar && self.shape.is_empty()).then(|| self.number(&[]).ok()).flatten()
    }

    /// Reads the element at an index.
    ///
    /// # Errors
    /// `IndexError` for an index beyond an axis.
    pub fn number(&self, place: &[isize]) -> Result<Number, ViewError> {
        let at = self.offset_of(place)?;
        let bytes = self.block.as_slice().get(at..at + self.kind.bytes());
        bytes.map(|bytes| self.kind.read(bytes)).ok_or_else(beyond_memory)
    }

    /// Writes the element at an index.
    ///
    /// # Errors
    /// As [`View::number`], `ValueError` when the view is read-only, `OverflowError` or `TypeError`
    /// when the dtype cannot store the number.
    pub fn set_number(&self, place: &[isize], number: Number) -> Result<(), ViewError> {
        self.check_writable()?;
        let element = &self.kind.encoded(number)?[..self.kind.bytes()];
        let is_written = self.block.write(self.offset_of(place)?, element);
        is_written.then_some(()).ok_or_else(beyond_memory)
    }

    /// Calls `visit` with each number, in C order.
    pub fn each_number(&self, mut visit: impl FnMut(Number)) {
        for run in self.runs() {
            let numbers = self.block.as_slice().get(run).unwrap_or(&[]);
            numbers.chunks_exact(self.kind.bytes()).for_each(|at| visit(self.kind.read(at)));
        }
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

    /// A copy of the elements in a new block, in C order.
    ///
    /// # Errors
    /// `MemoryError` when the copy would exceed the address space.
    pub fn copy(&self, supply: &Supply) -> Result<Self, ViewError> {
        let copy = supply.view(&self.shape, self.kind)?.at_rate(self.sample_rate_hz);
        copy.gather(&self.block, self.runs());
        Ok(copy)
    }

    /// Copies the byte ranges `runs` of another block to this view, which must have no gaps.
    pub(super) fn gather(&self, from: &Block, runs: impl IntoIterator<Item = Range<usize>>) {
        let mut to = self.offset;
        for run in runs {
            let run = from.as_slice().get(run).unwrap_or(&[]);
            self.block.write(to, run);
            to += run.len();
        }
    }

    /// Copies `bytes` to the byte ranges `runs` of this view's block, one after another.
    pub(super) fn scatter(&self, runs: impl IntoIterator<Item = Range<usize>>, mut bytes: &[u8]) {
        for run in runs {
            let (now, later) = bytes.split_at(run.len().min(bytes.len()));
            self.block.write(run.start, now);
            bytes = later;
        }
    }
}

fn beyond_memory() -> ViewError {
    ViewError::Index("the index is beyond the view's memory".to_owned())
}

impl fmt::Display for View {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (shape, dtype) = (shape_text(&self.shape), self.kind.name());
        write!(formatter, "<AudioView of shape {shape} and dtype {dtype}")?;
        match self.sample_rate_hz {
            Some(rate) => write!(formatter, " at {rate} Hz>"),
            None => write!(formatter, ">"),
        }
    }
}
