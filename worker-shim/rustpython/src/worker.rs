//! A worker process from its start to its end.

use rustpython_vm::VirtualMachine;
use worker_shim::blackbox::Blackbox;
use worker_shim::link::link;
use worker_shim::process::{die_after_grace, take_link, watch_orchestrator};
use worker_shim::{LinkReader, LinkWriter, Meter, PythonGuest, SharedMeter};

use crate::guest::{RustPython, guest};
use crate::interpreter::{self, Options};
use crate::{complain, deadline, native};

/// Serves the orchestrator until it closes the connection. Returns the exit code.
pub(crate) fn run(options: &Options) -> u8 {
    match connect(options) {
        Ok(connection) => serve(options, connection),
        Err(problem) => {
            let what = "remotemedia-rustpython is a worker, started by RemoteMedia only";
            complain(format_args!("{what}: {problem}"));
            2
        }
    }
}

struct Connection {
    reader: LinkReader,
    writer: LinkWriter,
    meter: SharedMeter,
}

fn connect(options: &Options) -> std::io::Result<Connection> {
    let socket = take_link()?;
    watch_orchestrator(&socket, nix::unistd::getppid().as_raw())?;
    deadline::watch()?;
    let blackbox = options.recorder.and_then(|descriptor| Blackbox::open(descriptor).ok());
    let (reader, writer) = link(socket)?;
    let meter = SharedMeter::new(Meter::new(blackbox));
    native::worker::serve(&meter, &writer);
    Ok(Connection { reader, writer, meter })
}

fn serve(options: &Options, connection: Connection) -> u8 {
    let Connection { mut reader, writer, meter } = connection;
    let interpreter = interpreter::build(options);
    let served = interpreter.enter(|vm| {
        let mut guest = match start(vm, options, meter) {
            Ok(guest) => guest,
            Err(raised) => {
                vm.print_exception(&raised);
                return 1;
            }
        };
        match worker_shim::serve(&mut reader, &writer, &mut guest) {
            Ok(()) => 0,
            Err(error) => {
                complain(error);
                if let Err(problem) = die_after_grace() {
                    complain(problem);
                }
                1
            }
        }
    });
    // Waits for threads of nodes and runs `atexit` functions, as CPython does when it exits.
    let ended = interpreter.finalize(None);
    if served == 0 { u8::try_from(ended & 0xff).unwrap_or(u8::MAX) } else { served }
}

fn start<'vm>(
    vm: &'vm VirtualMachine,
    options: &Options,
    meter: SharedMeter,
) -> rustpython_vm::PyResult<PythonGuest<RustPython<'vm>>> {
    interpreter::prepare(vm, options)?;
    let start = vm.import("_remotemedia_start", 0)?;
    let recorder =
        options.recorder.map_or_else(|| vm.ctx.none(), |number| vm.ctx.new_int(number).into());
    start.get_attr("prepare_worker", vm)?.call((recorder,), vm)?;
    guest(vm, meter)
}
