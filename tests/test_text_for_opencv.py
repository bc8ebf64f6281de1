"""OpenCV ends the process where a text is not UTF-8, as the names of files may be: no such text
reaches it. The stand-ins look before it is called.
"""

import json

import cv2
import numpy as np
import pytest

from rtmpose import drawn
from rtmpose.cli import main
from rtmpose.datasets.contact_sheet import save_image
from rtmpose.errors import InputError, OutputError
from rtmpose.shown_names import is_utf8, utf8_name
from rtmpose.sources.cameras import open_camera

STRANGE = "caf\udce9"
"""As Python holds the Latin-1 name of an old disk."""


@pytest.fixture
def texts(monkeypatch):
    """What OpenCV was given; nothing that is not UTF-8 gets that far."""
    seen = []

    def looked_at(function):
        def look(*arguments, **keywords):
            words = [a for a in (*arguments, *keywords.values()) if isinstance(a, str)]
            assert all(map(is_utf8, words)), f"{function.__name__} would get {words!a}"
            seen.extend(words)
            return function(*arguments, **keywords)

        return look

    for name in ("putText", "getTextSize", "imencode", "VideoCapture"):
        monkeypatch.setattr(cv2, name, looked_at(getattr(cv2, name)))
    return seen


def test_names_of_any_bytes():
    assert utf8_name(STRANGE) == "caf\\xe9"
    assert utf8_name("é") == "é"
    # JSON can hold half of a pair.
    assert utf8_name("a\ud83d") == "a\\ud83d"
    assert not is_utf8("a\ud83d")


def test_captions(texts, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = f"{STRANGE}.png"
    try:
        photo = cv2.imencode(".png", np.full((60, 60, 3), 9, np.uint8))[1]
        (tmp_path / name).write_bytes(photo.tobytes())
    except OSError:
        pytest.skip("this disk takes only names in UTF-8")
    person = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [5, 5, 40, 40], "area": 1600}
    person |= {"keypoints": [20, 20, 2] * 17, "num_keypoints": 17, "iscrowd": 0}
    content = {
        "images": [{"id": 1, "file_name": name, "width": 60, "height": 60}],
        "annotations": [person],
        "categories": [{"id": 1, "name": "person"}],
    }
    (tmp_path / "set.json").write_text(json.dumps(content))
    assert main(["data", "show", "set.json", "--images", ".", "--sheet", "sheet.png"]) == 0
    assert "caf\\xe9.png #1" in texts


def test_suffixes(texts, tmp_path):
    image = np.zeros((8, 8, 3), np.uint8)
    with pytest.raises(InputError, match="suffix"):
        drawn.save(tmp_path / f"a.{STRANGE}", image)
    with pytest.raises(OutputError, match="suffix"):
        save_image(tmp_path / f"a.{STRANGE}", image)


def test_cameras(texts):
    with pytest.raises(InputError, match=r"caf\\xe9 cannot be opened: its name is not UTF-8"):
        open_camera(f"/dev/{STRANGE}")
    assert texts == []
