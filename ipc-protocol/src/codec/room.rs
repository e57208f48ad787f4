//! Memory for what a message is made of, while this thread decodes or encodes one. Decoding is called back
//! by serde, which takes no state along, so the state is the thread's.

use std::cell::Cell;
use std::io;

use serde::de;

use crate::memory::{Headroom, NoMemory};

/// About what the allocator adds to a small text.
const ALLOCATION_BYTES: usize = 32;

thread_local! {
    static HEADROOM: Headroom = Headroom::default();
    static REFUSED: Cell<Option<NoMemory>> = const { Cell::new(None) };
}

/// Call it before a message is decoded.
pub(super) fn begin() {
    HEADROOM.with(Headroom::renew);
    REFUSED.take();
}

/// Call it before `bytes` are allocated for a decoded value. The error only ends the decoding;
/// [`take_refusal`] has the cause.
pub(super) fn take<E: de::Error>(bytes: usize) -> Result<(), E> {
    HEADROOM.with(|headroom| headroom.take(bytes)).map_err(|refused| {
        REFUSED.set(Some(refused));
        E::custom("no memory")
    })
}

/// A copy of a text.
pub(super) fn text<E: de::Error>(text: &str) -> Result<String, E> {
    take::<E>(text.len() + ALLOCATION_BYTES)?;
    Ok(text.to_owned())
}

/// Makes room for one more element. Memory grows with what has arrived, up to the announced number of
/// elements, which is not trusted.
pub(super) fn grow<T, E: de::Error>(items: &mut Vec<T>, announced: usize) -> Result<(), E> {
    /// The least that is added, in elements.
    const LEAST: usize = 256;
    let length = items.len();
    if length < items.capacity() {
        return Ok(());
    }
    let more = length.max(LEAST).min(announced.saturating_sub(length)).max(1);
    take::<E>((length + more) * size_of::<T>())?;
    items.reserve_exact(more);
    Ok(())
}

/// Why decoding has ended, if it lacked memory.
pub(super) fn take_refusal() -> Option<NoMemory> {
    REFUSED.take()
}

/// Bytes that grow while a message is encoded.
pub(super) struct Growing {
    pub(super) bytes: Vec<u8>,
    pub(super) refused: Option<NoMemory>,
}

impl io::Write for Growing {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        if self.bytes.try_reserve(data.len()).is_err() {
            self.refused = Some(NoMemory::for_bytes(self.bytes.len().max(data.len())));
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        self.bytes.extend_from_slice(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
