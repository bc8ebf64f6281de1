#!/usr/bin/env bash
# One would guess: a C3D file with 70,000 frames is read back with 70,000 frames, or not written.
# What happens: it is written without a word, and read back with 65,535: the rest is gone. A point
# that is NaN (not seen) is stored with residual 0, which means measured, not -1.
# Why it hurts: five minutes at 240 Hz are 72,000 frames. The end of the trial is lost, and
# missing joints count as measured in programs that look at residuals.
# What helps: files of at most 65,535 frames, and residuals of -1 set by oneself. rtmpose 0.1.0
# writes no C3D, so it is not affected.
# Seen: written 70000, read 65535; residual of a NaN point 0
#
# Ends with a status other than 0 where the behavior has changed.
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "ezc3d==1.7.2" "numpy==2.4.6"
cd "$folder"
venv/bin/python - <<'PYTHON'
import sys
import importlib.metadata
import ezc3d
import numpy as np

print("ezc3d", importlib.metadata.version("ezc3d"))


def written_and_read(points):
    file = ezc3d.c3d()
    file["parameters"]["POINT"]["RATE"]["value"] = [240.0]
    file["parameters"]["POINT"]["LABELS"]["value"] = ["ankle"]
    file["data"]["points"] = points
    file.write("trial.c3d")
    return ezc3d.c3d("trial.c3d")["data"]


points = np.ones((4, 1, 70000))
frames = written_and_read(points)["points"].shape[2]
points = np.ones((4, 1, 3))
points[:3, 0, 1] = np.nan
residual = float(written_and_read(points)["meta_points"]["residuals"][0, 0, 1])
print("frames written: 70000, read:", frames)
print("residual of a point that is NaN:", residual)
surprise = frames == 65535 and residual == 0
print("as described" if surprise else "changed")
sys.exit(0 if surprise else 1)
PYTHON
