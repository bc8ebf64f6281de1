#!/usr/bin/env bash
# One would guess: importing an inference engine leaves no trace; telemetry, if any, can be turned
# off with disable_telemetry_events().
# What happens (Linux): the import alone writes a device id and a database under the user's cache
# folder. disable_telemetry_events() can only be called after that, and removes nothing.
# Why it hurts: pose is run on clinical video, in read-only homes and in audited containers, where
# a persistent identifier must be known about.
# What helps: ORT_DISABLE_TELEMETRY=1 in the environment before the import. rtmpose 0.1.0 sets it
# (rtmpose/__init__.py).
# Seen: plain: deviceid, onnxruntime.db; with the call: the same; with the variable: nothing
#
# Ends with a status other than 0 where the behavior has changed.
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "onnxruntime==1.32.0"
cd "$folder"
venv/bin/python - <<'PYTHON'
import importlib.metadata
import os
import subprocess
import sys
import tempfile
from pathlib import Path

print("onnxruntime", importlib.metadata.version("onnxruntime"))


def files_after(code, **settings):
    """The names of the files in a new home folder after a run of the code."""
    kept = ("ORT_", "XDG_", "HOME")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(kept)}
    with tempfile.TemporaryDirectory() as home:
        environment.update(HOME=home, **settings)
        subprocess.run([sys.executable, "-c", code], env=environment, check=True)
        return sorted(p.name for p in Path(home).rglob("*") if p.is_file())


plain = files_after("import onnxruntime")
called = files_after("import onnxruntime as o; o.disable_telemetry_events()")
variable = files_after("import onnxruntime", ORT_DISABLE_TELEMETRY="1")
print("import alone:               ", plain)
print("disable_telemetry_events(): ", called)
print("ORT_DISABLE_TELEMETRY=1:    ", variable)
surprise = "deviceid" in plain and "deviceid" in called and not variable
print("as described" if surprise else "changed")
sys.exit(0 if surprise else 1)
PYTHON
