//! Benchmark of a call from Python into the extension module, compared with a call of a builtin
//! function. The loop runs in a Python process that has the wheel (`PYTHON`, else `.venvs/test`);
//! only the time of the loop counts.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};

/// Runs `call` `calls` times in one Python process and returns the time of the loop.
fn time_in_python(setup: &str, call: &str, calls: u64) -> Duration {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = std::env::var_os("PYTHON")
        .map_or_else(|| here.join("../.venvs/test/bin/python"), Into::into);
    let script = format!(
        "import timeit\n{setup}\nprint(timeit.timeit('{call}', number={calls}, globals=globals()))"
    );
    let output = Command::new(&python).args(["-c", &script]).output();
    let printed = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    match printed.map(|text| text.parse::<f64>()) {
        Ok(Ok(seconds)) => Duration::from_secs_f64(seconds),
        _ => panic!("{} has no remotemedia: run `make test` first", python.display()),
    }
}

fn ffi_call(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("FFI call");
    group.sample_size(20);
    let calls = [
        ("builtin len(())", "", "len(())"),
        ("get_available_nodes", "from remotemedia_runtime import *", "get_available_nodes()"),
        (
            "native node without a value",
            "from remotemedia._native import NativeNode; node = NativeNode(\"PassThroughNode\", \"{}\")",
            "node.flush()",
        ),
        (
            "native node with a value",
            "from remotemedia._native import NativeNode; node = NativeNode(\"PassThroughNode\", \"{}\")",
            "node.process(7)",
        ),
    ];
    for (name, setup, call) in calls {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|iterations| time_in_python(setup, call, iterations));
        });
    }
    group.finish();
}

criterion_group!(ffi, ffi_call);
criterion_main!(ffi);
