# Sourced by check.sh, test.sh and stress.sh: steps, one after the other or in the background, their
# summary, and the steps that several of these scripts take. Every step runs even when one fails.
# shellcheck shell=bash

source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
check_tools

bin=$PWD/.venvs/test/bin
logs=$PWD/target/logs
reports=target/reports
rm -rf "$logs" "$reports"
mkdir -p "$logs" "$reports"
touch "$logs/.begin"
summary=()
failed=0
declare -A background=()

# step NAME COMMAND...: runs it and notes how it went.
step() {
    local name=$1 start=$SECONDS verdict=ok
    shift
    printf '\n== %s\n' "$name"
    "$@" || verdict=FAILED
    note "$name" "$verdict" $((SECONDS - start))
}

note() {
    [[ $2 == ok ]] || failed=$((failed + 1))
    summary+=("$(printf '%-28s %-6s %5d s' "$@")")
    [[ $2 == ok ]]
}

# begin NAME COMMAND...: starts a step beside the next ones; its output goes to a file until `finish`.
begin() {
    local name=$1 log=$logs/${1// /-}
    shift
    printf '\n== %s: in the background, output in %s\n' "$name" "${log#"$PWD/"}.log"
    # With job control it is a process group of its own, which `end_background` can end as a whole.
    set -m
    {
        start=$SECONDS verdict=ok
        "$@" || verdict=FAILED
        printf '%s %d\n' "$verdict" $((SECONDS - start)) >"$log.verdict"
    } </dev/null >"$log.log" 2>&1 &
    background[$name]=$!
    set +m
}

# finish NAME: waits for a step of the background; shows its last lines, or all when it has failed.
finish() {
    local name=$1 log=$logs/${1// /-} verdict=FAILED seconds=0
    printf '\n== %s (of the background)\n' "$name"
    wait "${background[$name]}" || true
    unset "background[$name]"
    read -r verdict seconds <"$log.verdict" || true
    if [[ $verdict == ok ]]; then tail -n 20 "$log.log"; else cat "$log.log"; fi
    note "$name" "$verdict" "$seconds"
}

end_background() {
    local group
    for group in "${background[@]}"; do
        kill -- "-$group" 2>/dev/null || true
    done
}
trap end_background EXIT

# The summary, and the exit code of the whole.
conclude() {
    local files=("$reports"/*.xml)
    [[ target/nextest/default/junit.xml -nt $logs/.begin ]] &&
        files+=(target/nextest/default/junit.xml)
    if [[ -e ${files[0]} ]]; then
        printf '\n== slowest tests\n'
        "$PYTHON" scripts/slowest.py "${files[@]}"
    fi
    printf '\n== summary\n'
    printf '%s\n' "${summary[@]}"
    ((failed == 0)) || fail "$failed of ${#summary[@]} steps failed"
}

# The worker of RustPython is a workspace of its own.
rustpython=worker-shim/rustpython/Cargo.toml

rust_format() {
    cargo fmt --all --check && cargo fmt --check --manifest-path "$rustpython"
}

rust_lints() {
    cargo clippy --locked --workspace --all-targets -- -D warnings
}

# With the profile and the folder of its build, clippy compiles no macros or build scripts again.
rustpython_lints() {
    cargo clippy --locked --release --ignore-rust-version --manifest-path "$rustpython" \
        --target-dir target/rustpython --all-targets -- -D warnings
}

# rust_tests [unit]: all tests, or those of modules and the rules of the repository. nextest ends a test
# that hangs, which `cargo test` does not.
rust_tests() {
    local all=(--locked --workspace) unit=(--lib --bins --test integration)
    if cargo nextest --version >/dev/null 2>&1; then
        if [[ ${1-} == unit ]]; then
            cargo nextest run "${all[@]}" "${unit[@]}" \
                --filterset 'not binary(integration) or test(/^(tidy|conformance)::/)'
        else
            cargo nextest run "${all[@]}"
        fi
    elif [[ ${1-} == unit ]]; then
        cargo test "${all[@]}" --lib --bins && cargo test "${all[@]}" --test integration -- tidy:: conformance::
    else
        cargo test "${all[@]}" --tests
    fi
}

# The settings of the Python tools are in python/pyproject.toml, with paths from there.
python_files=(. ../tests/python ../examples ../benches ../scripts)

in_python() {
    (cd python && "$@")
}

python_format() {
    in_python "$bin/ruff" format --check --config pyproject.toml "${python_files[@]}"
}

python_lints() {
    in_python "$bin/ruff" check --config pyproject.toml "${python_files[@]}"
}

types() {
    in_python "$bin/mypy" --strict -p remotemedia -p remotemedia_runtime &&
        in_python "$bin/mypy" --strict ../examples ../scripts ../tests/python
}

stubs() {
    local allowlist=()
    [[ -f python/stubtest-allowlist.txt ]] && allowlist=(--allowlist python/stubtest-allowlist.txt --ignore-unused-allowlist)
    "$bin/python" -P -m mypy.stubtest --mypy-config-file python/pyproject.toml "${allowlist[@]}" \
        remotemedia remotemedia_runtime
}

# python_tests REPORT ARGUMENT...: pytest with what every call has in common.
python_tests() {
    local report=$1
    shift
    "$bin/pytest" -c python/pyproject.toml --rootdir . --junit-xml "$reports/$report.xml" "$@"
}

# Without the wheel in its environment nothing in Python can be checked.
python_checks() {
    step 'Python format' python_format || true
    step 'Python lints' python_lints || true
    step 'Python types' types || true
    step 'stubtest' stubs || true
}
