//! Segments with a name, for systems without memfds. The name is there from the creation until
//! both sides have mapped the segment, and for no third process. Nothing seals such a segment
//! against `ftruncate`: a peer that shortens it can bring this process down.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::os::fd::OwnedFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use rustix::fs::Mode;
use rustix::shm::OFlags;
use shared_memory::{Shmem, ShmemConf, ShmemError};

use super::descriptors;
use super::fork::Generation;
use super::pages::Reserved;
use super::segment::{Memory, Ticket};

/// How names begin; then come the creator's process id, a counter, and something random.
const PREFIX: &str = "remotemedia-";
/// How often a name that is taken is replaced by another.
const ATTEMPTS: usize = 16;
/// Where Linux lists the names.
#[cfg(target_os = "linux")]
const LISTING: &str = "/dev/shm";

static COUNTER: AtomicU64 = AtomicU64::new(0);

/// A mapped segment that has, or had, a name.
pub(super) struct Named {
    mapping: Shmem,
    /// Given up where descriptors are scarce and the mapping does without.
    fd: Option<OwnedFd>,
    start: NonNull<u8>,
    reserved: Reserved,
    /// The creator's, until it is removed.
    name: Mutex<Option<String>>,
    generation: Generation,
}

// SAFETY: the mapping is owned, and reached through raw pointers only, under the rules of `memory`;
// what else is in a `Shmem` is not touched before it is dropped.
unsafe impl Send for Named {}
// SAFETY: as above.
unsafe impl Sync for Named {}

impl fmt::Debug for Named {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Named").field("bytes", &self.mapping.len()).finish()
    }
}

/// A name that is removed again, unless it is taken out.
struct Name(Option<String>);

impl Drop for Name {
    fn drop(&mut self) {
        if let Some(name) = &self.0 {
            // Another process may have removed it.
            let _gone = rustix::shm::unlink(name.as_str());
        }
    }
}

impl Named {
    pub(super) fn create(bytes: usize) -> io::Result<Self> {
        Self::create_as(bytes, new_name)
    }

    /// Takes the first of some names that is free.
    fn create_as(bytes: usize, mut name: impl FnMut() -> String) -> io::Result<Self> {
        for _ in 0..ATTEMPTS {
            let name = name();
            let mut mapping = match ShmemConf::new().os_id(&name).size(bytes).create() {
                Err(ShmemError::MappingIdExists) => continue,
                made => made.map_err(system_error)?,
            };
            mapping.set_owner(false);
            let mut guard = Name(Some(name));
            let fd = open_descriptor(guard.0.as_deref().unwrap_or_default())?;
            if descriptors::are_scarce(&fd) {
                return Err(descriptors::scarcity());
            }
            let named = Self::new(mapping, Some(fd), Reserved::default())?;
            *named.name.lock().unwrap_or_else(PoisonError::into_inner) = guard.0.take();
            return Ok(named);
        }
        Err(io::Error::new(io::ErrorKind::AlreadyExists, "every name that was tried is taken"))
    }

    pub(super) fn open(name: &str, bytes: usize) -> io::Result<Self> {
        let refused = |reason| io::Error::new(io::ErrorKind::InvalidData, reason);
        if creator_of(name).is_none() {
            return Err(refused("the name of the segment is none of ours"));
        }
        let fd = open_descriptor(name)?;
        let size = usize::try_from(rustix::fs::fstat(&fd)?.st_size).unwrap_or(0);
        if bytes == 0 || size != bytes {
            return Err(refused("the segment is not as long as announced"));
        }
        let mapping = ShmemConf::new().os_id(name).open().map_err(system_error)?;
        if mapping.len() != bytes {
            return Err(refused("the segment is not as long as announced"));
        }
        let fd = Some(fd).filter(|fd| !descriptors::are_scarce(fd));
        Self::new(mapping, fd, Reserved::all(bytes))
    }

    fn new(mapping: Shmem, fd: Option<OwnedFd>, reserved: Reserved) -> io::Result<Self> {
        let start = NonNull::new(mapping.as_ptr()).ok_or(io::ErrorKind::OutOfMemory)?;
        let generation = Generation::default();
        Ok(Self { mapping, fd, start, reserved, name: Mutex::default(), generation })
    }

    #[cfg(target_os = "linux")]
    fn reserve_part(&self, from: usize, length: usize) -> io::Result<()> {
        let Some(fd) = &self.fd else { return Ok(()) };
        Ok(super::pages::allocate(fd, from, length)?)
    }

    #[cfg(not(target_os = "linux"))]
    fn reserve_part(&self, from: usize, length: usize) -> io::Result<()> {
        let end = from.checked_add(length).ok_or(io::ErrorKind::InvalidInput)?;
        if end > self.mapping.len() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        // SAFETY: the part lies in the mapping (checked above), and no block has been in it yet.
        unsafe { self.start.add(from).write_bytes(0, length) };
        Ok(())
    }
}

fn new_name() -> String {
    let counter = COUNTER.fetch_add(1, Ordering::Relaxed);
    let random = RandomState::new().build_hasher().finish();
    // Short, for systems that allow 31 characters.
    format!("{PREFIX}{}-{counter}-{:06x}", std::process::id(), random & 0xff_ffff)
}

/// The process id in a name, if it is one of ours.
fn creator_of(name: &str) -> Option<u32> {
    let mut parts = name.strip_prefix(PREFIX)?.split('-');
    let (pid, counter, random) = (parts.next()?, parts.next()?, parts.next()?);
    let is_decimal = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let is_ours = is_decimal(pid)
        && is_decimal(counter)
        && counter.len() <= 20
        && random.len() == 6
        && random.bytes().all(|b| b.is_ascii_hexdigit())
        && parts.next().is_none();
    is_ours.then(|| pid.parse().ok())?
}

fn open_descriptor(name: &str) -> io::Result<OwnedFd> {
    Ok(rustix::shm::open(name, OFlags::RDWR, Mode::empty())?)
}

fn system_error(error: ShmemError) -> io::Error {
    match error {
        ShmemError::MapCreateFailed(code)
        | ShmemError::MapOpenFailed(code)
        | ShmemError::UnknownOsError(code) => {
            io::Error::from_raw_os_error(i32::try_from(code).unwrap_or(0))
        }
        ShmemError::MapSizeZero => io::Error::new(io::ErrorKind::InvalidInput, error),
        other => io::Error::other(other),
    }
}

impl Memory for Named {
    fn start(&self) -> NonNull<u8> {
        self.start
    }

    fn bytes(&self) -> usize {
        self.mapping.len()
    }

    fn reserve(&self, end: usize) -> io::Result<()> {
        self.reserved.up_to(end, self.bytes(), |from, length| self.reserve_part(from, length))
    }

    fn ticket(&self) -> io::Result<Ticket> {
        let name = self.name.lock().unwrap_or_else(PoisonError::into_inner).clone();
        name.map(Ticket::Name).ok_or_else(|| {
            io::Error::new(io::ErrorKind::NotFound, "the segment's name is no longer there")
        })
    }

    fn seal(&self) -> io::Result<()> {
        let name = self.name.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(Name(name));
        Ok(())
    }

    fn become_private(&self) -> io::Result<()> {
        // SAFETY: the mapping is this one's own.
        unsafe { super::pages::map_privately(self.fd.as_ref(), self.start, self.bytes())? };
        Ok(())
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        let name = self.name.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        // A forked child leaves its parent's name alone.
        if !self.generation.is_past() {
            drop(Name(name));
        }
    }
}

/// Removes the names that a process left: `creator`, which has ended, or whichever has. A process
/// that is killed before its peer has mapped a segment leaves one. Gives how many were removed.
///
/// # Errors
/// When the names cannot be listed. Nothing is listed on systems other than Linux.
pub fn remove_stale_names(creator: Option<u32>) -> io::Result<usize> {
    #[cfg(target_os = "linux")]
    {
        let mut removed = 0;
        for entry in std::fs::read_dir(LISTING)? {
            let name = entry?.file_name();
            let Some(pid) = name.to_str().and_then(creator_of) else { continue };
            let is_stale = creator.map_or_else(|| has_ended(pid), |ended| pid == ended);
            let path = std::path::Path::new(LISTING).join(&name);
            // A name of another owner stays; so does one that was removed in between.
            if is_stale && std::fs::remove_file(path).is_ok() {
                removed += 1;
            }
        }
        Ok(removed)
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _nothing_is_listed = creator;
        Ok(0)
    }
}

/// Whether there is no process with this id, or one that has ended and that nobody asked about yet.
#[cfg(target_os = "linux")]
fn has_ended(pid: u32) -> bool {
    use rustix::process::{Pid, test_kill_process};
    let known = i32::try_from(pid).ok().and_then(Pid::from_raw);
    if known.is_none_or(|known| test_kill_process(known) == Err(rustix::io::Errno::SRCH)) {
        return true;
    }
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The state follows the name, which stands in parentheses and may hold any character.
    let state = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().next());
    matches!(state, Some("Z" | "X"))
}

#[cfg(test)]
mod tests;
