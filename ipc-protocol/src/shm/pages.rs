//! Pages: how large they are, and reserving them before they are touched.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Pages are reserved in steps of this many bytes: few calls, and each one short enough to get
/// through between two signals.
const STEP_BYTES: usize = 1 << 20;

/// What blocks and segments are aligned to: a page, so that no two blocks share one.
pub(super) fn page_bytes() -> usize {
    const SMALLEST: usize = 4096;
    // Miri has no pages; memory on the heap needs none.
    if cfg!(miri) { SMALLEST } else { rustix::param::page_size().max(SMALLEST) }
}

/// How much of a segment is reserved, from its start.
#[derive(Debug, Default)]
pub(super) struct Reserved(AtomicUsize);

impl Reserved {
    pub(super) fn all(bytes: usize) -> Self {
        Self(bytes.into())
    }

    /// Has `reserve(from, length)` called for what is missing up to `end`, in whole steps of a
    /// segment of `bytes`. For one caller at a time.
    pub(super) fn up_to<E>(
        &self,
        end: usize,
        bytes: usize,
        mut reserve: impl FnMut(usize, usize) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut reserved = self.0.load(Ordering::Acquire);
        while reserved < end.min(bytes) {
            let length = STEP_BYTES.min(bytes - reserved);
            reserve(reserved, length)?;
            reserved += length;
            self.0.store(reserved, Ordering::Release);
        }
        Ok(())
    }
}

/// Has the system put pages behind a part of a file that lives in memory.
#[cfg(target_os = "linux")]
pub(super) fn allocate(
    fd: impl std::os::fd::AsFd,
    from: usize,
    length: usize,
) -> rustix::io::Result<()> {
    use rustix::fs::{FallocateFlags, fallocate};
    rustix::io::retry_on_intr(|| {
        fallocate(&fd, FallocateFlags::empty(), from as u64, length as u64)
    })
}

/// Puts a private mapping of a file in the place of a shared one of `bytes` from its beginning.
///
/// # Safety
/// There must be such a mapping at `start`, of this process alone; what refers to it goes on seeing
/// the same bytes.
pub(super) unsafe fn map_privately(
    fd: impl std::os::fd::AsFd,
    start: std::ptr::NonNull<u8>,
    bytes: usize,
) -> rustix::io::Result<()> {
    use rustix::mm::{MapFlags, ProtFlags, mmap};
    let protection = ProtFlags::READ | ProtFlags::WRITE;
    let flags = MapFlags::PRIVATE | MapFlags::FIXED;
    // SAFETY: what is replaced is the caller's own mapping of the same bytes.
    unsafe { mmap(start.as_ptr().cast(), bytes, protection, flags, fd, 0)? };
    Ok(())
}
