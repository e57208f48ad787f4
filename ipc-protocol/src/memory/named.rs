//! Segments with a name, for systems without memfds. The name exists from the segment's creation
//! until both sides have mapped it, so no third process can map it. Such a segment cannot be sealed
//! against `ftruncate`: a peer that shortens it can crash this process.

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
use super::segment::{Mapping, Ticket};

/// First part of all names. The creator's process id, a counter and a random number follow.
const PREFIX: &str = "remotemedia-";
/// Most names that are tried when names are already in use.
const ATTEMPTS: usize = 16;
/// Folder in which Linux lists the names.
#[cfg(target_os = "linux")]
const LISTING: &str = "/dev/shm";

static COUNTER: AtomicU64 = AtomicU64::new(0);

/// A mapped segment that was made with a name.
pub(super) struct Named {
    mapping: Shmem,
    /// `None` when it was closed because descriptors are scarce; the mapping stays valid.
    fd: Option<OwnedFd>,
    start: NonNull<u8>,
    reserved: Reserved,
    /// The name, at the segment's creator, until it is removed.
    name: Mutex<Option<String>>,
    generation: Generation,
}

// SAFETY: the mapping is owned, and accessed only through raw pointers, under the rules of
// `memory`; the other fields of the `Shmem` are not accessed before it is dropped.
unsafe impl Send for Named {}
// SAFETY: as above.
unsafe impl Sync for Named {}

impl fmt::Debug for Named {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Named").field("bytes", &self.mapping.len()).finish()
    }
}

/// Removes the name when dropped, unless the name was taken out.
struct Name(Option<String>);

impl Drop for Name {
    fn drop(&mut self) {
        if let Some(name) = &self.0 {
            // Fails harmlessly if another process has removed the name.
            let _gone = rustix::shm::unlink(name.as_str());
        }
    }
}

impl Named {
    pub(super) fn create(bytes: usize) -> io::Result<Self> {
        Self::create_as(bytes, new_name)
    }

    /// Makes a segment under the first name from `name` that is free.
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
        Err(io::Error::new(io::ErrorKind::AlreadyExists, "no free name for the segment was found"))
    }

    pub(super) fn open(name: &str, bytes: usize) -> io::Result<Self> {
        let refused = |reason| io::Error::new(io::ErrorKind::InvalidData, reason);
        if creator_of(name).is_none() {
            return Err(refused("the segment's name is not one of RemoteMedia's"));
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
        // SAFETY: the part lies in the mapping (checked above), and no block lies in it yet.
        unsafe { self.start.add(from).write_bytes(0, length) };
        Ok(())
    }
}

fn new_name() -> String {
    let counter = COUNTER.fetch_add(1, Ordering::Relaxed);
    let random = RandomState::new().build_hasher().finish();
    // Short, because some systems allow only 31 characters.
    format!("{PREFIX}{}-{counter}-{:06x}", std::process::id(), random & 0xff_ffff)
}

/// Process id of the creator in a segment's name; `None` for names of other programs.
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

impl Mapping for Named {
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
            io::Error::new(io::ErrorKind::NotFound, "the segment's name was removed already")
        })
    }

    fn seal(&self) -> io::Result<()> {
        let name = self.name.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(Name(name));
        Ok(())
    }

    fn become_private(&self) -> io::Result<()> {
        // SAFETY: the mapping belongs to this segment alone.
        unsafe { super::pages::map_privately(self.fd.as_ref(), self.start, self.bytes())? };
        Ok(())
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        let name = self.name.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        // A forked child must not remove its parent's name.
        if !self.generation.is_past() {
            drop(Name(name));
        }
    }
}

/// Removes the names of segments whose creator has ended: those of `creator`, or with `None` those
/// of all ended processes. A process leaves a name when it is killed before its peer has mapped the
/// segment. Returns the number of removed names.
///
/// # Errors
/// When the names cannot be listed. Other systems than Linux have no list, so no name is removed
/// there.
pub fn remove_stale_names(creator: Option<u32>) -> io::Result<usize> {
    #[cfg(target_os = "linux")]
    {
        let mut removed = 0;
        for entry in std::fs::read_dir(LISTING)? {
            let name = entry?.file_name();
            let Some(pid) = name.to_str().and_then(creator_of) else { continue };
            let is_stale = creator.map_or_else(|| has_ended(pid), |ended| pid == ended);
            let path = std::path::Path::new(LISTING).join(&name);
            // Removing fails for names of other users, and for names that were removed meanwhile;
            // they do not count.
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

/// Whether the process with this id does not exist or is a zombie.
#[cfg(target_os = "linux")]
fn has_ended(pid: u32) -> bool {
    use rustix::process::{Pid, test_kill_process};
    let known = i32::try_from(pid).ok().and_then(Pid::from_raw);
    if known.is_none_or(|known| test_kill_process(known) == Err(rustix::io::Errno::SRCH)) {
        return true;
    }
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The state follows the command name, which is in parentheses and may contain any character.
    let state = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().next());
    matches!(state, Some("Z" | "X"))
}

#[cfg(test)]
mod tests;
