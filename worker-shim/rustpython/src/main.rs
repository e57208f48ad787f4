//! `remotemedia-rustpython`: a worker whose interpreter is RustPython, and the same interpreter for
//! scripts.
//!
//!     remotemedia-rustpython                      a worker; started by the orchestrator only
//!     remotemedia-rustpython script.py [args]     runs a script
//!     remotemedia-rustpython -c code [args]       runs code
//!     remotemedia-rustpython --version            prints its versions
//!
//! A worker also takes the arguments of a CPython worker.

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
use std::sync::mpsc::channel;
use std::thread;

use arguments::Task;
use worker_shim::process::outlive_parent;

/// Deep recursion and long expressions need it: with 64 MiB Python's own limits are met first.
const STACK_BYTES: usize = 64 << 20;

/// Says it on stderr. A caller that has closed it does not want to know, and is no reason to abort.
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
    // A panic ends the process as a fatal error of the interpreter does, so that faulthandler notes
    // the Python stack: whatever state it left behind is not to be used.
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        std::process::abort();
    }));
    let (follows_parent, followed) = channel();
    let run = move || match task {
        Task::Worker(options) => worker::run(&options, &follows_parent),
        Task::Script(options, script) => script::run(&options, &script),
        Task::Version => 0,
    };
    deadline::leave_to_interpreter();
    let interpreter = thread::Builder::new().name("python".to_owned()).stack_size(STACK_BYTES);
    let interpreter = interpreter.spawn(run).map(|running| {
        // A script says nothing, and its end closes the channel.
        if followed.recv().is_ok() {
            outlive_parent();
        }
        running.join()
    });
    match interpreter {
        Ok(Ok(code)) => ExitCode::from(code),
        Ok(Err(_panicked)) => ExitCode::FAILURE,
        Err(problem) => {
            complain(format_args!("no thread for the interpreter: {problem}"));
            ExitCode::FAILURE
        }
    }
}
