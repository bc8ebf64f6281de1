"""The drawings and tables of docs/angles.md are those of the definitions."""

import subprocess
import sys
from pathlib import Path

from rtmpose.kinematics import ANGLES

ROOT = Path(__file__).parent.parent


def test_drawings_are_up_to_date():
    script = ROOT / "scripts" / "angle_drawings.py"
    run = subprocess.run([sys.executable, str(script), "--check"], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


def test_every_angle_is_in_the_page():
    text = (ROOT / "docs" / "angles.md").read_text(encoding="utf-8")
    for name in ANGLES:
        plain = name.replace("left_", "*_").replace("right_", "*_")
        assert f"`{name}`" in text or f"`{plain}`" in text, name
