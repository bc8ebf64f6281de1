"""The command line as a user meets it: outputs, exit status, messages."""

import json
import os
import subprocess
import sys
import tracemalloc

import cv2
import numpy as np
import pytest
from networks import fixed_detector, spot_pose

from rtmpose.backends import open_backend
from rtmpose.cli import main

EVERYBODY = ["--person-thr", "0"]
"""The network finds alike people in all boxes: otherwise they are shown once."""
BACKEND = ["--backend", "onnxruntime", "--device", "cpu", "--threads", "1"]


@pytest.fixture
def models(tmp_path):
    (tmp_path / "models").mkdir()
    pose = spot_pose(tmp_path / "models" / "spot.onnx", named=True)
    detector = fixed_detector(
        tmp_path / "models" / "yolox_t.onnx", [[8, 4, 40, 44, 0.9], [0, 0, 30, 40, 0.5]]
    )
    return ["--pose", str(pose), "--detector", str(detector), *BACKEND]


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for i in (1, 2, 3):
        cv2.imwrite(str(folder / f"{i}.jpg"), np.full((60, 80, 3), 40 * i, np.uint8))
    return folder


def video(path, frames=12):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (80, 60))
    for i in range(frames):
        writer.write(np.full((60, 80, 3), i, np.uint8))
    writer.release()
    return path


def test_predict_writes_everything(tmp_path, models, images, capsys):
    out = tmp_path / "out"
    video(images / "v.avi")
    outputs = ["-o", str(out), "--json", str(out / "p.json"), "--csv", str(out / "p.csv")]
    assert main(["predict", str(images), *models, *EVERYBODY, *outputs]) == 0
    assert {p.name for p in out.iterdir()} == {
        "1.jpg",
        "2.jpg",
        "3.jpg",
        "v.mp4",
        "p.json",
        "p.csv",
        "p.info.json",
    }
    entries = json.loads((out / "p.json").read_text())
    assert len(entries) == 2 * (3 + 12)
    assert {"image", "image_id", "category_id", "bbox", "score", "keypoints"} <= set(entries[0])
    text = capsys.readouterr().out
    assert "15 frames, 30 people" in text
    assert str(out / "p.json") in text


def test_predict_tells_the_engines_of_single_images(images, models, monkeypatch):
    """So that few of them are not opened for as if they were many."""
    asked = []

    def opening(path, card, options):
        asked.append(options.num_images)
        return open_backend(path, card, options)

    monkeypatch.setattr("rtmpose.pose_estimator.open_backend", opening)
    monkeypatch.setattr("rtmpose.detector.open_backend", opening)
    assert main(["predict", str(images / "1.jpg"), *models]) == 0
    assert main(["predict", str(images), *models, "--det-label", "0"]) == 0
    video(images / "v.avi")
    assert main(["predict", str(images), *models]) == 0
    assert asked == [1, 1, 3, 3, 0, 0]


def test_bad_file_among_good_ones(tmp_path, models, images, capsys):
    (images / "2.jpg").write_bytes(b"no image")
    arguments = ["predict", str(images), *models, *EVERYBODY, "--json", str(tmp_path / "p.json")]
    assert main(arguments) == 1
    assert {e["image_id"] for e in json.loads((tmp_path / "p.json").read_text())} == {1, 3}
    assert "2.jpg is not an image" in capsys.readouterr().err
    # The failed one is tried again, the others are not.
    cv2.imwrite(str(images / "2.jpg"), np.zeros((60, 80, 3), np.uint8))
    assert main([*arguments, "--resume"]) == 0
    assert {e["image_id"] for e in json.loads((tmp_path / "p.json").read_text())} == {1, 2, 3}
    assert "1 frame," in capsys.readouterr().out
    assert not (tmp_path / "p.json.part").exists()


def test_boxes_file(tmp_path, models, images):
    boxes = tmp_path / "boxes.json"
    boxes.write_text(json.dumps([{"image_id": 2, "bbox": [5, 6, 20, 30], "score": 0.7}]))
    assert (
        main(
            [
                "predict",
                str(images),
                *models,
                "--boxes",
                str(boxes),
                "--json",
                str(tmp_path / "p.json"),
            ]
        )
        == 0
    )
    (entry,) = json.loads((tmp_path / "p.json").read_text())
    assert entry["image_id"] == 2
    assert entry["bbox"] == [5, 6, 20, 30]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("nonsense", "not valid JSON"),
        ('[{"bbox": [1, 2]}]', "bbox must be 4 numbers"),
        ('[{"image_id": 1, "bbox": [1, 2, NaN, 4]}]', "bbox must be a number"),
        ('[{"image_id": 1, "bbox": [1, 2, -3, 4]}]', "no positive width"),
        ('[{"image_id": 1, "bbox": [1, 2, 0, 4]}]', "no positive width"),
    ],
)
def test_bad_boxes_file(tmp_path, models, images, capsys, content, words):
    (tmp_path / "boxes.json").write_text(content)
    assert main(["predict", str(images), *models, "--boxes", str(tmp_path / "boxes.json")]) == 1
    assert words in capsys.readouterr().err


def test_whole_image_and_limits(tmp_path, models, images, capsys):
    v = video(tmp_path / "v.avi")
    arguments = ["predict", str(v), *models, "--limit", "5", "--json", str(tmp_path / "p.json")]
    assert main([*arguments, "--detector", "none"]) == 0
    entries = json.loads((tmp_path / "p.json").read_text())
    assert [e["frame"] for e in entries] == [0, 1, 2, 3, 4]
    assert entries[0]["bbox"] == [0, 0, 80, 60]
    assert main([*arguments, *EVERYBODY, "--max-people", "1"]) == 0
    assert len(json.loads((tmp_path / "p.json").read_text())) == 5
    assert main([*arguments, "--box-thr", "0.95"]) == 0
    assert json.loads((tmp_path / "p.json").read_text()) == []


def test_errors_are_one_paragraph(tmp_path, models, images, capsys):
    cases = {
        ("predict", "no.jpg"): "does not exist",
        ("predict", str(images), "--pose", "rtmpose-z"): "rtmpose",
        ("predict", str(images), "--pose", str(tmp_path / "no.onnx")): "no.onnx",
        ("predict", str(images), *models, "--device", "cuda"): "cuda",
        ("eval", str(tmp_path / "nothing"), *models): "does not exist",
        ("eval", str(images), *models): "annotation file",
    }
    for arguments, words in cases.items():
        assert main(list(arguments)) == 1, arguments
        error = capsys.readouterr().err
        assert words in error
        assert "Traceback" not in error
        assert error.count("\n") <= 6


def test_debug_shows_the_traceback():
    from rtmpose.errors import InputError

    with pytest.raises(InputError):
        main(["predict", "no.jpg", "--debug"])


def test_wrong_usage(capsys):
    assert main(["predict"]) == 2
    assert main(["predict", "x", "--nonsense"]) == 2
    assert main(["predict", "x", "--save", "out"]) == 2  # it is --output in every command
    assert main(["--version"]) == 0
    assert "rtmpose 0" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["predict", "track", "eval", "bench", "doctor", "models"])
def test_help(command, capsys):
    assert main([command, "--help"]) == 0
    assert "Usage" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["predict", "track"])
def test_help_of_the_jobs_has_all_formats_and_teaches(command, capsys, monkeypatch):
    from rtmpose.writers import FORMATS

    monkeypatch.setenv("COLUMNS", "200")
    assert main([command, "--help"]) == 0
    text = capsys.readouterr().out
    shared = ["--output", "--box-thr", "--max-people", "--start", "--end", "--limit", "--resume"]
    for option in [*shared, "--no-draw-skeleton", *(f"--{row.name}" for row in FORMATS)]:
        assert f"{option} " in text, option
    for words in ("Examples:", "one file for all", "Models", "Output", "Drawing", "Speed"):
        assert words in text
    assert ("Published tracker parameters" in text) == (command == "track")


def test_help_loads_no_engine():
    code = (
        "import sys; from rtmpose.cli import main; main(['track', '--help']); bad = {'torch',"
        " 'onnxruntime', 'openvino', 'cv2', 'av', 'pyarrow'} & set(sys.modules);"
        " assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, stdout=subprocess.DEVNULL)


def test_interruption(tmp_path, models, images, capsys, monkeypatch):
    from rtmpose.pose_estimator import PoseEstimator

    calls = []
    original = PoseEstimator.estimate_batch

    def call(self, *args, **kwargs):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(self, *args, **kwargs)

    monkeypatch.setattr(PoseEstimator, "estimate_batch", call)
    out = tmp_path / "out"
    files = ["--output", str(out), "--json", str(tmp_path / "p.json")]
    arguments = ["predict", str(images), *models, *files]
    assert main(arguments) == 130
    assert "interrupted" in capsys.readouterr().err
    assert {e["image_id"] for e in json.loads((tmp_path / "p.json").read_text())} == {1, 2}
    assert main([*arguments, "--resume"]) == 0
    assert {e["image_id"] for e in json.loads((tmp_path / "p.json").read_text())} == {1, 2, 3}


def test_unwritable_output(tmp_path, models, images, capsys):
    (tmp_path / "file").write_text("")
    assert main(["predict", str(images), *models, "--json", str(tmp_path / "file" / "p.json")]) == 1
    assert "cannot be written" in capsys.readouterr().err
    assert main(["predict", str(images), *models, "--output", str(tmp_path / "file")]) == 1
    assert "cannot be made" in capsys.readouterr().err


def test_eval(tmp_path, models, images, capsys):
    keypoints = [v for _ in range(17) for v in (40.0, 30.0, 2)]
    content = {
        "images": [
            {"id": i, "file_name": f"{i}.jpg", "width": 80, "height": 60} for i in (1, 2, 3)
        ],
        "annotations": [
            {
                "id": i,
                "image_id": i,
                "category_id": 1,
                "bbox": [10, 10, 50, 40],
                "area": 2000,
                "iscrowd": 0,
                "num_keypoints": 17,
                "keypoints": keypoints,
            }
            for i in (1, 2, 3)
        ],
        "categories": [{"id": 1, "name": "person"}],
    }
    (images / "annotations.json").write_text(json.dumps(content))
    (images / "3.jpg").write_bytes(b"broken")
    out = tmp_path / "e.json"
    for extra in ([], ["--flip-test"], ["--boxes", "detect"]):
        assert (
            main(["eval", str(images), *models, "--json", str(out), *extra]) == 1
        )  # one image is skipped
        result = json.loads(out.read_text())
        assert set(result["metrics"]) >= {"AP", "AR"}
        assert ("PCK@0.2" in result["metrics"]) == ("detect" not in extra)
        assert (result["images"], result["skipped"]) == (2, 1)
        assert result["settings"]["flip_test"] == ("--flip-test" in extra)
    assert "images" in capsys.readouterr().out


# ---- the package
# ------------------------------------------------------------------------------------------


def test_import_is_light():
    code = (
        "import sys, rtmpose; bad = {'torch', 'matplotlib', 'typer', 'onnxruntime', 'openvino',"
        " 'cv2', 'rich'} & set(sys.modules); assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    code = (
        "import sys, rtmpose; rtmpose.Pipeline; assert not {'torch', 'matplotlib', 'typer'} &"
        " set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_command_imports_no_other():
    code = (
        "import sys; from rtmpose.cli import main; main(['predict', '--help']);"
        " assert 'rtmpose.cli.predict' in sys.modules;"
        " others = {f'rtmpose.cli.{n}' for n in ('train', 'models', 'data', 'evaluate', 'track')};"
        " assert not others & set(sys.modules), others & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, capture_output=True)


def test_imports_point_one_way():
    """types <- geometry <- stages <- pipeline <- cli; nothing in the runtime imports the command
    line or torch.
    """
    import re
    from pathlib import Path

    import rtmpose

    root = Path(rtmpose.__file__).parent
    for path in root.rglob("*.py"):
        place = path.relative_to(root).parts[0]
        text = path.read_text()
        if (
            place not in ("networks", "exporting", "training", "pruning")
            and path.name != "torch.py"
        ):
            # A command may import it when it is run.
            indent = "" if place == "cli" else r"\s*"
            assert not re.search(rf"^{indent}(import|from) torch", text, re.M), path
        imported = set(re.findall(r"^\s*from rtmpose\.(\w+)", text, re.M))
        if place not in ("cli", "__main__.py"):
            assert "cli" not in imported, path
        if place in ("types.py", "errors.py"):
            # Drawing a result is a convenience, loaded when it is asked for.
            below = {"errors", "ranges", "array_checks", "pose_tables", "value_types"}
            assert imported <= {*below, "types", "draw"}, path
        if place in (
            "ops",
            "detector.py",
            "pose_estimator.py",
            "backends",
            "zoo",
            "skeletons",
            "draw.py",
            "ops",
            "sources",
        ):
            assert not imported & {"pipeline", "evaluation", "writers", "benchmark"}, path


@pytest.mark.slow
def test_memory_over_1000_frames(models):
    from rtmpose import BackendOptions, Detector, Pipeline, PoseEstimator

    options = BackendOptions("onnxruntime", "cpu", 1)
    pipeline = Pipeline(
        Detector(models[3], options=options), PoseEstimator(models[1], options=options)
    )
    image = np.zeros((720, 1280, 3), np.uint8)

    def resident():
        with open("/proc/self/statm") as file:  # noqa: PTH123
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    if not os.path.exists("/proc/self/statm"):  # noqa: PTH110
        pytest.skip("needs /proc")
    for _ in range(100):
        pipeline(image)
    before = resident()
    tracemalloc.start()
    for _ in range(1000):
        pipeline(image)
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert held < 200_000
    assert resident() - before < 20_000_000
