#!/usr/bin/env bash
# demo.sh [AUDIO]: sets up an environment with the wheel and runs the main job on a recording.
scripts=$(cd "$(dirname "$0")" && pwd)
audio=()
# A relative path is relative to the user's working directory, which common.sh leaves.
(($#)) && audio=("$(realpath -- "$1")")
source "$scripts/common.sh"
scripts/install.sh demo
exec .venvs/demo/bin/python examples/main_job.py "${audio[@]}"
