#!/usr/bin/env bash
# pytest-xdist 3.8.0: a session with a failing test can end with exit code 0.
#
# A worker cannot send a text that UTF-8 cannot encode. Where the message of a failure has a lone surrogate, as the name of a file
# that is not UTF-8 has one, the worker ends with an INTERNALERROR, its test is lost, and the session says "1 passed".
# Guess before the run: the failing test fails the session, with -n 2 as without.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet pytest==9.0.2 pytest-xdist==3.8.0
cat > test_two.py <<'PY'
def test_fails():
    raise ValueError("cannot read photo\udce9.png")


def test_passes():
    pass
PY
alone=0
env/bin/python -m pytest -q test_two.py > alone.txt 2>&1 || alone=$?
both=0
env/bin/python -m pytest -q -n 2 test_two.py > both.txt 2>&1 || both=$?
echo "one process: exit $alone, $(tail -1 alone.txt)"
echo "-n 2:        exit $both, $(tail -1 both.txt)"
[ "$alone" = 1 ] && [ "$both" = 0 ] && grep -q INTERNALERROR both.txt
