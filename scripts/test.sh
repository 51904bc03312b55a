#!/bin/sh
# Sets up .venv where that is missing, then runs the tests; arguments go to pytest.
#
# TEST_WORKERS  processes that share the tests (default: one a core, at most 8)
set -eu
sh "$(dirname "$0")/setup.sh"
cd "$(dirname "$0")/.."
# One thread a process: two that use two threads each on two cores take twice the time, and other thread counts give
# other last bits.
export OMP_NUM_THREADS=1 MKL_NUM_THREADS=1
# Set in many container images; with it every worker compiles torch anew, ten seconds each.
unset PYTHONDONTWRITEBYTECODE
exec .venv/bin/python -m pytest -n "${TEST_WORKERS:-auto}" --maxprocesses 8 "$@"
