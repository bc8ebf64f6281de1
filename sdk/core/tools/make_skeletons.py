"""Write src/skeletons.inc: the keypoint sets of the Python package as JSON, one line each."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from rtmpose.skeletons import get_skeleton, skeleton_names

OUT = Path(__file__).parents[1] / "src" / "skeletons.inc"
FIELDS = ("keypoints", "flip_indices", "sides", "links", "sigmas")


def skeletons_text() -> str:
    """The content of the file."""
    lines = ["// Made by tools/make_skeletons.py; do not edit."]
    for name in skeleton_names():
        skeleton = get_skeleton(name)
        table = {"name": name, **{field: getattr(skeleton, field) for field in FIELDS}}
        lines.append(f'R"json({json.dumps(table, separators=(",", ":"))})json",')
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    OUT.write_text(skeletons_text(), encoding="utf-8")
    sys.stdout.write(f"{OUT}\n")
