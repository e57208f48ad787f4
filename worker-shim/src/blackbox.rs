//! The worker's side of its flight recorder: a file in memory that the orchestrator reads when the
//! worker has died. Its first bytes hold the node that runs; what else stands in it (the Python
//! stack) is written by the interpreter itself.

use std::fs::File;
use std::io;
use std::os::fd::RawFd;

use memmap2::{MmapMut, MmapOptions};

/// Where the interpreter writes; the bytes before it are this module's.
pub const STACK_OFFSET: u64 = 64;
/// What this module writes: the number of the node, plus one.
const NOTE_BYTES: usize = size_of::<u32>();

/// An open flight recorder.
#[derive(Debug)]
pub struct Blackbox {
    /// Mapped, because a system call for every node of a chain costs as much as a small node.
    note: MmapMut,
}

impl Blackbox {
    /// Opens the recorder that was inherited under this number.
    ///
    /// # Errors
    /// When there is no such descriptor, or it is no file that can be mapped.
    pub fn open(inherited: RawFd) -> io::Result<Self> {
        let path = format!("/proc/self/fd/{inherited}");
        let file = File::options().read(true).write(true).open(path)?;
        if file.metadata()?.len() < STACK_OFFSET {
            return Err(io::ErrorKind::InvalidData.into());
        }
        // SAFETY: the file is as long as what is mapped, and nobody shortens it: the orchestrator
        // only reads it, and a node that truncates its worker's descriptors harms this process
        // alone. No reference into the mapping outlives `note_running`.
        let note = unsafe { MmapOptions::new().len(NOTE_BYTES).map_mut(&file)? };
        Ok(Self { note })
    }

    /// Notes the index of the node that runs in its session, or that none does.
    pub fn note_running(&mut self, node: Option<usize>) {
        let number = node.map_or(0, |node| u32::try_from(node + 1).unwrap_or(u32::MAX));
        self.note.copy_from_slice(&number.to_le_bytes());
    }
}
