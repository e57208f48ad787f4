//! Pages of memory: their size, whether there are more, reserving them before the first access, large
//! ones, and making them private.

use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Pages are reserved in steps of this many bytes: few calls, each short enough to finish between
/// two signals.
const STEP_BYTES: usize = 1 << 20;

/// Alignment of blocks and segments: the page size, so that no two blocks share a page.
pub(crate) fn page_bytes() -> usize {
    const SMALLEST: usize = 4096;
    // Miri has no pages, and the heap memory that is used there needs none.
    if cfg!(miri) { SMALLEST } else { rustix::param::page_size().max(SMALLEST) }
}

/// Smaller memory is not worth a system call; numpy has the same limit.
const LARGE_MIN_BYTES: usize = 1 << 22;

/// Asks the system for large pages behind memory that is about to be filled, where there is much of
/// it: an access to a new page takes longer than to decode what it holds.
pub fn prefer_large_pages<T>(memory: &mut [MaybeUninit<T>]) {
    #[cfg(target_os = "linux")]
    if size_of_val(memory) >= LARGE_MIN_BYTES && !cfg!(miri) {
        use rustix::mm::{Advice, madvise};
        let start: *mut u8 = memory.as_mut_ptr().cast();
        let before = start.align_offset(page_bytes());
        let bytes = (size_of_val(memory) - before) / page_bytes() * page_bytes();
        // SAFETY: these are whole pages of `memory`, and the advice leaves what they hold as it is.
        let _ignored =
            unsafe { madvise(start.wrapping_add(before).cast(), bytes, Advice::LinuxHugepage) };
    }
    #[cfg(not(target_os = "linux"))]
    let _ = memory;
}

/// Number of bytes of a segment that are reserved, from its start.
#[derive(Debug, Default)]
pub(super) struct Reserved(AtomicUsize);

impl Reserved {
    pub(super) fn all(bytes: usize) -> Self {
        Self(bytes.into())
    }

    /// Calls `reserve(from, length)` in steps until everything before `end` is reserved. `bytes` is
    /// the length of the segment. Only one thread may call this at a time.
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

/// Whether the process may have this many bytes of private memory more. None of them is touched.
pub(super) fn are_available(bytes: usize) -> bool {
    use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};
    if cfg!(miri) {
        return isize::try_from(bytes).is_ok();
    }
    let protection = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: a new mapping at an address that the kernel chooses touches no memory in use.
    let made =
        unsafe { mmap_anonymous(std::ptr::null_mut(), bytes, protection, MapFlags::PRIVATE) };
    // SAFETY: the mapping was made above, and nothing refers to it.
    made.is_ok_and(|start| unsafe { munmap(start, bytes) }.is_ok())
}

/// Allocates the pages of a part of a file in memory, so that an access to them cannot fail.
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

/// Replaces the shared mapping of `bytes` at `start` by a private one: of the same file, or of a
/// copy of its bytes when its descriptor was closed.
///
/// # Safety
/// A mapping of this length must begin at `start` and belong to the caller alone. References into
/// it stay valid and see the same bytes.
pub(super) unsafe fn map_privately(
    fd: Option<&std::os::fd::OwnedFd>,
    start: std::ptr::NonNull<u8>,
    bytes: usize,
) -> rustix::io::Result<()> {
    use rustix::mm::{MapFlags, ProtFlags, mmap};
    let Some(fd) = fd else {
        // SAFETY: this function requires the same of its caller as `copy_privately`.
        return unsafe { copy_privately(start, bytes) };
    };
    let protection = ProtFlags::READ | ProtFlags::WRITE;
    let flags = MapFlags::PRIVATE | MapFlags::FIXED;
    // SAFETY: the replaced mapping is the caller's own and holds the same bytes.
    unsafe { mmap(start.as_ptr().cast(), bytes, protection, flags, fd, 0)? };
    Ok(())
}

/// Replaces a shared mapping by a private copy of its bytes.
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
    // SAFETY: both mappings are `bytes` long, and the new one does not overlap the old.
    unsafe { start.as_ptr().copy_to_nonoverlapping(copy.cast(), bytes) };
    let flags = MremapFlags::MAYMOVE;
    // SAFETY: the replaced mapping is the caller's own and holds the same bytes.
    unsafe { mremap_fixed(copy, bytes, bytes, flags, start.as_ptr().cast())? };
    Ok(())
}

/// Fails: this system cannot move mappings, so the memory stays shared.
///
/// # Safety
/// As for [`map_privately`].
#[cfg(not(target_os = "linux"))]
unsafe fn copy_privately(_start: std::ptr::NonNull<u8>, _bytes: usize) -> rustix::io::Result<()> {
    Err(rustix::io::Errno::NOTSUP)
}
