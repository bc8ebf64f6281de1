"""What OpenVINO does around our calls: no usage data, no lines of libraries, no mapped files."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from networks import spot_pose

import rtmpose

pytest.importorskip("openvino", reason="the engine is optional")

from rtmpose.backends import openvino_network
from rtmpose.errors import ModelError

# Children are counted where the process says it has started one.
USE = """
import subprocess, sys
started = []
class Watched(subprocess.Popen):
    def __init__(self, *arguments, **keywords):
        started.append(arguments)
        super().__init__(*arguments, **keywords)
subprocess.Popen = Watched
sys.addaudithook(lambda name, _: started.append(name) if name in ("os.fork", "os.exec") else None)

import numpy as np, rtmpose
options = rtmpose.BackendOptions("openvino", "cpu")
pose = rtmpose.PoseEstimator(sys.argv[1], options=options)
pose(np.full((60, 80, 3), 90, np.uint8), [[8, 4, 40, 44]])
import openvino.tools.ovc
print(started, "openvino_telemetry" in sys.modules)
"""


def test_no_child_and_nothing_in_the_home_of_the_user(tmp_path):
    """Where it is installed, its package for usage data is not loaded by us."""
    home = tmp_path / "home"
    home.mkdir()
    model = spot_pose(tmp_path / "spot.onnx", named=True)
    # With one of these it would send nothing anyway.
    environment = {
        k: v for k, v in os.environ.items() if k not in ("CI", "TF_BUILD", "JENKINS_URL")
    }
    environment |= {"HOME": str(home), "RTMPOSE_HOME": str(tmp_path / "cache")}
    ended = subprocess.run(
        [sys.executable, "-c", USE, str(model)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert ended.stdout == "[] False\n"
    assert list(home.iterdir()) == []


def test_it_is_loaded_in_one_place():
    """Else the one that forgets how would decide."""
    package = Path(rtmpose.__file__).parent
    places = [
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if re.search(r"^\s*import (openvino|nncf)\b", path.read_text(encoding="utf-8"), re.M)
    ]
    assert sorted(places) == ["backends/openvino_import.py", "exporting/quantize_openvino.py"]


def test_what_is_no_model_is_refused_in_a_line(tmp_path, capfd):
    """The engine would try its readers of all kinds, which print."""
    whole = spot_pose(tmp_path / "spot.onnx").read_bytes()
    for number, content in enumerate((b"hello", b"\x00" * 300, whole[:400], whole[:-3], b"")):
        path = tmp_path / f"{number}.onnx"
        path.write_bytes(content)
        with pytest.raises(ModelError, match=f"{number}.onnx could not be opened"):
            openvino_network.read_network(path)
    assert capfd.readouterr() == ("", "")


def test_files_are_not_mapped(tmp_path):
    """A file that is written anew during a run would end the process with a bus error."""
    import openvino

    assert openvino_network.core().get_property("ENABLE_MMAP") is False
    network = openvino_network.read_network(spot_pose(tmp_path / "spot.onnx"))
    openvino.save_model(network, tmp_path / "spot.xml", compress_to_fp16=False)
    kept = openvino_network.read_network(tmp_path / "spot.xml")
    maps = Path("/proc/self/maps")
    if not maps.exists():
        pytest.skip("this system does not tell")
    assert str(tmp_path) not in maps.read_text()
    assert len(kept.inputs) == 1
