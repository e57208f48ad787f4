//! The layout of a worker's flight recorder: a file in memory that outlives the worker. The worker
//! writes it, also while it dies, and the orchestrator reads it.
//!
//! | offset | what |
//! |---|---|
//! | 0 | the note of the running node, see `worker_shim::blackbox` |
//! | [`PYTHON_STACK_AT`] | the Python stack at the time of death, as text |
//! | [`ARRAYS_AT`] | [`Arrays`] of each of [`ARRAY_NODES`] nodes of the session |
//! | [`DEATH_AT`] | a [`Death`] |
//! | [`STACK_AT`] | [`STACK_BYTES`] of the dying thread's stack, zeros where it could not be read |
//! | [`MAPS_AT`] | what the kernel says is mapped where (`/proc/self/maps`) |
//!
//! The parts behind the Python stack are far away, so that no stack reaches them. The file has holes
//! between its parts, which take no memory.

use bytemuck::{Pod, Zeroable};

/// Size of the note, in bytes.
pub const NOTE_BYTES: usize = 64;
/// Offset of the Python stack, in bytes.
pub const PYTHON_STACK_AT: u64 = NOTE_BYTES as u64;
/// Offset of the memory in arrays, in bytes.
pub const ARRAYS_AT: u64 = DEATH_AT - (ARRAY_NODES * size_of::<Arrays>()) as u64;
/// Number of nodes of a session whose arrays are recorded: the first ones.
pub const ARRAY_NODES: usize = 256;
/// Offset of the [`Death`], in bytes.
pub const DEATH_AT: u64 = 8 << 20;
/// Offset of the copy of the stack, in bytes. Its first byte comes from [`Death::stack_start`].
pub const STACK_AT: u64 = DEATH_AT + 4096;
/// Size of the copy of the stack.
pub const STACK_BYTES: usize = 128 << 10;
/// Offset of the copy of the mappings, in bytes.
pub const MAPS_AT: u64 = STACK_AT + STACK_BYTES as u64;
/// Largest size of the copy of the mappings.
pub const MAX_MAPS_BYTES: usize = 512 << 10;

/// First bytes of a [`Death`]. They change with its layout.
pub const MAGIC: [u8; 8] = *b"RMDEATH2";
/// The ELF number of x86-64.
pub const X86_64: u32 = 62;
/// The ELF number of 64-bit ARM.
pub const AARCH64: u32 = 183;

/// Memory in the arrays of a node, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Arrays {
    /// In private memory of the worker.
    pub private_bytes: u64,
    /// In shared memory that the worker writes.
    pub shared_bytes: u64,
}

/// What a dying worker knows about its death. All numbers are those of the machine, as both sides
/// run on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Death {
    /// [`MAGIC`]; anything else is no record.
    pub magic: [u8; 8],
    /// Number of the signal.
    pub signal: i32,
    /// Why the signal was sent (`si_code`).
    pub code: i32,
    /// The address that could not be used, where the signal has one (`si_addr`); else 0.
    pub address: u64,
    /// Process id of the sender, where a process has sent the signal; else 0.
    pub sender: u32,
    /// The registers are those of this machine, an ELF number; 0 if they are not recorded.
    pub machine: u32,
    /// Address of the instruction that was to be executed next.
    pub instruction: u64,
    /// The general registers by their DWARF numbers.
    pub registers: [u64; 32],
    /// Address of the first byte in the copy of the stack.
    pub stack_start: u64,
    /// Size of the copy of the mappings, in bytes; 0 while it is incomplete.
    pub maps_bytes: u64,
    /// Resident memory, in pages.
    pub resident_pages: u64,
    /// The largest core dump that this process may write, in bytes (`RLIMIT_CORE`).
    pub core_limit: u64,
    /// Size of the allocation that was refused right before, in bytes; 0 if none was.
    pub refused_bytes: u64,
}

const _: () = assert!(size_of::<Death>() as u64 <= STACK_AT - DEATH_AT);
