#!/usr/bin/env bash
# One would guess: `import openvino` loads an engine and nothing else.
# What happens: its Python package starts openvino_telemetry, which comes with it. The import alone
# forks a process.
# Why it hurts: a server, a test or a job scheduler sees a child it did not start; a signal that
# arrives while models load ends in the child's traceback.
# What helps: with openvino_telemetry out of reach the import forks nothing, and inference works.
# rtmpose 0.1.0 hides it while OpenVINO is imported (rtmpose/backends/openvino_import.py).
# Seen: forks during the import 1 or more; with the package hidden 0
#
# Ends with a status other than 0 where the behavior has changed.
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  "openvino==2026.4.1" "openvino-telemetry==2025.2.0" "numpy==2.4.6"
cd "$folder"
export HOME="$folder"
cat > forks.py <<'PYTHON'
import sys
import time

started = []
sys.addaudithook(lambda name, _: started.append(name) if name == "os.fork" else None)
if sys.argv[1] == "hidden":
    sys.modules["openvino_telemetry"] = None
import openvino

time.sleep(1)
print(len(started))
PYTHON
as_installed="$(venv/bin/python forks.py plain | tail -1)"
hidden="$(venv/bin/python forks.py hidden | tail -1)"
echo "forks during import openvino: $as_installed; with openvino_telemetry hidden: $hidden"
[ "$as_installed" -ge 1 ] && [ "$hidden" -eq 0 ] && echo "as described" || { echo changed; exit 1; }
