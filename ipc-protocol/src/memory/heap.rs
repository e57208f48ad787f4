//! Segments on the heap of this process, for tests under Miri and loom. The "name" of such a
//! segment is its address, by which it can be found while a reference to it exists.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::collections::BTreeMap;
use std::io;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::pages::page_bytes;
use super::segment::{Mapping, Ticket};

/// Memory on the heap, freed with its last reference.
#[derive(Debug)]
pub struct HeapMemory {
    start: NonNull<u8>,
    layout: Layout,
}

// SAFETY: the memory is owned, and accessed only through raw pointers, under the rules of `memory`.
unsafe impl Send for HeapMemory {}
// SAFETY: as above.
unsafe impl Sync for HeapMemory {}

/// Memory whose name was passed on, by address.
static TICKETS: Mutex<BTreeMap<usize, Weak<HeapMemory>>> = Mutex::new(BTreeMap::new());

impl HeapMemory {
    fn new(bytes: usize) -> io::Result<Self> {
        let layout = Layout::from_size_align(bytes.max(1), page_bytes())
            .map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        // SAFETY: the layout's size is not zero.
        let start = unsafe { alloc_zeroed(layout) };
        let start = NonNull::new(start).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, layout })
    }

    /// The name of the memory in an announcement.
    pub(crate) fn name(self: &Arc<Self>) -> String {
        let address = self.start.addr().get();
        let mut tickets = TICKETS.lock().unwrap_or_else(PoisonError::into_inner);
        tickets.retain(|_, memory| memory.strong_count() > 0);
        tickets.insert(address, Arc::downgrade(self));
        address.to_string()
    }

    /// The memory with this name, if it still exists.
    pub(crate) fn named(name: &str) -> Option<Arc<Self>> {
        let address = name.parse::<usize>().ok()?;
        TICKETS.lock().unwrap_or_else(PoisonError::into_inner).get(&address)?.upgrade()
    }
}

impl Drop for HeapMemory {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout in `new`, and freed once.
        unsafe { dealloc(self.start.as_ptr(), self.layout) };
    }
}

/// One side's handle to such memory.
#[derive(Debug)]
pub(super) struct HeapSegment {
    memory: Arc<HeapMemory>,
    bytes: usize,
}

impl HeapSegment {
    pub(super) fn create(bytes: usize) -> io::Result<Self> {
        Ok(Self { memory: Arc::new(HeapMemory::new(bytes)?), bytes })
    }

    pub(super) fn open(memory: Arc<HeapMemory>, bytes: usize) -> io::Result<Self> {
        if memory.layout.size() != bytes {
            let reason = "the segment is not as long as announced";
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
        }
        Ok(Self { memory, bytes })
    }
}

impl Mapping for HeapSegment {
    fn start(&self) -> NonNull<u8> {
        self.memory.start
    }

    fn bytes(&self) -> usize {
        self.bytes
    }

    fn ticket(&self) -> io::Result<Ticket> {
        Ok(Ticket::Heap(Arc::clone(&self.memory)))
    }
}
