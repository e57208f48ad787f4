#!/usr/bin/env bash
# Every check and every test. All of them run even when one fails; the end tells which did.
source "$(dirname "$0")/common.sh"
check_tools

bin=$PWD/.venvs/test/bin
summary=()
failed=0

# step NAME COMMAND...: runs it and notes how it went.
step() {
    local name=$1 start=$SECONDS verdict=ok
    shift
    printf '\n== %s\n' "$name"
    "$@" || { verdict=FAILED failed=$((failed + 1)); }
    summary+=("$(printf '%-28s %-6s %5d s' "$name" "$verdict" $((SECONDS - start)))")
    [[ $verdict == ok ]]
}

rust_tests() {
    if cargo nextest --version >/dev/null 2>&1; then
        cargo nextest run --locked --workspace
    else
        cargo test --locked --workspace --tests
    fi
}

# The worker of RustPython is a workspace of its own. With the profile and the folder of its build,
# clippy compiles no macros or build scripts again.
rustpython=worker-shim/rustpython/Cargo.toml

rustpython_clippy() {
    cargo clippy --locked --release --ignore-rust-version --manifest-path "$rustpython" \
        --target-dir target/rustpython --all-targets -- -D warnings
}

# The settings of the Python tools are in python/pyproject.toml, with paths from there.
in_python() {
    (cd python && "$@")
}

types() {
    in_python "$bin/mypy" --strict -p remotemedia -p remotemedia_runtime &&
        in_python "$bin/mypy" --strict ../examples ../tests/python
}

stubs() {
    local allowlist=()
    [[ -f python/stubtest-allowlist.txt ]] && allowlist=(--allowlist python/stubtest-allowlist.txt --ignore-unused-allowlist)
    "$bin/python" -P -m mypy.stubtest --mypy-config-file python/pyproject.toml "${allowlist[@]}" \
        remotemedia remotemedia_runtime
}

step 'cargo fmt' cargo fmt --all --check || true
step 'cargo clippy' cargo clippy --locked --workspace --all-targets -- -D warnings || true
step 'RustPython worker' scripts/rustpython.sh || true
step 'RustPython cargo fmt' cargo fmt --check --manifest-path "$rustpython" || true
step 'RustPython clippy' rustpython_clippy || true
step 'Rust tests' rust_tests || true
step 'memory checks' scripts/check-unsafe.sh --ci || true
step 'Rust doc tests' cargo test --locked --workspace --doc --quiet || true
if step 'wheel and environment' scripts/install.sh test tests/python/requirements.txt; then
    step 'RustPython wheel' scripts/rustpython.sh test || true
    step 'ruff format' in_python "$bin/ruff" format --check --config pyproject.toml . ../tests/python ../examples ../benches || true
    step 'ruff check' in_python "$bin/ruff" check --config pyproject.toml . ../tests/python ../examples ../benches || true
    step 'mypy --strict' types || true
    step 'stubtest' stubs || true
    # README, examples and everything else in Python, against the installed wheel.
    step 'pytest' "$bin/pytest" -c python/pyproject.toml --rootdir . --timeout 300 tests/python || true
fi

printf '\n== summary\n'
printf '%s\n' "${summary[@]}"
((failed == 0)) || fail "$failed of ${#summary[@]} steps failed"
