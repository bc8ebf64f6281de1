"""``--to`` of `track` and `predict` makes what `convert` makes of the same results."""

import pytest
from clips import clip
from jobs import image, small_models

from rtmpose.cli import main
from rtmpose.errors import MissingDependencyError
from rtmpose.writers.lab_table import LAB_FORMATS, Holds

FRAMES = 6
CHANGING = ("identifier", "file_create_date", "timestamps_reference_time", "session_start_time")
"""What is another in every NWB file."""
HDF5 = (".nwb", ".nc", ".h5", ".slp")


def is_installed(row):
    try:
        row.check_installed()
    except MissingDependencyError:
        return False
    return True


def options(folder):
    folder.mkdir()
    detector, pose = small_models(folder)
    engine = ["--backend", "onnxruntime", "--device", "cpu", "--threads", "1"]
    return ["--detector", detector, "--pose", pose, "--person-thr", "0", *engine]


@pytest.fixture(scope="module")
def tracked(tmp_path_factory):
    """One run of `track` with every format that can be written here, in the folder ``out``."""
    folder = tmp_path_factory.mktemp("labs")
    video = clip(folder / "two steps.avi", FRAMES)
    rows = [row for row in LAB_FORMATS if is_installed(row)]
    formats = [word for row in rows for word in ("--to", row.name)]
    line = ["track", str(video), *options(folder / "models"), "--pose-min-keypoints", "0"]
    assert main([*line, "-o", str(folder / "out"), *formats]) == 0
    return folder


def contents(path):
    """The bytes of a file, or of HDF5 its arrays, as it holds the time of its making."""
    if path.suffix not in HDF5:
        return path.read_bytes()
    h5py = pytest.importorskip("h5py", reason="reads HDF5")
    found = {}

    def take(name, item):
        if isinstance(item, h5py.Dataset) and name not in CHANGING:
            values = item[()]
            found[name] = (str(item.dtype), getattr(values, "tobytes", lambda: values)())

    with h5py.File(path) as file:
        file.visititems(take)
    assert len(found) > 2
    # References are addresses within the file.
    return {name: value for name, value in found.items() if value[0] != "object"}


def files_of(place, row):
    """What a format wrote: name to content."""
    if place.is_file():
        return {place.suffix: contents(place)}
    ends = [row.suffix] if row.suffix else [""]
    found = [path for path in place.rglob("*") if path.is_file() and not path.name.startswith(".")]
    return {
        str(path.relative_to(place)): contents(path)
        for path in found
        if path.name.endswith(ends[0])
    }


@pytest.mark.parametrize("row", LAB_FORMATS, ids=lambda row: row.name)
def test_the_files_are_those_of_convert(row, tracked, tmp_path):
    if not is_installed(row):
        pytest.skip("its packages are not installed")
    results = tracked / "out" / "two steps.jsonl"
    place, target = tracked / "out", tmp_path / "converted"
    if row.holds is Holds.all:
        place /= f"two steps_{row.name}{row.suffix}"
        target = tmp_path / f"converted{row.suffix}"
    assert main(["convert", str(results), "--to", row.name, "-o", str(target)]) == 0
    expected = files_of(target, row)
    assert expected
    found = files_of(place, row)
    assert {name: found.get(name) for name in expected} == expected


def test_the_drawing_and_the_results_are_there(tracked):
    names = {path.name for path in (tracked / "out").iterdir()}
    assert {"two steps.mp4", "two steps.jsonl", "two steps_person01_px.trc"} <= names


def test_without_a_folder_no_video_is_drawn(tmp_path, monkeypatch, capsys):
    video = clip(tmp_path / "a.avi", FRAMES)
    monkeypatch.chdir(tmp_path)
    line = ["track", str(video), *options(tmp_path / "models"), "--pose-min-keypoints", "0"]
    assert main([*line, "--to", "trc", "--meters-per-pixel", "0.01"]) == 0
    names = {path.name for path in (tmp_path / "tracks").iterdir() if path.name[0] != "."}
    assert names == {"a.jsonl", "a_person01_m.trc"}
    assert "a_person01_m.trc" in capsys.readouterr().out

    # Files that are named, and results in a folder of the user's.
    arguments = ["--to", "deeplabcut=dlc/a.csv", "--jsonl", "mine"]
    assert main([*line, *arguments]) == 0
    assert (tmp_path / "dlc" / "a.csv").read_text().startswith("scorer,")
    assert (tmp_path / "mine" / "a.jsonl").exists()
    assert main([*line, *arguments, "--resume"]) == 0


def test_photos(tmp_path):
    photos = [image(tmp_path / "in" / f"{name}.png", 90) for name in "ab"]
    out = tmp_path / "out"
    line = ["predict", *map(str, photos), *options(tmp_path / "models")]
    targets = ["--to", f"coco={out / 'people.json'}", "--to", f"yolo-pose={out / 'yolo'}"]
    assert main([*line, *targets]) == 0
    assert {path.name for path in out.iterdir()} == {"people.json", "yolo", "results.jsonl"}
    labels = {path.name for path in (out / "yolo" / "labels").iterdir()}
    assert labels == {"a.txt", "b.txt"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--to", "tcr"], "did you mean trc?"),
        (["--to", "opensim"], "did you mean trc?"),
        (["--to", "csv"], "write it with --csv"),
        (["--to", "nwb=a.trc"], "end in .nwb"),
        (["--to", "trc="], "behind the ="),
        (["--to", "coco", "--meters-per-pixel", "1"], "leave --meters-per-pixel out"),
        (["--to", "trc", "--floor-y", "5"], "with --meters-per-pixel"),
        (["--floor-y", "5"], "are for --to trc"),
        (["--to", "deeplabcut", "--csv", "tracks"], "--csv and --to deeplabcut would both"),
        (["--to", "trc", "--jsonl", "-"], "--jsonl - is none"),
    ],
)
def test_mistakes_are_told_before_the_work(arguments, words, tmp_path, monkeypatch, capsys):
    video = clip(tmp_path / "a.avi", 2)
    monkeypatch.chdir(tmp_path)
    line = ["track", str(video), *options(tmp_path / "models"), *arguments]
    row = arguments[1].partition("=")[0]
    if any(r.name == row and not is_installed(r) for r in LAB_FORMATS):
        pytest.skip("its packages are not installed")
    assert main(line) == 1
    assert words in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "tracks").exists()


def test_what_cannot_be_made_costs_no_results(tmp_path, capsys):
    """Two people without ids: nothing says who is who, and the results are kept."""
    from networks import fixed_detector

    video = clip(tmp_path / "a.avi", 2)
    line = options(tmp_path / "models")
    boxes = [[8, 4, 40, 44, 0.9], [50, 4, 70, 44, 0.9]]
    line[1] = str(fixed_detector(tmp_path / "models" / "yolox_two.onnx", boxes))
    out = tmp_path / "out"
    assert main(["predict", str(video), *line, "--to", f"trc={out}"]) == 1
    text = " ".join(capsys.readouterr().err.split())
    assert "--to trc:" in text
    assert "the results are kept in" in text
    assert {path.name for path in out.iterdir()} == {"a.jsonl"}
