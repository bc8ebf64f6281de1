"""Batches whose results lie in a store: in memory here, on S3 in `test_batch_s3.py`."""

import importlib.util
import json

import pytest
from batch_runs import csv_rows
from jobs import image

from rtmpose.errors import OutputError

URL = "memory://results/run"


@pytest.fixture
def store():
    """A file system that is empty at the end."""
    fsspec = pytest.importorskip("fsspec", reason="reads stores")
    system = fsspec.filesystem("memory")
    yield system
    if system.exists("/results"):
        system.rm("/results", recursive=True)


def names(store):
    """What lies in the folder, without the names of units."""
    files = [name.removeprefix("/results/run/") for name in store.find("/results/run")]
    return sorted(file for file in files if not file.startswith(("data/", "ledger/", "runs/")))


def rows(store, tmp_path):
    """The rows of all tables, and how many entries there are."""
    copy = tmp_path / "copy"
    store.get("/results/run/", str(copy), recursive=True)
    found = csv_rows(copy), len(list((copy / "ledger").glob("*.json")))
    assert not list((copy / "ledger").glob("*busy*"))
    return found


def test_a_rerun_does_what_is_missing(batch, sources, store, tmp_path):
    status, out, err = batch(sources, out=URL)
    assert status == 1
    assert "6 of 8 sources done, 2 failed, 0 missing" in out
    assert "bad.jpg: is not an image" in err
    assert names(store) == ["report.json", "settings.json"]
    made, entries = rows(store, tmp_path)
    assert (len(made), entries) == (11, 8)

    # Only the new one is done; what is there is not written again.
    before = {name: store.modified(name) for name in store.find("/results/run/data")}
    image(sources / "new.png")
    _, out, _ = batch(sources, out=URL)
    assert "7 of 9 sources done, 2 failed, 0 missing" in out
    after = {name: store.modified(name) for name in store.find("/results/run/data")}
    assert before.items() <= after.items()
    assert len(after) == len(before) + 1
    assert "7 of 9 sources done" in batch("--status", out=URL)[1]

    # Other settings, and a file that somebody removed.
    _, _, err = batch(sources, "--box-thr", 0.7, out=URL)
    assert f"{URL} holds results made with other settings" in err
    store.rm(next(name for name in after if "clip" in name and name.endswith(".csv")))
    _, out, _ = batch(sources, out=URL)
    assert "1 files were missing" in out
    assert len(store.find("/results/run/data")) == len(after)


def test_sources_in_a_store(batch, sources, store):
    store.put(f"{sources}/", "/results/in/", recursive=True)
    _, out, err = batch("memory://results/in")
    assert "6 of 8 sources done, 2 failed, 0 missing" in out
    assert "memory:///results/in/bad.jpg: is not an image" in err
    # The copies that were worked on are nobody's business.
    assert "rtmpose-batch-" not in err
    assert {source for source, _ in csv_rows(batch.out)} == {
        *(f"memory:///results/in/{number}.png" for number in range(5)),
        "memory:///results/in/clip.avi",
    }


def test_a_store_that_fails_ends_the_run_and_leaves_no_half_unit(
    batch, sources, store, monkeypatch, tmp_path
):
    """Killed between the file of a unit and its entry: the next run does it again."""
    from rtmpose.batch.ledger import Ledger

    send = Ledger.send

    def refuse_entries(ledger, *paths):
        if paths[0].parent.name == "ledger":
            raise OutputError("the store is gone")
        send(ledger, *paths)

    monkeypatch.setattr(Ledger, "send", refuse_entries)
    status, _, err = batch(sources, out=URL)
    assert (status, "the store is gone" in err) == (1, True)
    assert not store.exists("/results/run/ledger")
    monkeypatch.undo()
    _, out, _ = batch(sources, out=URL)
    assert "6 of 8 sources done, 2 failed, 0 missing" in out
    assert len(rows(store, tmp_path)[0]) == 11


def test_parquet_without_an_entry_is_taken_up(batch, sources, store):
    pytest.importorskip("pyarrow", reason="writes Parquet")
    batch(sources, out=URL, form="parquet")
    before = {name: store.cat(name) for name in store.find("/results/run/data")}
    store.rm("/results/run/ledger", recursive=True)
    # More photos, so that they would be put together in another way.
    image(sources / "00.png")
    _, out, _ = batch(sources, out=URL, form="parquet")
    assert "7 of 9 sources done, 2 failed, 0 missing" in out
    after = {name: store.cat(name) for name in store.find("/results/run/data")}
    assert before.items() <= after.items()
    entries = [json.loads(store.cat(name)) for name in store.find("/results/run/ledger")]
    assert sum(len(entry["files"]) for entry in entries) == len(after)


def test_folders_of_other_formats_are_sent_whole(batch, sources, store):
    batch(sources / "clip.avi", out=URL, form="openpose")
    found = store.find("/results/run/data")
    assert len([name for name in found if name.endswith("_keypoints.json")]) == 6


def test_a_store_without_its_package_is_told(batch, sources):
    pytest.importorskip("fsspec", reason="reads stores")
    status, _, err = batch(sources, out="nosuchstore://bucket/run")
    assert status == 1
    assert "nosuchstore://bucket/run cannot be written" in err
    assert "Traceback" not in err


@pytest.mark.skipif(importlib.util.find_spec("s3fs") is not None, reason="s3fs is installed")
def test_the_package_of_a_store_is_named(batch, sources):
    pytest.importorskip("fsspec", reason="reads stores")
    status, _, err = batch(sources, out="s3://bucket/run")
    assert status == 1
    assert "s3:// needs s3fs: pip install s3fs" in err
    assert len(err.strip().splitlines()) == 1
