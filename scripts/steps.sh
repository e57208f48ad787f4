# Sourced by check.sh, test.sh and stress.sh: functions that run steps in the foreground or the
# background and summarize them, and steps that several of these scripts use. A step that fails does
# not stop the others.
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
remarks=()
failed=0
declare -A background=()

# step NAME COMMAND...: runs COMMAND and records its result and its time.
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

# begin NAME COMMAND...: starts a step in the background; `finish` shows its output. It computes only
# where nothing in the foreground wants to, so tests meet the machine as if it were not there.
begin() {
    local name=$1 log=$logs/${1// /-}
    shift
    printf '\n== %s: in the background, output in %s\n' "$name" "${log#"$PWD/"}.log"
    # Job control gives the step its own process group, which `end_background` can end as a whole.
    set -m
    {
        start=$SECONDS verdict=ok
        chrt --idle --pid 0 "$BASHPID" 2>/dev/null || renice 19 "$BASHPID" >/dev/null || true
        "$@" || verdict=FAILED
        printf '%s %d\n' "$verdict" $((SECONDS - start)) >"$log.verdict"
    } </dev/null >"$log.log" 2>&1 &
    background[$name]=$!
    set +m
}

# finish NAME: waits for a background step; shows its last lines, or its whole output if it failed.
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

# Prints the slowest tests and the summary; ends the script with an error if a step failed.
conclude() {
    local files=("$reports"/*.xml)
    [[ target/nextest/default/junit.xml -nt $logs/.begin ]] &&
        files+=(target/nextest/default/junit.xml)
    if [[ -e ${files[0]} ]]; then
        printf '\n== slowest tests\n'
        "$PYTHON" scripts/slowest.py "${files[@]}"
    fi
    printf '\n== summary\n'
    printf '%s\n' "${summary[@]}" "${remarks[@]}"
    ((failed == 0)) || fail "$failed of ${#summary[@]} steps failed"
}

# The RustPython worker is in a cargo workspace of its own.
rustpython=worker-shim/rustpython/Cargo.toml

rust_format() {
    cargo fmt --all --check && cargo fmt --check --manifest-path "$rustpython"
}

rust_lints() {
    cargo clippy --locked --workspace --all-targets -- -D warnings
}

# With the profile and the target folder of the build, clippy does not compile macros and build
# scripts again.
rustpython_lints() {
    cargo clippy --locked --ignore-rust-version --manifest-path "$rustpython" \
        --target-dir target/rustpython --all-targets -- -D warnings
}

# `--lib` would make a program of the extension module, which has no interpreter to link with. Without
# benches every dependency has the features that it has in the wheel, so that what is compiled here is
# not compiled again for that.
rust_packages=(--locked --workspace --exclude benches)

rust_builds() {
    cargo test "${rust_packages[@]}" --tests --no-run
}

# rust_tests [unit]: all Rust tests, or only those inside modules and those of the repository's
# rules. nextest ends a test that hangs; `cargo test` does not.
rust_tests() {
    local unit=(--exclude remotemedia-python --lib --bins)
    if cargo nextest --version >/dev/null 2>&1; then
        if [[ ${1-} == unit ]]; then
            cargo nextest run "${rust_packages[@]}" "${unit[@]}" --test integration \
                --filterset 'not binary(integration) or test(/^(tidy|conformance)::/)'
        else
            cargo nextest run "${rust_packages[@]}"
        fi
    elif [[ ${1-} == unit ]]; then
        cargo test "${rust_packages[@]}" "${unit[@]}" &&
            cargo test "${rust_packages[@]}" --test integration -- tidy:: conformance::
    else
        cargo test "${rust_packages[@]}" --tests
    fi
}

# The settings of the Python tools are in python/pyproject.toml, so paths are relative to python/.
python_files=(. ../orchestrator ../tests/python ../examples ../benches ../scripts)

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
        in_python "$bin/mypy" --strict ../orchestrator/src/worker/reaper.py ../examples ../scripts ../tests/python
}

stubs() {
    local allowlist=()
    [[ -f python/stubtest-allowlist.txt ]] && allowlist=(--allowlist python/stubtest-allowlist.txt --ignore-unused-allowlist)
    "$bin/python" -P -m mypy.stubtest --mypy-config-file python/pyproject.toml "${allowlist[@]}" \
        remotemedia remotemedia_runtime
}

# python_tests REPORT ARGUMENT...: runs pytest with the options that all calls share.
python_tests() {
    local report=$1
    shift
    # pytest's rewriting of assertions takes 15 s of each of its processes, if it may not be kept.
    env --unset PYTHONDONTWRITEBYTECODE "$bin/pytest" -c python/pyproject.toml --rootdir . --junit-xml "$reports/$report.xml" "$@"
}

kept=.pytest_cache/v/cache/lastfailed

# The tests that failed and have not passed since.
unsteady() {
    [[ ! -e $kept ]] || "$PYTHON" -c 'import json, sys; [print(name) for name in json.load(open(sys.argv[1]))]' "$kept"
}

# python_tests_side_by_side REPORT MARKS: they mostly wait for processes, so more of them run at once
# than there are processors. A few that fail among others are left to `python_tests_again`.
python_tests_side_by_side() {
    local code=0
    python_tests "$1" -m "$2" --numprocesses 4 --dist worksteal tests/python || code=$?
    ((code == 0)) || { ((code == 1)) && (($(unsteady | wc --lines) <= 8)); }
}

# Tries what failed among others once more by itself; the summary names what passes then.
python_tests_again() {
    local names
    mapfile -t names < <(unsteady)
    ((${#names[@]} > 0 && ${#names[@]} <= 8)) || return 0
    python_tests again --last-failed tests/python || return 1
    remarks+=("${names[@]/#/failed among others, passed alone: }")
}

# Checks of Python code; all of them need the installed wheel.
python_checks() {
    step 'Python format' python_format || true
    step 'Python lints' python_lints || true
    step 'Python types' types || true
    step 'stubtest' stubs || true
}
