//! The worker's side of its flight recorder: a file that the orchestrator reads when the worker
//! has died. Its first bytes hold the node that runs; what else stands in it (the Python stack) is
//! written by the interpreter itself.

use std::fs::File;
use std::io;
use std::os::fd::RawFd;
use std::os::unix::fs::FileExt;

/// Where the interpreter writes; the bytes before it are this module's.
pub const STACK_OFFSET: u64 = 64;

/// An open flight recorder.
#[derive(Debug)]
pub struct Blackbox {
    file: File,
    noted: Option<u32>,
}

impl Blackbox {
    /// Opens the recorder that was inherited under this number, through a descriptor of its own
    /// that no child process inherits.
    ///
    /// # Errors
    /// When there is no such descriptor.
    pub fn open(inherited: RawFd) -> io::Result<Self> {
        let file = File::options().write(true).open(format!("/proc/self/fd/{inherited}"))?;
        Ok(Self { file, noted: None })
    }

    /// Notes the index of the node that runs in its session, or that none does. Costs a system
    /// call when the node changes.
    pub fn note_running(&mut self, node: Option<usize>) {
        let number = node.map_or(0, |node| u32::try_from(node + 1).unwrap_or(u32::MAX));
        if self.noted == Some(number) {
            return;
        }
        // The recorder is a help for whoever looks into a crash; work goes on without it.
        if self.file.write_all_at(&number.to_le_bytes(), 0).is_ok() {
            self.noted = Some(number);
        }
    }
}
