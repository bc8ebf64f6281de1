"""Nothing of the user is lost: no output over a source, another output, or a file of others."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from jobs import contents, image, posix, temporaries

from rtmpose.errors import InputError, OutputError
from rtmpose.files import AtomicFile
from rtmpose.files.folders import AtomicFolder
from rtmpose.files.temporaries import remove_leftovers
from rtmpose.sources import expand_sources
from rtmpose.writers.job import predict_to_files
from rtmpose.writers.outputs import Outputs


# ---- no output is a source, and no two are one
# --------------------------------------------------------------------------------------------------
@posix
@pytest.mark.parametrize("how", ["same", "hard link", "symbolic link", "other spelling"])
def test_no_output_is_a_source(tmp_path, job_pipeline, how):
    photo = image(tmp_path / "in" / "a.png")
    (tmp_path / "out").mkdir()
    out = tmp_path / "out" / "p.json"
    if how == "hard link":
        os.link(photo, out)
    elif how == "symbolic link":
        out.symlink_to(photo)
    elif how == "other spelling":
        out = tmp_path / "out" / ".." / "in" / "p.json"
        photo = photo.rename(tmp_path / "in" / "p.json")
    else:
        out = photo.rename(tmp_path / "in" / "p.json")
        photo = out
    before = contents(tmp_path / "in")
    with pytest.raises(InputError, match="one of the sources"):
        predict_to_files(job_pipeline, expand_sources([photo]), Outputs({"json": out}))
    assert contents(tmp_path / "in") == before


@posix
def test_a_drawn_image_never_goes_through_a_link_to_its_source(tmp_path, job_pipeline):
    photo = image(tmp_path / "in" / "a.jpg")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.jpg").symlink_to(photo)
    before = photo.read_bytes()
    with pytest.raises(InputError, match="one of the sources"):
        predict_to_files(job_pipeline, expand_sources([photo]), Outputs({}, tmp_path / "out"))
    assert photo.read_bytes() == before


def test_nothing_is_drawn_into_a_folder_of_sources(tmp_path, job_pipeline):
    """The next run would read it; and a.jpg may be the photograph that a.bmp was made from."""
    image(tmp_path / "in" / "a.bmp")
    with pytest.raises(InputError, match="folder of the sources"):
        predict_to_files(
            job_pipeline, expand_sources([tmp_path / "in"]), Outputs({}, tmp_path / "in" / ".")
        )
    assert os.listdir(tmp_path / "in") == ["a.bmp"]  # noqa: PTH208


def test_annotations_next_to_their_images_stay(tmp_path, job_pipeline):
    photo = image(tmp_path / "in" / "a.jpg")
    labels = tmp_path / "in" / "a.json"
    labels.write_text("made in weeks")
    outputs = Outputs({"json": tmp_path / "in"})
    with pytest.raises(InputError, match="exists next to the sources"):
        predict_to_files(job_pipeline, expand_sources([photo]), outputs)
    assert labels.read_text() == "made in weeks"
    # Our own are replaced by the next run.
    labels.unlink()
    for _ in range(2):
        assert predict_to_files(job_pipeline, expand_sources([photo]), outputs).frames == 1


@posix
def test_two_outputs_that_are_one_file(tmp_path, job_pipeline):
    photo = image(tmp_path / "a.jpg")
    (tmp_path / "out").mkdir()
    (tmp_path / "link.json").symlink_to(tmp_path / "out" / "x.csv")
    both = {"json": tmp_path / "link.json", "csv": tmp_path / "out" / "x.csv"}
    with pytest.raises(InputError, match="both to be written"):
        predict_to_files(job_pipeline, expand_sources([photo]), Outputs(both))
    both = {"csv": Path("/dev/stdout"), "json": Path("-")}
    with pytest.raises(InputError, match="both to be written"):
        predict_to_files(job_pipeline, expand_sources([photo]), Outputs(both))
    # The name of a file for all sources may be that of one source's.
    out = tmp_path / "out"
    both = {"json": out / "a_keypoints.json", "openpose": out}
    with pytest.raises(InputError, match="written twice"):
        predict_to_files(job_pipeline, expand_sources([photo]), Outputs(both))
    assert os.listdir(out) == []  # noqa: PTH208


# ---- folders
# --------------------------------------------------------------------------------------------------
def folder_with(path, **files):
    folder = AtomicFolder(path)
    for name, text in files.items():
        folder.write_text(name, text)
    folder.commit()


def test_a_file_of_others_under_a_new_name_of_ours_is_kept(tmp_path):
    folder_with(tmp_path / "out", a="1")
    (tmp_path / "out" / "b").write_text("mine")
    folder_with(tmp_path / "out", a="2", b="3")
    assert (tmp_path / "out" / "b").read_text() == "3"
    assert (tmp_path / "out" / "b.1").read_text() == "mine"


@posix
def test_a_folder_survives_a_kill_between_two_renames(tmp_path, monkeypatch):
    folder_with(tmp_path / "out", a="1")
    (tmp_path / "out" / "notes").write_text("mine")
    (tmp_path / "out" / "link").symlink_to(tmp_path)
    code = (
        "import os, sys, pathlib\n"
        "from rtmpose import files\n"
        "from rtmpose.files import folders\n"
        "folder = folders.AtomicFolder(pathlib.Path(sys.argv[1]))\n"
        "folder.write_text('a', '2')\n"
        "def die(self, target):\n"
        "    os.rename(self, target)\n"
        "    os._exit(9)\n"
        "pathlib.Path.replace = die\n"
        "folder.commit()\n"
    )
    run = subprocess.run([sys.executable, "-c", code, str(tmp_path / "out")], check=False)
    assert run.returncode == 9
    assert not (tmp_path / "out").exists()
    remove_leftovers(tmp_path)
    assert (tmp_path / "out" / "a").read_text() == "1"
    assert (tmp_path / "out" / "notes").read_text() == "mine"
    assert temporaries(tmp_path) == []
    folder_with(tmp_path / "out", a="2")
    assert (tmp_path / "out" / "link").is_symlink()


@posix
def test_temporary_files_of_dead_runs_are_removed_and_those_at_work_are_not(tmp_path):
    code = (
        "import os, sys, pathlib\n"
        "from rtmpose import files\n"
        "from rtmpose.files import folders\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "kept = [files.AtomicFile(folder / 'a.csv')]\n"
        "kept += [files.AtomicFile(folder / 'v.mp4', suffix='.mp4')]\n"
        "kept += [folders.AtomicFolder(folder / 'b')]\n"
        "kept[0].write('x')\n"
        "kept[2].write_text('y', 'z')\n"
        "os._exit(9)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert len(list(tmp_path.iterdir())) == 3
    at_work = [AtomicFile(tmp_path / "c.csv"), AtomicFolder(tmp_path / "d")]
    # The names of others look alike.
    (tmp_path / ".a.csv.swp").write_text("editor")
    (tmp_path / ".a.tmp").write_text("mine")
    remove_leftovers(tmp_path)
    left = {p.name for p in tmp_path.iterdir()}
    assert left == {".a.csv.swp", ".a.tmp", at_work[0].temporary.name, at_work[1].temporary.name}
    at_work[0].commit()
    at_work[1].commit()
    assert (tmp_path / "d").is_dir()


def test_a_file_that_failed_once_is_never_completed(tmp_path, monkeypatch):
    file = AtomicFile(tmp_path / "a")
    file.write("one\n")
    original = file._text

    class Full:
        closed = False

        def write(self, _):
            raise OSError(28, "No space left on device")

    file._text = Full()
    with pytest.raises(OutputError, match="No space"):
        file.write("two\n")
    file._text = original
    with pytest.raises(OutputError, match="not written completely"):
        file.commit()
    assert list(tmp_path.iterdir()) == []
