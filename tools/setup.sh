#!/usr/bin/env bash
# Makes .venv exactly as requirements.lock says and installs this project into it, editable. With a
# name, the environment .venv-NAME from requirements-NAME.lock.
#
# The stamp .installed in it is removed first and written last: an interrupted install is done
# again. An environment whose interpreter no longer runs is made anew.
#
#   tools/setup.sh              picks a Python 3.11, 3.12 or 3.13 from PATH
#   PYTHON=/path tools/setup.sh takes that one
#   tools/setup.sh pipeline     makes .venv-pipeline
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

venv=.venv${1:+-$1}
lock=requirements${1:+-$1}.lock
stamp=$venv/.installed

is_supported() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; }

choose_python() {
  local candidate
  for candidate in ${PYTHON:-python3.11 python3.12 python3.13 python3}; do
    if is_supported "$candidate"; then echo "$candidate" && return; fi
  done
  echo "setup: ${PYTHON:-none of python3.11, python3.12, python3.13, python3} is not a Python" \
    "3.11, 3.12 or 3.13. Install one, or name it: make setup PYTHON=/path/to/python3.11" >&2
  return 1
}

rm -f "$stamp"
if ! is_supported "$venv/bin/python" || ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
  python=$(choose_python)
  echo "setup: making $venv with $("$python" --version)"
  "$python" -m venv --clear "$venv"
fi

pip=("$venv/bin/python" -m pip --disable-pip-version-check --quiet --quiet)
echo "setup: installing $(grep -c == "$lock") locked packages (a minute or two)"
"${pip[@]}" install --no-compile --requirement "$lock"
"${pip[@]}" install --no-compile --no-deps --editable .
"${pip[@]}" check
# pip would write byte code on one core; compileall uses all. Files of other Python versions that
# some packages carry do not compile and are never imported: they must not stop the install.
"$venv/bin/python" -m compileall -q -j 0 "$venv/lib" >/dev/null 2>&1 || true
touch "$stamp"
echo "setup: $venv is ready"
