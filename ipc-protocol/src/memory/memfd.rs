//! Segments that are memfds: without a name, passed by descriptor, freed by the kernel when no
//! process uses them. Sealed against a change of size, so that no peer's `ftruncate` can make an
//! access fail, and against further writable mappings once both sides have mapped them.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::ptr::{NonNull, null_mut};
use std::sync::OnceLock;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals};
use rustix::io::Errno;
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap, munmap};

use super::descriptors;
use super::pages::{self, Reserved, page_bytes};
use super::segment::{Access, Mapping, Ticket};

/// Bit in an entry of `/proc/self/pagemap`: the page is in memory.
const PAGE_PRESENT: u64 = 1 << 63;
/// Bit: the page is swapped out.
const PAGE_SWAPPED: u64 = 1 << 62;
/// Bit: the page is the file's. A privately written page does not have this bit.
const PAGE_OF_FILE: u64 = 1 << 61;

/// A mapped memfd.
#[derive(Debug)]
pub(super) struct Memfd {
    /// `None` when it was closed because descriptors are scarce; the mapping stays valid.
    fd: Option<OwnedFd>,
    start: NonNull<u8>,
    bytes: usize,
    reserved: Reserved,
    is_private: bool,
}

// SAFETY: the mapping is owned, and accessed only through raw pointers, following the rules of
// `memory`.
unsafe impl Send for Memfd {}
// SAFETY: as above.
unsafe impl Sync for Memfd {}

impl Memfd {
    pub(super) fn create(bytes: usize) -> io::Result<Self> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let named = |flags| rustix::fs::memfd_create("remotemedia", flags);
        let fd = match named(flags | MemfdFlags::NOEXEC_SEAL) {
            // Kernels before 6.3 do not know `NOEXEC_SEAL`; some later ones require it.
            Err(Errno::INVAL) => named(flags)?,
            made => made?,
        };
        if descriptors::are_scarce(&fd) {
            return Err(descriptors::scarcity());
        }
        rustix::fs::ftruncate(&fd, bytes as u64)?;
        fcntl_add_seals(&fd, SealFlags::SHRINK | SealFlags::GROW)?;
        let start = map(&fd, bytes, MapFlags::SHARED)?;
        let reserved = Reserved::default();
        Ok(Self { fd: Some(fd), start, bytes, reserved, is_private: false })
    }

    pub(super) fn open(fd: OwnedFd, bytes: usize, access: Access) -> io::Result<Self> {
        let refused = |reason| io::Error::new(io::ErrorKind::InvalidData, reason);
        let seals =
            fcntl_get_seals(&fd).map_err(|_| refused("the descriptor is no shared memory"))?;
        if !seals.contains(SealFlags::SHRINK) {
            return Err(refused("the segment is not sealed against shrinking"));
        }
        let size = u64::try_from(rustix::fs::fstat(&fd)?.st_size).unwrap_or(0);
        // A longer segment would pin more memory than was announced.
        if size != bytes as u64 || bytes == 0 {
            return Err(refused("the segment is not as long as announced"));
        }
        let is_private = access == Access::Private;
        let flags = if is_private { MapFlags::PRIVATE } else { MapFlags::SHARED };
        let start = map(&fd, bytes, flags)?;
        let mut opened =
            Self { fd: Some(fd), start, bytes, reserved: Reserved::all(bytes), is_private };
        if opened.fd.as_ref().is_some_and(descriptors::are_scarce) {
            // Without its descriptor the segment cannot be sealed later, so seal it now: the peer
            // that made it has mapped it already.
            if !is_private {
                opened.seal()?;
            }
            opened.fd = None;
        }
        Ok(opened)
    }

    /// Numbers of the pages that a part touches, within the segment.
    fn pages(&self, part: &Range<usize>) -> Range<usize> {
        let page = page_bytes();
        let first = part.start / page;
        first..part.end.min(self.bytes).div_ceil(page).max(first)
    }

    /// Number of these pages that this process has written to privately; `None` when the kernel
    /// does not report it.
    fn written_pages(&self, pages: &Range<usize>) -> Option<usize> {
        // pagemap has one entry per system page; `page_bytes` is the system's page size here.
        let base = self.start.addr().get() / page_bytes() + pages.start;
        let mut entries = vec![0; pages.len() * size_of::<u64>()];
        let offset = (base * size_of::<u64>()) as u64;
        pagemap()?.read_exact_at(&mut entries, offset).ok()?;
        let is_written = |entry: &[u8]| {
            let bits = u64::from_ne_bytes(entry.try_into().unwrap_or_default());
            bits & (PAGE_PRESENT | PAGE_SWAPPED) != 0 && bits & PAGE_OF_FILE == 0
        };
        Some(entries.chunks_exact(size_of::<u64>()).filter(|entry| is_written(entry)).count())
    }
}

/// The pagemap of this process, which shows the privately written pages. After a fork it is still
/// the parent's, but a child never reads it.
fn pagemap() -> Option<&'static File> {
    static PAGEMAP: OnceLock<File> = OnceLock::new();
    if let Some(pagemap) = PAGEMAP.get() {
        return Some(pagemap);
    }
    let opened = File::open("/proc/self/pagemap").ok()?;
    Some(PAGEMAP.get_or_init(|| opened))
}

fn map(fd: &OwnedFd, bytes: usize, flags: MapFlags) -> io::Result<NonNull<u8>> {
    let protection = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: a new mapping at an address that the kernel chooses touches no memory in use.
    let start = unsafe { mmap(null_mut(), bytes, protection, flags, fd, 0)? };
    NonNull::new(start.cast()).ok_or_else(|| io::ErrorKind::OutOfMemory.into())
}

impl Mapping for Memfd {
    fn start(&self) -> NonNull<u8> {
        self.start
    }

    fn bytes(&self) -> usize {
        self.bytes
    }

    fn reserve(&self, end: usize) -> io::Result<()> {
        let Some(fd) = &self.fd else { return Ok(()) };
        self.reserved.up_to(end, self.bytes, |from, length| Ok(pages::allocate(fd, from, length)?))
    }

    fn ticket(&self) -> io::Result<Ticket> {
        let fd = self.fd.as_ref().ok_or_else(descriptors::scarcity)?;
        Ok(Ticket::Descriptor(fd.as_fd().try_clone_to_owned()?))
    }

    fn seal(&self) -> io::Result<()> {
        // A segment whose descriptor was closed has been sealed before.
        let Some(fd) = &self.fd else { return Ok(()) };
        // Existing mappings stay writable.
        match fcntl_add_seals(fd, SealFlags::FUTURE_WRITE | SealFlags::SEAL) {
            Ok(()) => Ok(()),
            // The segment was sealed before, by either side. That is fine if its seals forbid
            // further writable mappings.
            Err(Errno::PERM)
                if fcntl_get_seals(fd)?.intersects(SealFlags::FUTURE_WRITE | SealFlags::WRITE) =>
            {
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    fn can_be_forwarded(&self) -> bool {
        self.fd.is_some()
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
        // SAFETY: `offset` lies in this mapping, because `pages` does not go beyond its end.
        let start = unsafe { self.start.add(offset) }.as_ptr().cast();
        // SAFETY: the range lies in this mapping. Its private pages are dropped, and the next
        // access sees the segment's pages. No view of the private pages is left, and no two leases
        // share a page.
        let dropped = unsafe { madvise(start, length, Advice::LinuxDontNeed) };
        if let Err(error) = dropped {
            // `madvise` fails, for instance, in a process that locks its memory.
            let fd = self.fd.as_ref().ok_or(error)?;
            let (protection, flags) =
                (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE | MapFlags::FIXED);
            // SAFETY: as above; the same part of the file replaces the old pages.
            unsafe { mmap(start, length, protection, flags, fd, offset as u64)? };
        }
        Ok(written.unwrap_or(0) * page_bytes())
    }

    fn become_private(&self) -> io::Result<()> {
        if !self.is_private {
            // SAFETY: the mapping belongs to this segment alone.
            unsafe { pages::map_privately(self.fd.as_ref(), self.start, self.bytes)? };
        }
        Ok(())
    }

    fn has_writes(&self, part: Range<usize>) -> bool {
        self.is_private && self.written_pages(&self.pages(&part)) != Some(0)
    }
}

impl Drop for Memfd {
    fn drop(&mut self) {
        // SAFETY: the mapping belongs to this segment alone, and everything that refers to it keeps
        // the segment alive.
        let unmapped = unsafe { munmap(self.start.as_ptr().cast(), self.bytes) };
        debug_assert!(unmapped.is_ok(), "the mapping of a segment can be unmapped");
    }
}
