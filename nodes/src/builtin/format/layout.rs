//! How the channels of an array lie in memory: one after the other, or interleaved.

use ipc_protocol::Order;

use crate::error::{NodeError, NodeErrorKind};

/// The shape of an array with channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// `(channels, samples)`.
    Planar,
    /// `(samples, channels)`.
    Interleaved,
}

/// Shape and memory order of an array, in samples.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Arrangement {
    shape: Vec<u64>,
    order: Order,
    layout: Layout,
}

impl Arrangement {
    pub(super) fn of(shape: &[u64], order: Order, layout: Layout) -> Self {
        Self { shape: shape.to_vec(), order, layout }
    }

    pub(super) fn shape(&self) -> (Vec<u64>, Order) {
        (self.shape.clone(), self.order)
    }

    /// The same samples in another layout, in C order.
    pub(super) fn in_layout(&self, layout: Layout) -> Result<Self, NodeError> {
        let mut shape = self.shape.clone();
        if shape.len() > 2 {
            return Err(NodeErrorKind::BadShape {
                expected: "(samples,), (channels, samples) or (samples, channels)",
                shape,
            }
            .into());
        }
        if layout != self.layout {
            shape.reverse();
        }
        Ok(Self { shape, order: Order::C, layout })
    }

    pub(super) fn in_c_order(&self) -> Self {
        Self { order: Order::C, ..self.clone() }
    }

    /// Whether the samples of both lie in the same places.
    pub(super) fn lies_like(&self, other: &Self) -> bool {
        let has_one_order = self.shape.iter().filter(|axis| **axis != 1).count() < 2;
        has_one_order || self.lengths() == other.lengths()
    }

    /// The axes' lengths in the order of memory, the slowest first, with the layout's names of them.
    fn lengths(&self) -> (Vec<u64>, bool) {
        let mut lengths = self.shape.clone();
        let is_reversed = self.order == Order::Fortran;
        if is_reversed {
            lengths.reverse();
        }
        (lengths, is_reversed == (self.layout == Layout::Planar))
    }

    /// Exchanges the slow and the fast axis of an array with two axes, or reverses all of one with
    /// more.
    pub(super) fn transpose(&self, bytes: &[u8], item_bytes: usize, out: &mut [u8]) {
        let (lengths, _) = self.lengths();
        match (lengths.as_slice(), item_bytes) {
            (&[slow, fast], 1) => two_axes::<1>(bytes, (slow, fast), out),
            (&[slow, fast], 2) => two_axes::<2>(bytes, (slow, fast), out),
            (&[slow, fast], 3) => two_axes::<3>(bytes, (slow, fast), out),
            (&[slow, fast], 4) => two_axes::<4>(bytes, (slow, fast), out),
            (&[slow, fast], 8) => two_axes::<8>(bytes, (slow, fast), out),
            (lengths, _) => reverse_axes(bytes, lengths, item_bytes, out),
        }
    }
}

/// The bytes of an array in Fortran order, in C order.
pub(super) fn c_order(bytes: &[u8], shape: &[u64]) -> Vec<u8> {
    let mut out = vec![0; bytes.len()];
    let slowest_first: Vec<u64> = shape.iter().rev().copied().collect();
    reverse_axes(bytes, &slowest_first, 1, &mut out);
    out
}

fn two_axes<const N: usize>(bytes: &[u8], (slow, fast): (u64, u64), out: &mut [u8]) {
    let (items, out) = (bytes.as_chunks::<N>().0, out.as_chunks_mut::<N>().0);
    let (slow, fast) = (index(slow), index(fast));
    // The short axis, the channels, is the inner loop on neither side: whole rows are read or written.
    if slow <= fast {
        for (row, items) in items.chunks(fast.max(1)).enumerate() {
            for (out, item) in out.iter_mut().skip(row).step_by(slow.max(1)).zip(items) {
                *out = *item;
            }
        }
    } else {
        for (column, out) in out.chunks_mut(slow.max(1)).enumerate() {
            let items = items.iter().skip(column).step_by(fast.max(1));
            for (out, item) in out.iter_mut().zip(items) {
                *out = *item;
            }
        }
    }
}

/// `lengths`: of the axes of `bytes`, slowest first; in `out` the first is the fastest.
fn reverse_axes(bytes: &[u8], lengths: &[u64], item_bytes: usize, out: &mut [u8]) {
    let mut place = vec![0_u64; lengths.len()];
    for item in bytes.chunks_exact(item_bytes) {
        let to = place.iter().zip(lengths).rev().fold(0, |sum, (at, length)| sum * length + at);
        let to = index(to) * item_bytes;
        out[to..to + item_bytes].copy_from_slice(item);
        for (at, length) in place.iter_mut().zip(lengths).rev() {
            *at += 1;
            if *at < *length {
                break;
            }
            *at = 0;
        }
    }
}

fn index(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
