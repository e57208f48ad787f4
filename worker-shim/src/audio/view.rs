//! The type [`View`]: a layout over a block of memory, and its conversion from and to arrays of the
//! protocol.

use std::fmt;
use std::sync::Arc;

use bytemuck::Pod;
use bytes::Bytes;
use ipc_protocol::{Array, Order, Payload};

use super::layout::shape_text;
use super::loops::Numbers;
use super::select::Selected;
use super::{Block, Index, Kind, Layout, Mask, Number, Supply, ViewError};

/// An n-dimensional view of a block. Cloning makes another view of the same memory.
#[derive(Debug, Clone)]
pub struct View {
    block: Arc<Block>,
    kind: Kind,
    layout: Layout,
    /// Whether this is a single number (numpy's scalar) and not an array without axes.
    is_scalar: bool,
    /// Samples per second and channel, if known.
    pub sample_rate_hz: Option<u32>,
}

impl AsRef<[u8]> for View {
    fn as_ref(&self) -> &[u8] {
        self.bytes()
    }
}

impl View {
    /// A view in C order of a block; `ValueError` if the block does not have the array's size.
    pub fn over(block: Block, kind: Kind, shape: &[usize]) -> Result<Self, ViewError> {
        Self::laid(block, kind, Layout::dense(kind.bytes(), shape, Order::C)?)
    }

    fn laid(block: Block, kind: Kind, layout: Layout) -> Result<Self, ViewError> {
        if block.bytes != layout.len_bytes() {
            let (shape, dtype, bytes) = (shape_text(layout.shape()), kind.name(), block.bytes);
            return Err(ViewError::Value(format!(
                "an array of shape {shape} and dtype {dtype} does not have {bytes} bytes"
            )));
        }
        Ok(Self { block: Arc::new(block), kind, layout, is_scalar: false, sample_rate_hz: None })
    }

    /// A view in C order of new memory with arbitrary contents; `MemoryError` if the allocation
    /// fails, as of all functions with a `supply`.
    pub fn empty(shape: &[usize], kind: Kind, supply: &Supply) -> Result<Self, ViewError> {
        let layout = Layout::dense(kind.bytes(), shape, Order::C)
            .map_err(|_| ViewError::Memory(format!("no memory for shape {shape:?}")))?;
        Self::laid(supply.block(layout.len_bytes())?, kind, layout)
    }

    /// A view of new memory for the result of an operation: a scalar if it has no axes, at the rate
    /// of either operand.
    pub(super) fn for_result(
        shape: &[usize],
        kind: Kind,
        operands: [&Self; 2],
        supply: &Supply,
    ) -> Result<Self, ViewError> {
        let sample_rate_hz = operands.iter().find_map(|view| view.sample_rate_hz);
        let made = Self::empty(shape, kind, supply)?;
        Ok(Self { is_scalar: shape.is_empty(), sample_rate_hz, ..made })
    }

    /// A view of new memory with `numbers` in C order; each has the bytes of an element of `kind`.
    /// `ValueError` if the shape does not have as many elements.
    pub fn of_numbers<T: Pod>(
        numbers: &[T],
        shape: &[usize],
        kind: Kind,
        supply: &Supply,
    ) -> Result<Self, ViewError> {
        let made = Self::empty(shape, kind, supply)?;
        let bytes: &[u8] = bytemuck::cast_slice(numbers);
        if made.layout.len_bytes() == bytes.len() && made.block.write(0, bytes) {
            return Ok(made);
        }
        let message = format!("{} bytes do not fit an array of shape {shape:?}", bytes.len());
        Err(ViewError::Value(message))
    }

    /// A view of a received array; uses the array's memory without a copy where possible.
    ///
    /// # Errors
    /// `TypeError` if the elements are not plain numbers in this machine's byte order, because
    /// views cannot hold others. `ValueError` if shape, dtype and memory contradict each other: the
    /// peer that sent the array may be broken.
    pub fn of_array(array: Array) -> Result<Self, ViewError> {
        let dtype = &array.dtype.descr;
        let kind = Kind::of_dtype(&array.dtype).ok_or_else(|| {
            ViewError::Unsupported(format!("an 'AudioView' cannot hold arrays of dtype {dtype}"))
        })?;
        // A length beyond the address space is refused as too large below.
        let lengths = array.shape.iter();
        let shape: Vec<usize> =
            lengths.map(|&length| usize::try_from(length).unwrap_or(usize::MAX)).collect();
        let layout = Layout::dense(kind.bytes(), &shape, array.order)?;
        let is_scalar = array.scalar && shape.is_empty();
        Ok(Self { is_scalar, ..Self::laid(Block::of_payload(array.data)?, kind, layout)? })
    }

    /// Converts the view to an array to be sent. Shared memory is not copied. Private memory is
    /// lent, so the array must be dropped before Python code runs again. A view with gaps is
    /// copied; `copies` is called with the number of copied bytes.
    ///
    /// # Errors
    /// `MemoryError` when the allocation of a copy fails.
    pub fn to_array(
        &self,
        supply: &Supply,
        copies: impl FnOnce(usize),
    ) -> Result<Array, ViewError> {
        let (view, order) = match self.layout.order() {
            Some(order) => (self.clone(), order),
            None => {
                copies(self.layout.len_bytes());
                (self.copy(supply)?, Order::C)
            }
        };
        let (start, bytes) = (view.layout.offset(), view.layout.len_bytes());
        let data: Payload = match view.block.shared_bytes() {
            Some(shared) => shared.part(start, bytes).map_or_else(|| Vec::new().into(), Into::into),
            None => Bytes::from_owner(view.clone()).into(),
        };
        let shape = view.layout.shape().iter().map(|&length| length as u64).collect();
        Ok(Array { dtype: view.kind.dtype(), shape, order, scalar: self.is_scalar, data })
    }

    /// The same view with another sample rate.
    #[must_use]
    pub fn at_rate(self, sample_rate_hz: Option<u32>) -> Self {
        Self { sample_rate_hz, ..self }
    }

    /// Other elements of the same block. They must lie within its memory.
    pub(super) fn with_layout(&self, layout: Layout) -> Self {
        let (block, kind) = (Arc::clone(&self.block), self.kind);
        Self { block, kind, layout, is_scalar: false, sample_rate_hz: self.sample_rate_hz }
    }

    /// The block that this view shows.
    pub fn block(&self) -> &Block {
        &self.block
    }

    /// The dtype of the elements.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Where the elements lie in the block.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    pub(super) fn numbers(&self) -> Numbers<'_> {
        Numbers { memory: self.block.as_slice(), layout: &self.layout }
    }

    /// The bytes of a view without gaps, in memory order; empty for a view with gaps.
    pub fn bytes(&self) -> &[u8] {
        let start = self.layout.offset();
        let bytes = self.block.as_slice().get(start..start + self.layout.len_bytes());
        bytes.filter(|_| self.layout.order().is_some()).unwrap_or(&[])
    }

    /// The number, if this is a single number (numpy's scalar) and not an array.
    pub fn scalar(&self) -> Option<Number> {
        self.is_scalar.then(|| self.number(&[]).ok()).flatten()
    }

    /// Reads the element at an index.
    ///
    /// # Errors
    /// `IndexError` for an index beyond an axis.
    pub fn number(&self, indices: &[isize]) -> Result<Number, ViewError> {
        let place = self.layout.place(indices)?;
        let element = self.block.as_slice().get(place..place + self.kind.bytes());
        let beyond = || ViewError::Index("the index is beyond the view's memory".to_owned());
        element.map(|element| Number::read(self.kind, element)).ok_or_else(beyond)
    }

    /// Calls `visit` with each number, in C order.
    pub fn each_number(&self, mut visit: impl FnMut(Number)) {
        for run in self.layout.runs() {
            let numbers = self.block.as_slice().get(run).unwrap_or(&[]);
            numbers
                .chunks_exact(self.kind.bytes())
                .for_each(|at| visit(Number::read(self.kind, at)));
        }
    }

    /// The number of a view with one element.
    ///
    /// # Errors
    /// `TypeError` when the view does not have exactly one element, as in numpy.
    pub fn single(&self) -> Result<Number, ViewError> {
        if self.layout.len() != 1 {
            let message = "only length-1 arrays can be converted to Python scalars";
            return Err(ViewError::Type(message.to_owned()));
        }
        self.number(&[])
    }

    /// The bools of a view as a mask.
    ///
    /// # Errors
    /// `TypeError` for other dtypes and for a view without axes.
    pub fn mask(&self) -> Result<Mask, ViewError> {
        if self.kind != Kind::Bool || self.layout.shape().is_empty() {
            return Err(Mask::refused());
        }
        let dense = self.copy(&Supply::default())?;
        let truths = dense.bytes().iter().map(|truth| *truth != 0).collect();
        Ok(Mask { shape: self.layout.shape().to_vec(), truths })
    }

    /// Reads `view[...]`. The result shares the memory unless there is a mask. It is a scalar if no
    /// axis is left and the subscript has no `...`.
    ///
    /// # Errors
    /// `IndexError` for an index beyond an axis and for a mask of another shape, `ValueError` for a
    /// step of zero, `TypeError` for several masks and for a mask apart from the integer indices.
    pub fn get(&self, subscript: &[Index], supply: &Supply) -> Result<Self, ViewError> {
        match self.layout.select(subscript)? {
            Selected::Part(layout) => {
                let is_whole = subscript.iter().any(|part| matches!(part, Index::Ellipsis));
                let is_scalar = layout.shape().is_empty() && !is_whole;
                Ok(Self { is_scalar, ..self.with_layout(layout) })
            }
            Selected::Masked(shape, runs) => {
                let made = Self::empty(&shape, self.kind, supply)?;
                made.block.gather(&self.block, runs);
                Ok(made.at_rate(self.sample_rate_hz))
            }
        }
    }

    /// A copy of the elements in new memory, in C order.
    pub fn copy(&self, supply: &Supply) -> Result<Self, ViewError> {
        let copy = Self::empty(self.layout.shape(), self.kind, supply)?;
        copy.block.gather(&self.block, self.layout.runs());
        Ok(copy.at_rate(self.sample_rate_hz))
    }

    /// The same elements in another shape; one axis may be -1 and gets the remaining length. Copies
    /// the elements unless they lie in C order without gaps. `ValueError` if their number differs.
    pub fn reshape(&self, shape: &[isize], supply: &Supply) -> Result<Self, ViewError> {
        if self.layout.order() != Some(Order::C) {
            return self.copy(supply)?.reshape(shape, supply);
        }
        self.layout.reshaped(shape).map(|layout| self.with_layout(layout))
    }

    /// The view with its axes in another order; with an empty `order`, in reverse order.
    /// `ValueError` if the order does not name each axis once.
    pub fn transpose(&self, order: &[isize]) -> Result<Self, ViewError> {
        self.layout.transposed(order).map(|layout| self.with_layout(layout))
    }
}

impl fmt::Display for View {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (shape, dtype) = (shape_text(self.layout.shape()), self.kind.name());
        write!(formatter, "<AudioView of shape {shape} and dtype {dtype}")?;
        match self.sample_rate_hz {
            Some(rate) => write!(formatter, " at {rate} Hz>"),
            None => write!(formatter, ">"),
        }
    }
}
