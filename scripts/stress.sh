#!/usr/bin/env bash
# Checks that take too long for every change: long loops, models and property tests with many cases,
# other versions of numpy and Python. Run at night and before releases, in addition to `make test`;
# CONTRIBUTING.md lists them.
source "$(dirname "$0")/steps.sh"

step 'simulation' env SIMULATION_SEEDS=1000000 cargo test --locked --quiet -p orchestrator --lib simulation || true
step 'native nodes' env HOSTILE_FRAMES=10000000 cargo test --locked -p nodes --test hostile every_node -- --nocapture || true
opus() {
    [[ -n $(find /usr -name opus.h -path '*include/opus*' -print -quit 2>/dev/null) ]] ||
        { printf 'left out: libopus-dev is not installed\n' && return; }
    cargo test --locked -p nodes --features opus --lib opus
}
step 'Opus' opus || true
instructions() {
    cargo build --locked --release --package benches --example native_nodes &&
        "$PYTHON" benches/instructions.py
}
step 'instructions of nodes' instructions || true
step 'mutants of the core' "$PYTHON" scripts/mutants.py || true
step 'RustPython lints' rustpython_lints || true
step 'RustPython worker' scripts/rustpython.sh || true
if step 'wheel and environment' scripts/install.sh test tests/python/requirements.txt; then
    step 'RustPython wheel' scripts/rustpython.sh test || true
    # Without them their test is skipped.
    step 'libraries' pip .venvs/test -r tests/python/libraries.txt || true
    begin 'memory checks' scripts/memory.sh --long
    # Not in parallel: some tests watch memory, or names that all processes of the machine share.
    step 'pytest --stress' python_tests stress --stress --timeout 3600 tests/python || true
    finish 'memory checks' || true
fi
conclude
