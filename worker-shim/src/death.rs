//! What is left when a signal kills this worker: its handler writes the signal, the registers, a
//! piece of the stack and the mappings to the flight recorder, for the orchestrator to make a C
//! stack of. Then it does what would have been done without it: faulthandler writes the Python
//! stack, and the process dies of the same signal.
//!
//! The handler makes system calls and nothing else: it takes no lock, allocates nothing and follows
//! no pointer of the dying program. Memory that cannot be read is skipped by the kernel. It needs little
//! stack: the alternate stack of a thread of Rust has 8 KiB, half of which the registers may take.

use std::cell::UnsafeCell;
use std::fs::File;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{io, ptr};

use bytemuck::Zeroable;
use ipc_protocol::recorder::{
    DEATH_AT, Death, MAGIC, MAPS_AT, MAX_MAPS_BYTES, STACK_AT, STACK_BYTES,
};
use nix::libc::{self, c_int, c_void, siginfo_t, ucontext_t};
use rustix::fs::{Mode, OFlags};
use rustix::process::{Resource, getrlimit};

use crate::allocator::just_refused;

/// The signals that mean a crash. faulthandler handles the same ones.
const FATAL: [c_int; 5] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGABRT];
/// Size of the stack that the handlers run on, in bytes. faulthandler, which runs on it too, needs
/// half as much with large registers.
const ALTERNATE_STACK_BYTES: usize = 64 << 10;
/// The stack is copied in pieces of this size: one that cannot be read leaves the others.
const PIECE: usize = 4096;

/// Where this process records its death. A forked child does not.
#[derive(Debug)]
struct Recorder {
    file: File,
    /// Device and inode of the file: node code may close descriptors that are not its own.
    identity: (u64, u64),
    pid: u32,
}

static RECORDER: OnceLock<Recorder> = OnceLock::new();
/// What handled each signal before, in the order of `FATAL`.
static BEFORE: OnceLock<[libc::sigaction; FATAL.len()]> = OnceLock::new();
static IS_RECORDED: AtomicBool = AtomicBool::new(false);

/// Memory for a piece of a file that is copied, in place of stack.
struct Piece(UnsafeCell<[u8; PIECE]>);

// SAFETY: only `copy_mappings` uses it, and `IS_RECORDED` lets only one thread come there, once.
unsafe impl Sync for Piece {}

static COPIED: Piece = Piece(UnsafeCell::new([0; PIECE]));

/// Records the death of this process in the file from now on. Call it after faulthandler is on: the
/// handler that is installed last is called first, and only that one sees where the signal was
/// raised. A second call does nothing.
///
/// # Errors
/// When the system refuses a handler.
pub fn record_in(recorder: File) -> io::Result<()> {
    let metadata = recorder.metadata()?;
    let identity = (metadata.dev(), metadata.ino());
    let recorder = Recorder { file: recorder, identity, pid: std::process::id() };
    if RECORDER.set(recorder).is_err() {
        return Ok(());
    }
    provide_alternate_stack()?;
    let mut before = [default_action(); FATAL.len()];
    for (signal, before) in FATAL.into_iter().zip(&mut before) {
        *before = action_of(signal)?;
    }
    let _first = BEFORE.set(before);
    FATAL.into_iter().try_for_each(install)
}

/// Installs the handlers again where faulthandler has been switched off and on meanwhile, which puts
/// it in front. A handler of a library in front stays there.
pub fn renew() {
    let Some(before) = BEFORE.get() else { return };
    for (signal, before) in FATAL.into_iter().zip(before) {
        let is_replaced =
            action_of(signal).is_ok_and(|now| now.sa_sigaction == before.sa_sigaction);
        if is_replaced {
            // If that fails there is no C stack, and everything else is as it was.
            let _without = install(signal);
        }
    }
}

fn default_action() -> libc::sigaction {
    // SAFETY: a zeroed `sigaction` is valid: the default disposition, no flags, an empty mask.
    unsafe { MaybeUninit::zeroed().assume_init() }
}

fn action_of(signal: c_int) -> io::Result<libc::sigaction> {
    let mut action = default_action();
    // SAFETY: without a new action the call only writes the present one to `action`.
    succeeded(unsafe { libc::sigaction(signal, ptr::null(), &raw mut action) })?;
    Ok(action)
}

fn install(signal: c_int) -> io::Result<()> {
    let mut action = default_action();
    action.sa_sigaction = on_death as *const () as usize;
    // Not deferred, so that what follows may raise the signal again, and dies then.
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
    // SAFETY: the handler has the signature that `SA_SIGINFO` asks for, and does only what a handler
    // may do (see the top of this file).
    succeeded(unsafe { libc::sigaction(signal, &raw const action, ptr::null_mut()) })
}

/// Gives the calling thread, the interpreter's, a stack for its handlers, unless it has a large one:
/// a stack that has overflowed cannot hold the frame of a handler.
fn provide_alternate_stack() -> io::Result<()> {
    let mut now = libc::stack_t { ss_sp: ptr::null_mut(), ss_flags: 0, ss_size: 0 };
    // SAFETY: without a new stack the call only writes the present one to `now`.
    succeeded(unsafe { libc::sigaltstack(ptr::null(), &raw mut now) })?;
    if now.ss_flags & libc::SS_DISABLE == 0 && now.ss_size >= ALTERNATE_STACK_BYTES {
        return Ok(());
    }
    let memory: &'static mut [u8] = Box::leak(vec![0; ALTERNATE_STACK_BYTES].into_boxed_slice());
    let stack = libc::stack_t {
        ss_sp: memory.as_mut_ptr().cast(),
        ss_flags: 0,
        ss_size: ALTERNATE_STACK_BYTES,
    };
    // SAFETY: the memory is never freed, and nothing else uses it. The kernel refuses the call while
    // a handler runs on the present stack.
    succeeded(unsafe { libc::sigaltstack(&raw const stack, ptr::null_mut()) })
}

fn succeeded(result: c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

extern "C" fn on_death(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    let place = FATAL.iter().position(|fatal| *fatal == signal);
    let before = BEFORE.get().and_then(|before| before.get(place?));
    let before = before.copied().unwrap_or_else(default_action);
    // First, so that a second signal of this kind, caused by what follows, ends the process as if
    // this handler did not exist.
    // SAFETY: the action was in force before this handler was installed.
    let _restored = unsafe { libc::sigaction(signal, &raw const before, ptr::null_mut()) };
    if let Some(recorder) = RECORDER.get()
        && recorder.pid == std::process::id()
        && !IS_RECORDED.swap(true, Ordering::Relaxed)
    {
        // SAFETY: the kernel gives a handler with `SA_SIGINFO` both structures, valid until it
        // returns.
        let (info, context) = unsafe { (&*info, &*context.cast::<ucontext_t>()) };
        record(recorder, signal, info, context);
    }
    if has_room() {
        pass_on(&before, signal, info, context);
    } else {
        leave_to(&before, signal, info);
    }
}

/// Whether the stack of this handler is large enough for another one, which may need much more.
fn has_room() -> bool {
    let mut now = libc::stack_t { ss_sp: ptr::null_mut(), ss_flags: 0, ss_size: 0 };
    // SAFETY: without a new stack the call only writes the present one to `now`.
    let is_known = unsafe { libc::sigaltstack(ptr::null(), &raw mut now) } == 0;
    let is_alternate = is_known && now.ss_flags & libc::SS_ONSTACK != 0;
    !is_alternate || now.ss_size >= ALTERNATE_STACK_BYTES
}

/// Has the signal handled once more after this handler, as the action says that was in force before, on
/// the thread's own stack.
fn leave_to(before: &libc::sigaction, signal: c_int, info: *mut siginfo_t) {
    let mut action = *before;
    action.sa_flags &= !libc::SA_ONSTACK;
    // SAFETY: the action was in force before, on another stack. An instruction that has raised the signal
    // is executed again, and raises it again; otherwise the signal waits, blocked, for the end of this
    // handler, when the kernel puts the thread's mask back.
    unsafe {
        let _replaced = libc::sigaction(signal, &raw const action, ptr::null_mut());
        if (*info).si_code <= 0 {
            let mut blocked = MaybeUninit::<libc::sigset_t>::zeroed().assume_init();
            libc::sigaddset(&raw mut blocked, signal);
            libc::pthread_sigmask(libc::SIG_BLOCK, &raw const blocked, ptr::null_mut());
            libc::raise(signal);
        }
    }
}

/// Does what the action says that was in force before.
fn pass_on(before: &libc::sigaction, signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: see `on_death`.
    let is_of_instruction = unsafe { (*info).si_code } > 0;
    match before.sa_sigaction {
        libc::SIG_IGN => {}
        // The instruction is executed again when this handler returns, and the process dies there.
        libc::SIG_DFL if is_of_instruction => {}
        libc::SIG_DFL => {
            // SAFETY: `raise` may be called in handlers.
            let _dies = unsafe { libc::raise(signal) };
        }
        handler if before.sa_flags & libc::SA_SIGINFO != 0 => {
            // SAFETY: an action with `SA_SIGINFO` holds a function of this signature.
            let handler: extern "C" fn(c_int, *mut siginfo_t, *mut c_void) =
                unsafe { std::mem::transmute(handler) };
            handler(signal, info, context);
        }
        handler => {
            // SAFETY: an action that is neither of the above holds a function of this signature.
            let handler: extern "C" fn(c_int) = unsafe { std::mem::transmute(handler) };
            handler(signal);
        }
    }
}

fn record(recorder: &Recorder, signal: c_int, info: &siginfo_t, context: &ucontext_t) {
    let file = &recorder.file;
    let is_own =
        rustix::fs::fstat(file).is_ok_and(|stat| (stat.st_dev, stat.st_ino) == recorder.identity);
    if !is_own {
        return;
    }
    // SAFETY: a part of a union that has bytes of the kernel for every signal; they mean an address
    // only where an instruction has raised it.
    let address = unsafe { info.si_addr() } as u64;
    // SAFETY: the same; they mean a process id only where a process has sent it.
    let sender = unsafe { info.si_pid() };
    let (address, sender) = if info.si_code > 0 { (address, 0) } else { (0, sender) };
    let mut death = Death {
        magic: MAGIC,
        signal,
        code: info.si_code,
        address,
        sender: sender.unsigned_abs(),
        core_limit: getrlimit(Resource::Core).current.unwrap_or(u64::MAX),
        resident_pages: resident_pages(),
        refused_bytes: just_refused(),
        ..Death::zeroed()
    };
    let stack_pointer = take_registers(&mut death, context);
    let save = |death: &Death| file.write_all_at(bytemuck::bytes_of(death), DEATH_AT);
    // Saved twice: something of it is there even if the process is killed now.
    if save(&death).is_err() {
        return;
    }
    if let Some(stack_pointer) = stack_pointer.and_then(|start| usize::try_from(start).ok()) {
        copy_stack(file, stack_pointer);
    }
    death.maps_bytes = copy_mappings(file);
    let _complete = save(&death);
}

/// Copies the registers. Returns the stack pointer; `None` on machines that this code does not know.
#[cfg(target_arch = "x86_64")]
fn take_registers(death: &mut Death, context: &ucontext_t) -> Option<u64> {
    use libc::{
        REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15, REG_RAX, REG_RBP,
        REG_RBX, REG_RCX, REG_RDI, REG_RDX, REG_RIP, REG_RSI, REG_RSP,
    };
    let order = [
        REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI, REG_RDI, REG_RBP, REG_RSP, REG_R8, REG_R9,
        REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
    ];
    let register = |name: c_int| {
        let value = context.uc_mcontext.gregs.get(usize::try_from(name).ok()?);
        value.map(|value| value.cast_unsigned())
    };
    for (place, name) in death.registers.iter_mut().zip(order) {
        *place = register(name)?;
    }
    death.machine = ipc_protocol::recorder::X86_64;
    death.instruction = register(REG_RIP)?;
    death.stack_start = register(REG_RSP)?;
    Some(death.stack_start)
}

/// See above.
#[cfg(target_arch = "aarch64")]
fn take_registers(death: &mut Death, context: &ucontext_t) -> Option<u64> {
    let registers = &context.uc_mcontext;
    death.registers[..registers.regs.len()].copy_from_slice(&registers.regs);
    death.registers[31] = registers.sp;
    death.machine = ipc_protocol::recorder::AARCH64;
    death.instruction = registers.pc;
    death.stack_start = registers.sp;
    Some(registers.sp)
}

/// See above.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn take_registers(_death: &mut Death, _context: &ucontext_t) -> Option<u64> {
    None
}

fn copy_stack(file: &File, start: usize) {
    let mut copied = 0;
    while copied < STACK_BYTES {
        let address = start.wrapping_add(copied);
        // Up to the end of a page: what begins in one that cannot be read is skipped as a whole.
        let size = PIECE - address % PIECE;
        let place = (STACK_AT + copied as u64).cast_signed();
        let memory = address as *const c_void;
        // SAFETY: the kernel reads the memory, and refuses what cannot be read.
        let _skipped = unsafe { libc::pwrite(file.as_raw_fd(), memory, size, place) };
        copied += size;
    }
}

/// Returns the number of bytes.
fn copy_mappings(file: &File) -> u64 {
    // The files of the process would be empty if its first thread had ended.
    let Some(mappings) = open_own(c"/proc/thread-self/maps") else { return 0 };
    // SAFETY: see `Piece`.
    let buffer = unsafe { &mut *COPIED.0.get() };
    let mut copied = 0;
    while copied < MAX_MAPS_BYTES as u64 {
        let Ok(read @ 1..) = rustix::io::read(&mappings, &mut *buffer) else { break };
        if file.write_all_at(&buffer[..read], MAPS_AT + copied).is_err() {
            break;
        }
        copied += read as u64;
    }
    copied
}

/// The second number of `statm`.
fn resident_pages() -> u64 {
    let mut buffer = [0; 64];
    let read = open_own(c"/proc/thread-self/statm")
        .and_then(|sizes| rustix::io::read(&sizes, &mut buffer).ok())
        .unwrap_or(0);
    let digits = buffer[..read].split(|byte| *byte == b' ').nth(1).unwrap_or_default();
    digits.iter().fold(0_u64, |number, digit| {
        number.wrapping_mul(10).wrapping_add(u64::from(digit.wrapping_sub(b'0')))
    })
}

fn open_own(path: &std::ffi::CStr) -> Option<OwnedFd> {
    rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()
}
