"""Batches on a Ray cluster. `benchmarks/batch_cluster.py` kills parts of one."""

import shutil

import pytest
from clips import clip
from jobs import image

from rtmpose.batch.report import report_of
from rtmpose.cli import main

ray = pytest.importorskip("ray", reason="runs Ray")
dataset = pytest.importorskip("pyarrow.dataset", reason="reads Parquet")

pytestmark = [
    pytest.mark.slow,
    # Ray's own.
    pytest.mark.filterwarnings("ignore"),
]
STORE = 100_000_000


@pytest.fixture(scope="module")
def cluster():
    """One node with two cores; ours is not used."""
    ray.init(address="local", num_cpus=2, object_store_memory=STORE, include_dashboard=False)
    yield
    ray.shutdown()


def rows(out):
    table = dataset.dataset(out / "data", format="parquet").to_table()
    return table.sort_by([(name, "ascending") for name in ("source", "frame", "person")])


def test_workers_on_a_cluster_make_what_one_makes(tmp_path, job_options, cluster, capsys):
    folder = tmp_path / "in"
    for number in range(12):
        image(folder / f"{number}.png", 60 + 10 * number)
    clip(folder / "clip.avi", 6)
    (folder / "bad.jpg").write_text("no picture")
    shared = [str(folder), *job_options, "--photos-per-file", "3"]
    main(["batch", *shared, "--out", str(tmp_path / "one")])
    capsys.readouterr()
    on_ray = ["--workers", "2", "--cpus-per-worker", "1"]
    status = main(["batch", *shared, *on_ray, "--out", str(tmp_path / "two")])
    text = capsys.readouterr().out
    assert status == 1
    assert "13 of 14 sources done, 1 failed, 0 missing" in text
    assert rows(tmp_path / "two").equals(rows(tmp_path / "one"))

    # What is missing is done, by a cluster or without one.
    shutil.copy(folder / "0.png", folder / "new.png")
    main(["batch", *shared, *on_ray, "--out", str(tmp_path / "two")])
    report = report_of(tmp_path / "two")
    assert (report.done, len(report.failed), report.twice) == (14, 1, [])


def test_what_ends_a_run_is_told_in_its_own_words(tmp_path, job_options, cluster, capsys):
    image(tmp_path / "a.png")
    options = [*job_options, "--workers", "2", "--cpus-per-worker", "1"]
    options[options.index("--pose") + 1] = str(tmp_path / "gone.onnx")
    status = main(["batch", str(tmp_path / "a.png"), "--out", str(tmp_path / "out"), *options])
    assert status == 1
    assert "gone.onnx does not exist" in capsys.readouterr().err
    options = [*job_options, "--workers", "5", "--cpus-per-worker", "1"]
    status = main(["batch", str(tmp_path / "a.png"), "--out", str(tmp_path / "out2"), *options])
    assert status == 1
    assert "room for 2 workers" in capsys.readouterr().err
