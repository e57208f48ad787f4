//! Starting processes of an interpreter: workers, zygotes that fork workers, and reapers.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use ipc_protocol::kin::Mark;
use nix::errno::Errno;
use nix::sched::CpuSet;
use nix::sys::signal::{SigHandler, SigSet, Signal, signal};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{Pid, PidfdFlags};

use super::{Process, ProcessState, Spawned};
use crate::error::StartError;
use crate::worker::blackbox::{Blackbox, DESCRIPTOR_VARIABLE, above_standard_streams};
use crate::worker::forks;
use crate::worker::{Start, WorkerId, WorkerKey};

/// Holds the names of all variables that a worker is given; see `_guest/surroundings.py`.
const GIVEN_VARIABLE: &str = "REMOTEMEDIA_GIVEN_VARIABLES";
/// What makes a zygote of the entry point of workers; see `_worker.py`.
const ZYGOTE_ARGUMENT: &str = "zygote";
/// The program of a reaper. It needs nothing but the standard library.
const REAPER: &str = include_str!("../reaper.py");

/// A new zygote.
#[derive(Debug)]
pub struct SpawnedZygote {
    /// Our end of its connection.
    pub connection: OwnedFd,
    /// Becomes readable when the process has ended.
    pub pidfd: Arc<OwnedFd>,
    /// Its standard output and standard error.
    pub outputs: [OwnedFd; 2],
}

/// The parts of a worker that stay here.
#[derive(Debug)]
pub struct WorkerEnds {
    /// Our end of the link.
    pub link: UnixStream,
    /// Its standard output and standard error, to be read.
    pub outputs: [OwnedFd; 2],
    /// Its flight recorder.
    pub blackbox: Blackbox,
    /// What it and the programs of its nodes are found by.
    pub mark: Mark,
}

/// Its end of the link, and where it writes: what becomes descriptors 0 to 2 of a worker.
pub type Theirs = [OwnedFd; 3];

impl WorkerEnds {
    /// New ones, and what the worker gets.
    ///
    /// # Errors
    /// When no descriptor is left.
    pub fn new(mark: Mark) -> Result<(Self, Theirs), StartError> {
        let refused = |action| move |source: std::io::Error| StartError::system(action, &source);
        let blackbox = Blackbox::new().map_err(refused("making its flight recorder"))?;
        let (link, input) = UnixStream::pair().map_err(refused("making its connection"))?;
        let link = above_standard_streams(link.into()).map_err(refused("making its connection"))?;
        let pipe = || std::io::pipe().map_err(refused("making its output pipes"));
        let ((stdout, theirs_out), (stderr, theirs_err)) = (pipe()?, pipe()?);
        let outputs = [stdout.into(), stderr.into()];
        let theirs = [input.into(), theirs_out.into(), theirs_err.into()];
        Ok((Self { link: link.into(), outputs, blackbox, mark }, theirs))
    }

    /// Brings our parts together with the process that got the others: a child of this process, or of
    /// the zygote that `zygote` means.
    #[must_use]
    pub fn joined(
        self,
        id: WorkerId,
        pid: u32,
        pidfd: Arc<OwnedFd>,
        zygote: Option<Arc<OwnedFd>>,
    ) -> Spawned {
        let Self { link, outputs: [stdout, stderr], blackbox, mark } = self;
        let (state, end) = (Mutex::<ProcessState>::default(), tokio::sync::Notify::new());
        let started = Instant::now();
        let own = Arc::clone(&pidfd);
        let process = Process { id, pid, blackbox, mark, pidfd: own, zygote, started, state, end };
        Spawned { process: Arc::new(process), link, pidfd, stdout, stderr }
    }
}

/// Starts a worker. Call it only on the supervisor's thread: the parent-death signal is sent when
/// the thread that forked ends.
///
/// # Errors
/// When the interpreter cannot be executed or no descriptor is left.
pub fn spawn(
    id: WorkerId,
    key: &WorkerKey,
    start: &Start,
    mark: Mark,
) -> Result<Spawned, StartError> {
    let (ends, theirs) = WorkerEnds::new(mark)?;
    let recorder = ends.blackbox.descriptor();
    let mut command = command(key, start);
    command.env(DESCRIPTOR_VARIABLE, recorder.to_string());
    prepare_child(&mut command, mark, Some(recorder));
    schedule_child(&mut command, start);
    let refused = |source: &std::io::Error| not_started(key, start, source);
    let (pid, pidfd) = run(command, theirs, refused)?;
    Ok(ends.joined(id, pid, pidfd, None))
}

/// Starts a zygote, on the same terms as [`spawn`].
///
/// # Errors
/// As [`spawn`].
pub fn spawn_zygote(
    key: &WorkerKey,
    start: &Start,
    mark: Mark,
) -> Result<SpawnedZygote, StartError> {
    let refused = |action| move |source: std::io::Error| StartError::system(action, &source);
    let (kind, flags) = (SocketType::SEQPACKET, SocketFlags::CLOEXEC);
    let pair = socketpair(AddressFamily::UNIX, kind, flags, None);
    let (connection, input) = pair.map_err(|e| refused("making its connection")(e.into()))?;
    let connection =
        above_standard_streams(connection).map_err(refused("making its connection"))?;
    let pipe = || std::io::pipe().map_err(refused("making its output pipes"));
    let ((stdout, theirs_out), (stderr, theirs_err)) = (pipe()?, pipe()?);
    let mut command = command(key, start);
    command.arg(ZYGOTE_ARGUMENT);
    let theirs = [input, theirs_out.into(), theirs_err.into()];
    prepare_child(&mut command, mark, None);
    schedule_child(&mut command, start);
    let refused = |source: &std::io::Error| not_started(key, start, source);
    let (_, pidfd) = run(command, theirs, refused)?;
    Ok(SpawnedZygote { connection, pidfd, outputs: [stdout.into(), stderr.into()] })
}

/// Starts a reaper on the interpreter of a worker: a process that outlives this one for a moment, and
/// ends the processes with marks like this one. It has a session of its own, so that no signal of a
/// terminal reaches it. Returns its process id and pidfd.
///
/// # Errors
/// As [`spawn`].
pub fn spawn_reaper(
    key: &WorkerKey,
    start: &Start,
    mark: Mark,
) -> Result<(u32, Arc<OwnedFd>), StartError> {
    let mut command = Command::new(&key.interpreter);
    command
        .args(["-I", "-S", "-c", REAPER])
        .args([std::process::id().to_string(), mark.family().to_string()])
        .env_clear()
        .envs(start.environment.iter().map(|(name, value)| (name, value)))
        .current_dir("/");
    let in_child = || {
        nix::unistd::setsid()?;
        // This process may be a worker itself, whose end must not be the reaper's.
        let _had_none = Mark::take_off();
        Ok(SigSet::empty().thread_set_mask()?)
    };
    // SAFETY: between fork and exec only system calls are made (setsid, prlimit, sigprocmask), all of
    // them async-signal-safe; nothing allocates or takes a lock.
    unsafe {
        command.pre_exec(in_child);
    }
    let nowhere = || {
        let opened = File::options().read(true).write(true).open("/dev/null");
        opened.map(OwnedFd::from).map_err(|e| StartError::system("opening /dev/null", &e))
    };
    let refused = |source: &std::io::Error| StartError::system("starting its reaper", source);
    run(command, [nowhere()?, nowhere()?, nowhere()?], refused)
}

/// The worker program of an interpreter.
fn command(key: &WorkerKey, start: &Start) -> Command {
    let mut command = Command::new(&key.interpreter);
    command
        .args(&key.options)
        .args(["-P", "-m", "remotemedia._worker"])
        .env_clear()
        .envs(start.environment.iter().map(|(name, value)| (name, value)))
        .env(GIVEN_VARIABLE, given_names(start))
        .process_group(0);
    if let Some(directory) = usable_directory(start.working_directory.as_deref()) {
        command.current_dir(directory);
    }
    command
}

/// Starts a program with these descriptors 0 to 2. `refused` makes the error when it cannot be started.
fn run(
    mut command: Command,
    [stdin, stdout, stderr]: [OwnedFd; 3],
    refused: impl Fn(&std::io::Error) -> StartError,
) -> Result<(u32, Arc<OwnedFd>), StartError> {
    command.stdin(Stdio::from(stdin)).stdout(Stdio::from(stdout)).stderr(Stdio::from(stderr));
    let started = {
        let _no_fork = forks::none_meanwhile();
        command.spawn()
    };
    let mut child = started.map_err(|source| refused(&source))?;
    match open_pidfd(&child) {
        Ok(pidfd) => Ok((child.id(), Arc::new(pidfd))),
        Err(source) => {
            // Its exit would go unnoticed.
            let _gone = child.kill().and_then(|()| child.wait());
            Err(StartError::system("watching it", &source))
        }
    }
}

/// The names of the variables that a worker is started with, joined by `=`, which no name holds. If
/// its interpreter is a wrapper script, the worker finds the variables that the script added.
fn given_names(start: &Start) -> OsString {
    let of_start = start.environment.iter().map(|(name, _)| name.as_os_str());
    let own = [DESCRIPTOR_VARIABLE, GIVEN_VARIABLE].map(OsStr::new);
    of_start.chain(own).collect::<Vec<_>>().join(OsStr::new("="))
}

/// The error for a process that could not be started. It blames what its pool sets or the interpreter,
/// unless the system has run out of something that every process needs.
fn not_started(key: &WorkerKey, start: &Start, source: &std::io::Error) -> StartError {
    let reason = source.to_string();
    match source.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EPERM | Errno::EACCES) if start.nice < 0 => StartError::System {
            action: "setting its niceness",
            reason,
            remedy: "; `nice` below 0 needs CAP_SYS_NICE",
        },
        Some(Errno::EINVAL) if !start.processors.is_empty() => StartError::System {
            action: "binding it to its processors",
            reason,
            remedy: "; `cpu_affinity` names none that this program may use",
        },
        _ => match StartError::system("starting its process", source) {
            StartError::System { remedy: "", reason, .. } => StartError::Spawn {
                interpreter: key.interpreter.clone(),
                setting: key.setting.clone(),
                reason,
            },
            shortage => shortage,
        },
    }
}

/// `directory`, if it can be entered (looking up `.` needs the same permission). Otherwise every
/// spawn with it would fail, so the worker starts in the orchestrator's own directory.
pub(crate) fn usable_directory(directory: Option<&Path>) -> Option<&Path> {
    directory.filter(|path| path.join(".").is_dir())
}

fn open_pidfd(child: &Child) -> std::io::Result<OwnedFd> {
    let pid = Pid::from_child(child);
    Ok(rustix::process::pidfd_open(pid, PidfdFlags::empty())?)
}

/// Has a program start with this mark, and with a descriptor that it inherits under its number.
fn prepare_child(command: &mut Command, mark: Mark, inherited: Option<RawFd>) {
    let parent = nix::unistd::getpid();
    let in_child = move || {
        nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
        // Without a mark it still has its process group.
        let _limited_otherwise = mark.put_on();
        // The supervisor's thread blocks all signals; its children must not inherit that.
        SigSet::empty().thread_set_mask()?;
        // If SIGCHLD stayed ignored, nodes could not get the exit codes of their own children.
        // Other signals that the caller ignores (SIGHUP under nohup) stay ignored, as in any child.
        // SAFETY: the default disposition runs no code of this process.
        unsafe { signal(Signal::SIGCHLD, SigHandler::SigDfl) }?;
        // The parent may have died before the parent-death signal was set.
        if nix::unistd::getppid() != parent {
            return Err(std::io::Error::from(Errno::ESRCH));
        }
        if let Some(inherited) = inherited {
            // SAFETY: the descriptor is open in the parent while it forks, hence in the child.
            let inherited = unsafe { BorrowedFd::borrow_raw(inherited) };
            let inherit = nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty());
            nix::fcntl::fcntl(inherited, inherit)?;
        }
        Ok(())
    };
    // SAFETY: between fork and exec only system calls are made (prctl, prlimit, sigprocmask, sigaction,
    // getppid, fcntl), all of them async-signal-safe; nothing allocates or takes a lock.
    unsafe {
        command.pre_exec(in_child);
    }
}

/// Gives the child the processors and the niceness that its pool sets.
fn schedule_child(command: &mut Command, start: &Start) {
    let nice = start.nice;
    let mut processors = CpuSet::new();
    for processor in &start.processors {
        let number = usize::try_from(*processor).unwrap_or(usize::MAX);
        // A number that no set holds is refused by the kernel, like one without a processor.
        let _too_large = processors.set(number);
    }
    let is_bound = !start.processors.is_empty();
    if nice == 0 && !is_bound {
        return;
    }
    let in_child = move || {
        if is_bound {
            nix::sched::sched_setaffinity(nix::unistd::Pid::from_raw(0), &processors)?;
        }
        if nice != 0 {
            rustix::process::nice(nice)?;
        }
        Ok(())
    };
    // SAFETY: between fork and exec only system calls are made (sched_setaffinity, setpriority), both of
    // them async-signal-safe; nothing allocates or takes a lock.
    unsafe {
        command.pre_exec(in_child);
    }
}
