//! `remotemedia-rustpython`: a worker with RustPython as its interpreter; it can also run scripts.
//!
//!     remotemedia-rustpython                      a worker; started by the orchestrator only
//!     remotemedia-rustpython script.py [args]     runs a script
//!     remotemedia-rustpython -c code [args]       runs code
//!     remotemedia-rustpython --version            prints its versions
//!
//! A worker also accepts the arguments of a CPython worker.

mod arguments;
mod convert;
mod deadline;
mod embedded;
mod guest;
mod interpreter;
mod native;
mod script;
mod worker;

use std::fmt::Display;
use std::io::Write as _;
use std::process::ExitCode;
use std::thread;

use arguments::Task;
use worker_shim::allocator::Allocator;
use worker_shim::process::outlive_parent;

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

/// Stack of the interpreter's thread: so large that deep recursion and long expressions reach
/// Python's own limits before the end of the stack.
const STACK_BYTES: usize = 64 << 20;

/// Prints an error to stderr; a closed stderr is ignored.
fn complain(problem: impl Display) {
    let _unheard = writeln!(std::io::stderr(), "{problem}");
}

fn main() -> ExitCode {
    let task = match arguments::read() {
        Ok(task) => task,
        Err(problem) => {
            complain(problem);
            return ExitCode::from(2);
        }
    };
    if matches!(task, Task::Version) {
        let written = writeln!(std::io::stdout(), "{}", arguments::version());
        return if written.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    // Aborts on a panic, since the state that a panic leaves behind must not be used. Like any
    // abort, it makes faulthandler write the Python stack.
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        std::process::abort();
    }));
    if matches!(task, Task::Worker(_)) {
        // If the parent dies before the worker watches it, the worker learns that when it begins to.
        outlive_parent();
    }
    let run = move || match task {
        Task::Worker(options) => worker::run(&options),
        Task::Script(options, script) => script::run(&options, &script),
        Task::Version => 0,
    };
    deadline::leave_to_interpreter();
    let interpreter = thread::Builder::new().name("python".to_owned()).stack_size(STACK_BYTES);
    match interpreter.spawn(run).map(thread::JoinHandle::join) {
        Ok(Ok(code)) => ExitCode::from(code),
        Ok(Err(_panicked)) => ExitCode::FAILURE,
        Err(problem) => {
            complain(format_args!("cannot start the interpreter's thread: {problem}"));
            ExitCode::FAILURE
        }
    }
}
