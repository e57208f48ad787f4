//! What a dead worker has left in its flight recorder, and the C stack that follows from it:
//! libraries and symbols are looked up here, where nothing is broken, and not in the dying process.
//! All of it is read as data that may be wrong, from files that may be missing.

mod library;
mod maps;
mod symbol;
mod unwind;

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use ipc_protocol::recorder::{
    DEATH_AT, Death, MAGIC, MAPS_AT, MAX_MAPS_BYTES, STACK_AT, STACK_BYTES,
};
use nix::libc;

use library::Library;
use maps::Mapping;

/// One call on the stack of a thread of native code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Path of the library or program; `None` where no file is mapped.
    pub library: Option<PathBuf>,
    /// Name of the function, as its language writes it, where the file names it.
    pub symbol: Option<String>,
    /// Offset in the function; without its name the address in the library as linkers number it,
    /// and without a library the address in memory.
    pub offset: u64,
}

impl Frame {
    /// The file name of the library.
    #[must_use]
    pub fn library_name(&self) -> Option<String> {
        Some(self.library.as_deref()?.file_name()?.to_string_lossy().into_owned())
    }
}

impl fmt::Display for Frame {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.symbol, self.library_name()) {
            (Some(symbol), Some(library)) => {
                write!(out, "{symbol}+{:#x} in {library}", self.offset)
            }
            (_, Some(library)) => write!(out, "{library}+{:#x}", self.offset),
            (_, None) => write!(out, "{:#x}", self.offset),
        }
    }
}

/// What an instruction could not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// The kernel's name of the reason, such as `SEGV_MAPERR`.
    pub code: &'static str,
    /// The address that could not be used; `None` where the processor does not say.
    pub address: Option<u64>,
}

/// What a dead worker has left.
#[derive(Debug, Clone)]
pub struct Remains {
    death: Death,
    stack: Vec<u8>,
    maps: Vec<u8>,
}

/// Reads the record of a death from a flight recorder; `None` when there is none.
#[must_use]
pub fn death(recorder: &File) -> Option<Death> {
    let mut death: Death = bytemuck::Zeroable::zeroed();
    recorder.read_exact_at(bytemuck::bytes_of_mut(&mut death), DEATH_AT).ok()?;
    (death.magic == MAGIC).then_some(death)
}

impl Remains {
    /// Reads all that a worker has left in its flight recorder; `None` when that is nothing.
    #[must_use]
    pub fn read(recorder: &File) -> Option<Self> {
        let death = death(recorder)?;
        let part = |size: usize, at: u64| {
            let mut bytes = vec![0; size];
            let read = recorder.read_at(&mut bytes, at).unwrap_or(0);
            bytes.truncate(read);
            bytes
        };
        let maps_bytes = usize::try_from(death.maps_bytes).unwrap_or(0).min(MAX_MAPS_BYTES);
        Some(Self { death, stack: part(STACK_BYTES, STACK_AT), maps: part(maps_bytes, MAPS_AT) })
    }

    /// Number of the signal.
    #[must_use]
    pub fn signal(&self) -> i32 {
        self.death.signal
    }

    /// Process id of the process that sent the signal, if one did.
    #[must_use]
    pub fn sender(&self) -> Option<u32> {
        (self.death.sender != 0).then_some(self.death.sender)
    }

    /// Resident memory of the worker when it died, in bytes; 0 when unknown.
    #[must_use]
    pub fn resident_bytes(&self) -> u64 {
        self.death.resident_pages.saturating_mul(rustix::param::page_size() as u64)
    }

    /// Size of the allocation whose refusal made the worker abort, in bytes; `None` if none was refused.
    #[must_use]
    pub fn refused_bytes(&self) -> Option<u64> {
        Some(self.death.refused_bytes).filter(|bytes| *bytes > 0)
    }

    /// What the instruction could not do that raised the signal; `None` if no instruction did.
    #[must_use]
    pub fn fault(&self) -> Option<Fault> {
        let code = code_name(self.death.signal, self.death.code)?;
        // The processor does not say the address of a general protection fault.
        let address = (self.death.code != libc::SI_KERNEL).then_some(self.death.address);
        Some(Fault { code, address })
    }

    /// The C stack of the thread that died, innermost call first. Empty where this machine's
    /// registers are unknown.
    #[must_use]
    pub fn c_stack(&self) -> Vec<Frame> {
        let mut files = Files { mappings: maps::executable(&self.maps), open: BTreeMap::new() };
        if files.mappings.is_empty() {
            // The worker was killed, or had no descriptor left, before it could tell where things are.
            return Vec::new();
        }
        let calls = unwind::calls(&self.death, &self.stack, &mut files);
        files.frames(&calls)
    }
}

/// The executable files of the dead process.
struct Files {
    mappings: Vec<Mapping>,
    /// Those that were looked into; `None` for one that is missing, has been replaced or is no ELF.
    open: BTreeMap<PathBuf, Option<Library>>,
}

impl Files {
    fn mapping(&self, address: u64) -> Option<&Mapping> {
        self.mappings.iter().find(|mapping| mapping.holds(address))
    }

    /// The library at an address, and the address as its file numbers it.
    fn library(&mut self, address: u64) -> Option<(&Library, u64)> {
        let mapping = self.mappings.iter().find(|mapping| mapping.holds(address))?;
        let path = mapping.path.as_ref()?;
        if !self.open.contains_key(path) {
            self.open.insert(path.clone(), Library::open(path, mapping.inode));
        }
        let library = self.open.get(path)?.as_ref()?;
        Some((library, library.linked_address(mapping.file_offset(address))?))
    }

    fn frames(&mut self, calls: &[unwind::Call]) -> Vec<Frame> {
        let mut frames = Vec::with_capacity(calls.len());
        // Calls in each library, so that its symbols are gone through once.
        let mut wanted: BTreeMap<PathBuf, Vec<(usize, u64)>> = BTreeMap::new();
        for (place, call) in calls.iter().enumerate() {
            let mapping = self.mapping(call.looked_up());
            let library = mapping.and_then(|mapping| mapping.path.clone());
            let in_file = mapping.map(|mapping| mapping.file_offset(call.address));
            let linked = self.library(call.looked_up()).map(|(_, linked)| linked);
            // The last instruction of a function may be a call: its return address is behind it.
            let shift = call.address - call.looked_up();
            if let (Some(linked), Some(path)) = (linked, &library) {
                wanted.entry(path.clone()).or_default().push((place, linked));
            }
            let offset = linked.map(|linked| linked + shift).or(in_file).unwrap_or(call.address);
            frames.push(Frame { library, symbol: None, offset });
        }
        for (path, places) in wanted {
            let Some(Some(library)) = self.open.get(&path) else { continue };
            let addresses: Vec<u64> = places.iter().map(|(_, linked)| *linked).collect();
            let names = library.symbols(&addresses);
            for ((place, _), (name, start)) in
                places.iter().zip(names).filter_map(|(place, found)| Some((place, found?)))
            {
                frames[*place].offset -= start;
                frames[*place].symbol = Some(symbol::readable(&name));
            }
        }
        frames
    }
}

/// Whether a file is the C library or the dynamic linker; if so, their caller is named instead.
#[must_use]
pub fn is_of_system(library: &Path) -> bool {
    let name = library.file_name().map(|name| name.to_string_lossy().into_owned());
    let name = name.unwrap_or_default();
    ["libc.so", "libc-", "libpthread", "ld-linux", "ld-musl", "libc.musl"]
        .iter()
        .any(|start| name.starts_with(start))
}

/// The kernel's name of the reason for a signal that an instruction has raised.
fn code_name(signal: i32, code: i32) -> Option<&'static str> {
    Some(match (signal, code) {
        (_, ..=0) => return None,
        (_, libc::SI_KERNEL) => "SI_KERNEL",
        (libc::SIGSEGV, 1) => "SEGV_MAPERR",
        (libc::SIGSEGV, 2) => "SEGV_ACCERR",
        (libc::SIGSEGV, 3) => "SEGV_BNDERR",
        (libc::SIGSEGV, 4) => "SEGV_PKUERR",
        (libc::SIGBUS, 1) => "BUS_ADRALN",
        (libc::SIGBUS, 2) => "BUS_ADRERR",
        (libc::SIGBUS, 3) => "BUS_OBJERR",
        (libc::SIGBUS, 4 | 5) => "BUS_MCEERR",
        (libc::SIGILL, 1) => "ILL_ILLOPC",
        (libc::SIGILL, 2) => "ILL_ILLOPN",
        (libc::SIGILL, 3) => "ILL_ILLADR",
        (libc::SIGILL, _) => "ILL_OTHER",
        (libc::SIGFPE, 1) => "FPE_INTDIV",
        (libc::SIGFPE, 2) => "FPE_INTOVF",
        (libc::SIGFPE, 3) => "FPE_FLTDIV",
        (libc::SIGFPE, 4) => "FPE_FLTOVF",
        (libc::SIGFPE, 5) => "FPE_FLTUND",
        (libc::SIGFPE, 7) => "FPE_FLTINV",
        (libc::SIGFPE, _) => "FPE_OTHER",
        _ => "OTHER",
    })
}

#[cfg(test)]
mod tests;
