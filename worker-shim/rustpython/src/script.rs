//! Runs a script file or a piece of code in the same interpreter as workers have.

use rustpython_vm::{PyResult, VirtualMachine};

use crate::arguments::Script;
use crate::complain;
use crate::deadline;
use crate::interpreter::{self, Options};

/// Runs a script to its end; returns the exit code.
pub(crate) fn run(options: &Options, script: &Script) -> u8 {
    if let Err(problem) = deadline::take_signals() {
        complain(format_args!("the script cannot receive signals: {problem}"));
    }
    let interpreter = interpreter::build(options);
    let code = interpreter.run(|vm| {
        interpreter::prepare(vm, options)?;
        execute(vm, script)
    });
    u8::try_from(code & 0xff).unwrap_or(u8::MAX)
}

fn execute(vm: &VirtualMachine, script: &Script) -> PyResult<()> {
    let scope = vm.new_scope_with_main()?;
    match script {
        Script::File(path) => vm.run_script(scope, path),
        Script::Code(code) => vm.run_string(scope, code, "<string>").map(|_| ()),
    }
}
