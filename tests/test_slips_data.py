"""Files that people give to `data`, `eval`, `train` and `track` in place of the right ones: a line
says what they are, and what to do.
"""

import json

import pytest
from annotated import coco_content, coco_folder, write, write_image
from clips import clip
from networks import spot_pose

from rtmpose.cli import main
from rtmpose.datasets import read

ROW = {"image_id": 1, "category_id": 1, "bbox": [1, 1, 9, 9], "keypoints": [1] * 51, "score": 0.9}


def files(tmp_path):
    """The wrong files, by what is told of them."""
    lines = "\n".join(json.dumps(ROW) for _ in range(2))
    return {
        "results of a model": write(tmp_path / "results.json", [ROW]),
        "one object on each line": write(tmp_path / "results.jsonl", lines),
        "an image: name its annotations": write_image(tmp_path / "photo.png"),
        "a video: name its annotations": clip(tmp_path / "v.avi", 2),
    }


@pytest.mark.parametrize(
    "command", [["data", "check"], ["data", "convert", "-o", "x.json"], ["eval"]]
)
def test_what_is_no_annotations(tmp_path, monkeypatch, capsys, command):
    monkeypatch.chdir(tmp_path)
    for words, path in files(tmp_path).items():
        assert main([*command, str(path)]) == 1
        error = capsys.readouterr().err
        assert words in error
        assert path.name in error
        assert "Traceback" not in error


def test_results_are_no_model(tmp_path, capsys):
    data = str(coco_folder(tmp_path / "set"))
    results = write(tmp_path / "results.json", [ROW])
    assert main(["eval", data, "--pose", str(results)]) == 1
    error = capsys.readouterr().err
    assert "results.json is no model" in error
    assert "--against" in error


@pytest.mark.parametrize(
    ("content", "words"),
    [(coco_content(1), "it is no list"), ([{"image_id": 1, "bbox": [1, 2, 3, 4]}], "no 'score'")],
)
def test_annotations_are_no_results(tmp_path, capsys, content, words):
    data = str(coco_folder(tmp_path / "set"))
    pose = str(spot_pose(tmp_path / "spot.onnx", named=True))
    other = str(write(tmp_path / "other.json", content))
    assert main(["eval", data, "--pose", pose, "--against", other]) == 1
    error = capsys.readouterr().err
    assert "does not hold COCO results" in error
    assert words in error


def test_points_without_v_are_named(tmp_path, capsys):
    content = coco_content(2)
    for row in content["annotations"]:
        row["keypoints"] = [v for i, v in enumerate(row["keypoints"]) if i % 3 < 2]
    path = write(tmp_path / "pairs.json", content)
    assert main(["data", "check", str(path), "--no-check-images"]) == 1
    assert "x, y without v?" in " ".join(capsys.readouterr().out.split())


def test_a_sheet_is_no_folder(tmp_path, capsys):
    data = str(coco_folder(tmp_path / "set"))
    assert main(["data", "show", data, "-o", str(tmp_path / "drawn.jpg")]) == 1
    assert "--sheet" in capsys.readouterr().err
    assert not (tmp_path / "drawn.jpg").exists()


def test_boxes_of_another_tool(tmp_path, capsys):
    boxes = write(tmp_path / "det.txt", "1,-1,8,4,40,40,0.9,-1,-1,-1\n")
    command = ["track", str(clip(tmp_path / "v.avi", 2)), "--boxes", str(boxes)]
    assert main([*command, "--csv", str(tmp_path / "out")]) == 1
    assert "det.txt should be JSON" in capsys.readouterr().err


def test_photos_are_no_clip_unless_told(tmp_path, job_options, caplog):
    for number in range(3):
        write_image(tmp_path / "photos" / f"{number}.png", seed=number)
    command = ["track", str(tmp_path / "photos"), *job_options, "--csv", str(tmp_path / "out")]
    assert main(command) == 0
    assert "3 images are 3 clips of one frame each" in caplog.text
    caplog.clear()
    assert main([*command, "--sequence"]) == 0
    assert "clips of one frame" not in caplog.text


def test_missing_boxes_are_no_missing_points(tmp_path, capsys):
    """Points alone, as scripts write them: reading puts boxes around them, and the check counts the
    instances that trainings take.
    """
    content = coco_content(2)
    for row in content["annotations"]:
        del row["bbox"]
    path = write(tmp_path / "points.json", content)
    sheet = ["--sheet", str(tmp_path / "sheet.jpg")]
    for number in (1, 2):
        write_image(tmp_path / "images" / f"{number}.png", seed=number)
    assert main(["data", "check", str(path), *sheet]) == 1
    told = capsys.readouterr().out
    assert "2 instances with keypoints" in told
    assert "is this the right file" not in told
    assert len(read(path).labeled(1)) == 1
