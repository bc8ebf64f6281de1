"""Images under the names that tools and other systems write: all commands find the same files."""

import pytest
from annotated import coco_content, write, write_image

from rtmpose.cli import main
from rtmpose.datasets import read

ACUTE = "caf\u00e9"
TAKEN_APART = "cafe\u0301"

NAMES = [
    ("IMG_1.JPG", "img_1.jpg"),
    ("Photo.png", "photo.png"),
    (f"{ACUTE}.png", f"{TAKEN_APART}.png"),  # a folder that was packed on a Mac
    (f"{TAKEN_APART}.png", f"{ACUTE}.png"),
    ("my%20photo.png", "my photo.png"),
    ("https://example.org/set/photo.png?width=200", "photo.png"),
    ("photo.png", "photo.webp"),
    ("photo.HEIC", "photo.jpg"),
    ("D:\\set\\PHOTO.PNG", "photo.png"),
]


def set_of(folder, written, lies):
    """Two images, of which the first is called otherwise than is written."""
    content = coco_content(2)
    content["images"][0]["file_name"] = written
    folders = written.replace("\\", "/").rpartition("/")[0]
    content["images"][1]["file_name"] = f"{folders}/2.png" if folders else "2.png"
    write_image(folder / "images" / lies, seed=1)
    write_image(folder / "images" / "2.png", seed=2)
    return write(folder / "annotations.json", content)


@pytest.mark.parametrize(("written", "lies"), NAMES)
def test_nearly_the_name_is_found_with_a_word(tmp_path, written, lies, caplog):
    dataset = read(set_of(tmp_path, written, lies))
    assert dataset.images[1] == tmp_path / "images" / lies
    assert dataset.images[2] == tmp_path / "images" / "2.png"
    assert f"1 images have another name than is written, such as {lies} for" in caplog.text


def test_commands_agree_on_what_is_missing(tmp_path, capsys):
    path = set_of(tmp_path, "PHOTO.jpeg", "photo.jpg")
    assert main(["data", "check", str(path)]) == 0
    assert main(["data", "show", str(path), "--sheet", str(tmp_path / "sheet.jpg")]) == 0
    assert "missing" not in capsys.readouterr().err
    write_image(tmp_path / "images" / "other.png").rename(tmp_path / "images" / "photo.jpg.txt")
    (tmp_path / "images" / "photo.jpg").unlink()
    assert main(["data", "check", str(path)]) == 1
    assert main(["data", "show", str(path), "--sheet", str(tmp_path / "sheet.jpg")]) == 0
    assert "1 of 2 images are missing" in capsys.readouterr().err


def test_the_written_name_goes_before_others(tmp_path, caplog):
    path = set_of(tmp_path, "a.png", "a.png")
    write_image(tmp_path / "images" / "A.png", seed=3)
    write_image(tmp_path / "images" / "a.jpg", seed=4)
    assert read(path).images[1] == tmp_path / "images" / "a.png"
    assert "another name" not in caplog.text
