//! Pages: how large they are, and reserving them before they are touched.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Pages are reserved in steps of this many bytes: few calls, and each one short enough to get
/// through between two signals.
const STEP_BYTES: usize = 1 << 20;

/// What blocks and segments are aligned to: a page, so that no two blocks share one.
pub(crate) fn page_bytes() -> usize {
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

/// Puts a private mapping in the place of a shared one of `bytes` from its beginning: of the same
/// file, or of a copy where its descriptor was given up.
///
/// # Safety
/// There must be such a mapping at `start`, of this process alone; what refers to it goes on seeing
/// the same bytes.
pub(super) unsafe fn map_privately(
    fd: Option<&std::os::fd::OwnedFd>,
    start: std::ptr::NonNull<u8>,
    bytes: usize,
) -> rustix::io::Result<()> {
    use rustix::mm::{MapFlags, ProtFlags, mmap};
    let Some(fd) = fd else {
        // SAFETY: as above.
        return unsafe { copy_privately(start, bytes) };
    };
    let protection = ProtFlags::READ | ProtFlags::WRITE;
    let flags = MapFlags::PRIVATE | MapFlags::FIXED;
    // SAFETY: what is replaced is the caller's own mapping of the same bytes.
    unsafe { mmap(start.as_ptr().cast(), bytes, protection, flags, fd, 0)? };
    Ok(())
}

/// Puts a copy of a shared mapping in its place.
///
/// # Safety
/// As for [`map_privately`].
#[cfg(target_os = "linux")]
unsafe fn copy_privately(start: std::ptr::NonNull<u8>, bytes: usize) -> rustix::io::Result<()> {
    use rustix::mm::{MapFlags, MremapFlags, ProtFlags, mmap_anonymous, mremap_fixed};
    let protection = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: a new mapping at an address that the kernel chooses touches no memory in use.
    let copy =
        unsafe { mmap_anonymous(std::ptr::null_mut(), bytes, protection, MapFlags::PRIVATE)? };
    // SAFETY: both mappings are as long, and the new one is not part of the old.
    unsafe { start.as_ptr().copy_to_nonoverlapping(copy.cast(), bytes) };
    let flags = MremapFlags::MAYMOVE;
    // SAFETY: what is replaced is the caller's own mapping of the same bytes.
    unsafe { mremap_fixed(copy, bytes, bytes, flags, start.as_ptr().cast())? };
    Ok(())
}

/// Mappings cannot be moved here, so the memory stays shared.
///
/// # Safety
/// As for [`map_privately`].
#[cfg(not(target_os = "linux"))]
unsafe fn copy_privately(_start: std::ptr::NonNull<u8>, _bytes: usize) -> rustix::io::Result<()> {
    Err(rustix::io::Errno::NOTSUP)
}
