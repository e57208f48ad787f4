//! The program `remotemedia`; its code is in `orchestrator::cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    let code = orchestrator::cli::run(std::env::args_os(), None);
    ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX))
}
