//! Runs a script or a piece of code on the interpreter that workers have.

use rustpython_vm::{PyResult, VirtualMachine};

use crate::arguments::Script;
use crate::complain;
use crate::deadline;
use crate::interpreter::{self, Options};

/// Runs it to its end; gives the exit code.
pub(crate) fn run(options: &Options, script: &Script) -> u8 {
    if let Err(problem) = deadline::take_signals() {
        complain(format_args!("signals do not reach the script: {problem}"));
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
