"""File names in annotations that no file can have: they lead to no image, and end nothing."""

import json

import pytest
from annotated import coco_folder

from rtmpose.cli import main


@pytest.mark.parametrize("name", ["n" * 300 + ".png", "d/" * 3000 + "a.png", "a\0b.png"])
def test_impossible_file_names_are_missing_images(tmp_path, capsys, name):
    coco_folder(tmp_path / "set")
    path = tmp_path / "set" / "annotations.json"
    content = json.loads(path.read_text())
    for image in content["images"]:
        image["file_name"] = name
    path.write_text(json.dumps(content))

    assert main(["data", "check", str(path)]) == 1
    assert "image" in capsys.readouterr().out
    out = tmp_path / "shown.jpg"
    assert main(["data", "show", str(path), "-o", str(out)]) in (0, 1)
    assert "Traceback" not in capsys.readouterr().err
    main(["data", "convert", str(path), "-o", str(tmp_path / "converted.json")])
