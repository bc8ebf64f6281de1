import json
import subprocess
import sys

import numpy as np
import pytest
from annotated import coco_content, coco_folder, write, write_image

from rtmpose.cli import main
from rtmpose.datasets import FORMATS, read
from rtmpose.skeletons import get_skeleton
from rtmpose.sources import read_image


def test_check_of_a_sound_set(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    coco_folder(tmp_path, 4)
    assert main(["data", "check", str(tmp_path), "--json", str(tmp_path / "report.txt")]) == 0
    out = capsys.readouterr().out
    assert (
        "4 images, 4 annotations, 4 instances with keypoints (coco17; 4 to 4 labels per point)"
        in out
    )
    assert "0 kinds of errors, 0 of notes" in out
    report = json.loads((tmp_path / "report.txt").read_text())
    assert report["issues"] == []
    assert report["points"]["nose"] == 4


def test_check_of_a_set_with_errors(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    path = coco_folder(tmp_path, 4)
    content = json.loads(path.read_text())
    content["annotations"][0]["bbox"] = [5, 4, 0, 36]
    content["annotations"][1]["num_keypoints"] = 3
    content["annotations"][2]["keypoints"][0] = float("nan")
    (tmp_path / "images" / "4.png").write_bytes(b"")
    write(path, content)
    sheet, report = tmp_path / "out" / "sheet.png", tmp_path / "out" / "report.json"
    assert main(["data", "check", str(path), "--sheet", str(sheet), "--json", str(report)]) == 1
    out = capsys.readouterr().out
    assert "boxes without width or height" in out
    assert "3 kinds of errors, 1 of notes" in out
    kinds = {f["kind"]: f["count"] for f in json.loads(report.read_text())["issues"]}
    assert kinds == {
        "box-without-area": 1,
        "keypoints-not-numbers": 1,
        "unreadable-image": 1,
        "wrong-num-keypoints": 1,
    }
    assert read_image(sheet).shape[0] == 258


def test_check_with_notes_only_succeeds(tmp_path, capsys):
    path = coco_folder(tmp_path)
    content = json.loads(path.read_text())
    content["annotations"][0]["num_keypoints"] = 3
    assert main(["data", "check", str(write(path, content))]) == 0
    assert "note" in capsys.readouterr().out


def test_check_against_another_split(tmp_path, capsys):
    coco_folder(tmp_path / "a")
    coco_folder(tmp_path / "b")
    assert main(["data", "check", str(tmp_path / "a"), "--against", str(tmp_path / "b")]) == 1
    assert "other split" in capsys.readouterr().out
    assert (
        main(
            [
                "data",
                "check",
                str(tmp_path / "a"),
                "--against",
                str(tmp_path / "b"),
                "--no-check-images",
            ]
        )
        == 0
    )


def test_check_of_nothing(tmp_path, capsys):
    assert main(["data", "check", str(tmp_path / "none.json")]) == 1
    assert "does not exist" in capsys.readouterr().err


def test_convert(tmp_path, capsys):
    joints = [[10.0 + i, 12.0 + i] for i in range(16)]
    entry = {
        "image": "1.png",
        "center": [30.0, 25.0],
        "scale": 0.2,
        "joints": joints,
        "joints_vis": [1] * 16,
    }
    source = write(tmp_path / "mpii" / "train.json", [entry])
    write_image(tmp_path / "photos" / "1.png")
    out = tmp_path / "made" / "train.json"
    assert (
        main(
            [
                "data",
                "convert",
                str(source),
                "--images",
                str(tmp_path / "photos"),
                "--to",
                "halpe26",
                "--out",
                str(out),
            ]
        )
        == 0
    )
    assert "1 images, 1 instances with keypoints, halpe26" in capsys.readouterr().out
    content = json.loads(out.read_text())
    assert content["images"][0] == {
        "id": 1,
        "file_name": "../photos/1.png",
        "width": 64,
        "height": 48,
    }
    dataset = read(out)
    assert dataset.skeleton is get_skeleton("halpe26")
    np.testing.assert_allclose(dataset.keypoints(1)[0, 16], [9, 11, 2])
    assert main(["data", "check", str(out)]) == 0


def test_convert_with_own_points(tmp_path, capsys):
    coco_folder(tmp_path)
    toml = write(
        tmp_path / "arms.toml", 'name = "arms"\nkeypoints = ["left_wrist", "right_wrist"]\n'
    )
    out = tmp_path / "arms.json"
    source = str(tmp_path / "annotations.json")
    assert main(["data", "convert", source, "--to", str(toml), "--out", str(out)]) == 0
    assert read(out, skeleton=toml).keypoints(1).shape == (1, 2, 3)
    assert main(["data", "convert", source, "--to", "lapa106", "--out", str(out)]) == 1
    assert "no conversion from coco17 to lapa106" in capsys.readouterr().err


def test_convert_of_a_mixture(tmp_path, capsys):
    coco_folder(tmp_path / "a", 2)
    coco_folder(tmp_path / "b", 3, seed=50)
    text = "target = 'halpe26'\n[[data]]\npath = 'a'\n[[data]]\npath = 'b'\n"
    mix = write(tmp_path / "mix.toml", text)
    assert main(["data", "convert", str(mix), "--out", str(tmp_path / "all.json")]) == 0
    assert "5 images, 5 instances with keypoints, halpe26" in capsys.readouterr().out
    assert all(p.is_file() for p in read(tmp_path / "all.json").images.values())


def test_show(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    coco_folder(tmp_path / "set", 4)
    assert main(["data", "show", "set"]) == 0
    assert read_image(tmp_path / "sheet.jpg").shape == (258, 960, 3)
    assert main(["data", "show", "set", "--to", "halpe26", "--save", "out", "--count", "2"]) == 0
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["1_1.jpg", "2_2.jpg"]
    (tmp_path / "set" / "images" / "1.png").unlink()
    assert main(["data", "show", "set", "--save", "out2"]) == 1
    assert "skipped" in capsys.readouterr().err


def test_lists_of_formats_and_sets(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["data", "formats"]) == 0
    out = capsys.readouterr().out
    for name in (*FORMATS, "wflw98", "body8-halpe26"):
        assert name in out


@pytest.mark.parametrize("command", ["check", "convert", "show"])
def test_help_teaches(command, capsys):
    assert main(["data", command, "--help"]) == 0
    assert "Example" in capsys.readouterr().out


def test_data_does_not_need_torch(tmp_path):
    write(tmp_path / "a.json", coco_content(1))
    code = (
        "import sys\n"
        "from rtmpose.cli import main\n"
        f"main(['data', 'check', {str(tmp_path / 'a.json')!r}, '--no-check-images'])\n"
        "assert 'torch' not in sys.modules\n"
        "import rtmpose.datasets.contact_sheet, rtmpose.datasets.mixtures\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_one_set_of_words(tmp_path, monkeypatch):
    """-o and --output, and the names that they had before."""
    monkeypatch.chdir(tmp_path)
    coco_folder(tmp_path / "set", 2)
    for number, option in enumerate(("-o", "--output", "--out")):
        assert (
            main(
                ["data", "convert", "set", "--annotation-format", "coco", option, f"{number}.json"]
            )
            == 0
        )
        assert len(read(tmp_path / f"{number}.json").images) == 2
    for option in ("-o", "--output", "--save"):
        assert main(["data", "show", "set", option, f"drawn{option}"]) == 0
        assert len(list((tmp_path / f"drawn{option}").iterdir())) == 2


def test_convert_does_not_replace_its_source(tmp_path, capsys):
    path = coco_folder(tmp_path)
    before = path.read_text()
    assert main(["data", "convert", str(path), "--to", "halpe26", "-o", str(path)]) == 1
    assert "would replace the source" in capsys.readouterr().err
    assert path.read_text() == before


def test_a_mixture_takes_no_options_of_single_sets(tmp_path, capsys):
    mix = write(tmp_path / "mix.toml", "target = 'coco17'\n[[data]]\npath = 'a'\n")
    out = str(tmp_path / "all.json")
    assert main(["data", "convert", str(mix), "--images", str(tmp_path), "-o", out]) == 1
    assert "of a mixture are written in" in capsys.readouterr().err


def test_show_in_own_points(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    coco_folder(tmp_path)
    text = 'name = "arms"\nkeypoints = ["left_wrist", "right_wrist"]\n'
    write(tmp_path / "arms.toml", text)
    assert main(["data", "show", "annotations.json", "--to", "arms.toml", "--sheet", "s.png"]) == 0
    assert read_image(tmp_path / "s.png").shape == (258, 720, 3)
