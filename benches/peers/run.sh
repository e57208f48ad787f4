#!/usr/bin/env bash
# run.sh [OPTIONS OF table.py]: installs the peers and a release wheel into .venvs/peers, then prints
# the tables. PYTHON chooses the interpreter: 3.11 to 3.13, for which all peers have wheels.
source "$(dirname "$0")/../../scripts/common.sh"

PYTHON=$(find_python)
"$PYTHON" -c 'import sys; sys.exit(sys.version_info >= (3, 14))' ||
    fail "$PYTHON is too new for some of the peers: set PYTHON to one of 3.11 to 3.13"
export PYTHON

WHEEL_PROFILE=release scripts/install.sh peers benches/peers/requirements.txt
exec .venvs/peers/bin/python benches/peers/table.py "$@"
