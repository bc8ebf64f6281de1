"""Failed writes: no half file under a final name, and every file on its own."""

import json
import re

import cv2
import numpy as np
import pytest
from clips import clip
from jobs import FORMATS, image, outputs_of, posix, start, temporaries

from rtmpose.errors import OutputError
from rtmpose.sources import expand_sources
from rtmpose.writers.job import predict_to_files
from rtmpose.writers.outputs import Outputs


def frames_of(path):
    capture = cv2.VideoCapture(str(path))
    count = 0
    while capture.read()[0]:
        count += 1
    capture.release()
    return count


def check_whole(path):
    """That a finished file of any format can be read to its end."""
    if path.is_dir():
        for file in path.iterdir():
            check_whole(file)
    elif path.suffix == ".json":
        assert json.loads(path.read_text()) is not None
    elif path.suffix == ".jsonl":
        assert all(json.loads(line) for line in path.read_text().splitlines())
    elif path.suffix in (".csv", ".txt"):
        rows = path.read_text()
        assert rows.endswith("\n")
        assert len({row.count(",") for row in rows.splitlines()}) == 1
    elif path.suffix == ".parquet":
        import pyarrow.parquet as parquet

        assert parquet.read_table(path).num_rows
    elif path.suffix == ".npz":
        with np.load(path) as arrays:
            assert all(arrays[name].size for name in arrays.files)
    elif path.suffix == ".ini":
        assert "imHeight=" in path.read_text()
    elif path.suffix == ".mp4":
        assert frames_of(path)
    elif path.suffix == ".jpg":
        assert cv2.imread(str(path)) is not None
    else:
        assert path.name.startswith(".rtmpose") or ".part" in path.name, path


@posix
@pytest.mark.parametrize("limit", [700, 6000, 23000])
def test_no_half_file_after_a_failed_write(tmp_path, job_options, limit):
    """Every file is limited in size, so that each format fails somewhere else."""
    import resource

    sources = [image(tmp_path / "in" / "b.jpg"), clip(tmp_path / "in" / "a.avi", 40)]
    out = tmp_path / "out"

    def limited():
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    command = ["predict", *sources, *job_options, *outputs_of(out)]
    with start(command, preexec_fn=limited) as run:
        _, errors = run.communicate(timeout=120)
    assert run.returncode == 1
    assert "Traceback" not in errors
    assert "Exception ignored" not in errors
    assert re.search(r"rtmpose: .* cannot be written", errors)
    assert temporaries(out) == []
    for path in out.iterdir():
        assert path.is_dir() or path.stat().st_size > 0
        check_whole(path)


@pytest.mark.parametrize("name", FORMATS)
def test_one_failing_format_leaves_the_others_all_frames(tmp_path, job_pipeline, monkeypatch, name):
    """It fails in the middle, or at its end: the others have every frame of the source."""
    from rtmpose.writers import WriterContext, format_named

    # The class behind the row of the table.
    opened = format_named(name).writer(tmp_path / "probe", WriterContext(job_pipeline.skeleton))
    opened.abandon()
    maker = type(opened)
    write = maker.write

    def failing(self, record):
        if record.index == 3:
            raise OutputError("no space")
        write(self, record)

    video = clip(tmp_path / "a.avi", 6)
    for method, change in (("write", failing), ("close", None)):
        with monkeypatch.context() as patch:
            if change is None:

                def change(self):
                    raise OutputError("no space")

            patch.setattr(maker, method, change)
            out = tmp_path / method
            outputs = Outputs(dict.fromkeys(FORMATS, out), out)
            with pytest.raises(OutputError, match="no space"):
                predict_to_files(job_pipeline, expand_sources([video]), outputs)
        assert temporaries(out) == []
        suffix = format_named(name).suffix
        assert not (out / f"a{suffix}").exists()
        others = [n for n in FORMATS if n != name]
        assert all((out / f"a{format_named(n).suffix}").exists() for n in others)


def test_tables_for_all_sources_are_closed_each_on_its_own(tmp_path, job_pipeline, monkeypatch):
    from rtmpose.writers.coco_json import CocoJsonWriter

    def failing(self):
        raise OutputError("no space")

    monkeypatch.setattr(CocoJsonWriter, "close", failing)
    outputs = {
        "json": tmp_path / "p.json",
        "csv": tmp_path / "p.csv",
        "jsonl": tmp_path / "p.jsonl",
    }
    video = clip(tmp_path / "a.avi", 6)
    with pytest.raises(OutputError, match="no space"):
        predict_to_files(job_pipeline, expand_sources([video]), Outputs(outputs))
    assert len((tmp_path / "p.csv").read_text().splitlines()) == 7
    assert len((tmp_path / "p.jsonl").read_text().splitlines()) == 7
    assert temporaries(tmp_path) == []
    assert (tmp_path / "p.json.part").exists()
