//! Segments that are memfds: no name, passed by descriptor, freed by the kernel with their last
//! user. Sealed against changing size, so that no peer's `ftruncate` can make an access fail, and
//! against further writable mappings once both owners have theirs.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::ptr::{NonNull, null_mut};

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals};
use rustix::io::Errno;
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap, munmap};

use super::pages::{self, Reserved, page_bytes};
use super::segment::{Access, Memory, Ticket};

/// In an entry of `/proc/self/pagemap`: the page is in memory.
const PAGE_PRESENT: u64 = 1 << 63;
/// The page is in the swap.
const PAGE_SWAPPED: u64 = 1 << 62;
/// The page is the file's own; a page that was written privately is not.
const PAGE_OF_FILE: u64 = 1 << 61;

/// A mapped memfd.
#[derive(Debug)]
pub(super) struct Memfd {
    fd: OwnedFd,
    start: NonNull<u8>,
    bytes: usize,
    reserved: Reserved,
    /// Set for a private mapping: tells which of its pages are this process's own.
    pagemap: Option<File>,
    is_private: bool,
}

// SAFETY: the mapping is owned, and reached through raw pointers only, under the rules of `shm`.
unsafe impl Send for Memfd {}
// SAFETY: as above.
unsafe impl Sync for Memfd {}

impl Memfd {
    pub(super) fn create(bytes: usize) -> io::Result<Self> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let named = |flags| rustix::fs::memfd_create("remotemedia", flags);
        let fd = match named(flags | MemfdFlags::NOEXEC_SEAL) {
            // Kernels before 6.3 do not know the flag, some later ones demand it.
            Err(Errno::INVAL) => named(flags)?,
            made => made?,
        };
        rustix::fs::ftruncate(&fd, bytes as u64)?;
        fcntl_add_seals(&fd, SealFlags::SHRINK | SealFlags::GROW)?;
        let start = map(&fd, bytes, MapFlags::SHARED)?;
        let reserved = Reserved::default();
        Ok(Self { fd, start, bytes, reserved, pagemap: None, is_private: false })
    }

    pub(super) fn open(fd: OwnedFd, bytes: usize, access: Access) -> io::Result<Self> {
        let refused = |reason| io::Error::new(io::ErrorKind::InvalidData, reason);
        let seals =
            fcntl_get_seals(&fd).map_err(|_| refused("the descriptor is no shared memory"))?;
        if !seals.contains(SealFlags::SHRINK) {
            return Err(refused("the segment is not sealed against shrinking"));
        }
        let size = u64::try_from(rustix::fs::fstat(&fd)?.st_size).unwrap_or(0);
        // One that is longer would pin more memory than its announcement says.
        if size != bytes as u64 || bytes == 0 {
            return Err(refused("the segment is not as long as announced"));
        }
        let is_private = access == Access::Private;
        let flags = if is_private { MapFlags::PRIVATE } else { MapFlags::SHARED };
        let start = map(&fd, bytes, flags)?;
        let pagemap = is_private.then(|| File::open("/proc/self/pagemap").ok()).flatten();
        Ok(Self { fd, start, bytes, reserved: Reserved::all(bytes), pagemap, is_private })
    }

    /// The whole pages around a part.
    fn pages(&self, part: &Range<usize>) -> Range<usize> {
        let page = page_bytes();
        let first = part.start / page;
        first..part.end.min(self.bytes).div_ceil(page).max(first)
    }

    /// How many of some pages were written by this process; `None` when the kernel does not say.
    fn written_pages(&self, pages: &Range<usize>) -> Option<usize> {
        // The table counts in the system's pages, which are as large as ours wherever ours hold.
        let base = self.start.addr().get() / page_bytes() + pages.start;
        let mut entries = vec![0; pages.len() * size_of::<u64>()];
        let offset = (base * size_of::<u64>()) as u64;
        self.pagemap.as_ref()?.read_exact_at(&mut entries, offset).ok()?;
        let is_written = |entry: &[u8]| {
            let bits = u64::from_ne_bytes(entry.try_into().unwrap_or_default());
            bits & (PAGE_PRESENT | PAGE_SWAPPED) != 0 && bits & PAGE_OF_FILE == 0
        };
        Some(entries.chunks_exact(size_of::<u64>()).filter(|entry| is_written(entry)).count())
    }
}

fn map(fd: &OwnedFd, bytes: usize, flags: MapFlags) -> io::Result<NonNull<u8>> {
    let protection = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: a new mapping at an address that the kernel chooses touches no memory in use.
    let start = unsafe { mmap(null_mut(), bytes, protection, flags, fd, 0)? };
    NonNull::new(start.cast()).ok_or_else(|| io::ErrorKind::OutOfMemory.into())
}

impl Memory for Memfd {
    fn start(&self) -> NonNull<u8> {
        self.start
    }

    fn bytes(&self) -> usize {
        self.bytes
    }

    fn reserve(&self, end: usize) -> io::Result<()> {
        self.reserved
            .up_to(end, self.bytes, |from, length| Ok(pages::allocate(&self.fd, from, length)?))
    }

    fn ticket(&self) -> io::Result<Ticket> {
        Ok(Ticket::Descriptor(self.fd.as_fd().try_clone_to_owned()?))
    }

    fn seal(&self) -> io::Result<()> {
        // Mappings that exist keep their right to write.
        match fcntl_add_seals(&self.fd, SealFlags::FUTURE_WRITE | SealFlags::SEAL) {
            Ok(()) => Ok(()),
            // It was sealed before, by whomever: with the seal that matters?
            Err(Errno::PERM)
                if fcntl_get_seals(&self.fd)?
                    .intersects(SealFlags::FUTURE_WRITE | SealFlags::WRITE) =>
            {
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    fn can_be_forwarded(&self) -> bool {
        true
    }

    fn forget_writes(&self, part: Range<usize>) -> io::Result<usize> {
        if !self.is_private {
            return Ok(0);
        }
        let pages = self.pages(&part);
        let written = self.written_pages(&pages);
        if written == Some(0) || pages.is_empty() {
            return Ok(0);
        }
        let (offset, length) = (pages.start * page_bytes(), pages.len() * page_bytes());
        // SAFETY: `offset` lies in this mapping, as `pages` ends where it does.
        let start = unsafe { self.start.add(offset) }.as_ptr().cast();
        // SAFETY: the range lies in this mapping. Its private pages go; the next access sees the
        // segment's own. No view of them is left, and no two leases share a page.
        let dropped = unsafe { madvise(start, length, Advice::LinuxDontNeed) };
        if dropped.is_err() {
            // As in a process that locks its memory.
            let (protection, flags) =
                (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE | MapFlags::FIXED);
            // SAFETY: as above; the same part of the file takes the place of the old pages.
            unsafe { mmap(start, length, protection, flags, &self.fd, offset as u64)? };
        }
        Ok(written.unwrap_or(0) * page_bytes())
    }

    fn become_private(&self) -> io::Result<()> {
        if !self.is_private {
            // SAFETY: the mapping is this one's own.
            unsafe { pages::map_privately(&self.fd, self.start, self.bytes)? };
        }
        Ok(())
    }

    fn has_writes(&self, part: Range<usize>) -> bool {
        self.is_private && self.written_pages(&self.pages(&part)) != Some(0)
    }
}

impl Drop for Memfd {
    fn drop(&mut self) {
        // SAFETY: the mapping is this one's own, and whatever refers to it holds the segment.
        let unmapped = unsafe { munmap(self.start.as_ptr().cast(), self.bytes) };
        debug_assert!(unmapped.is_ok(), "a mapping of ours can be unmapped");
    }
}
