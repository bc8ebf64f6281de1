"""Batches on S3, served by moto on this machine: needs `pip install 'moto[server]' s3fs`."""

import signal
import sys
import urllib.request
import uuid

import pytest
from batch_runs import SLOW_BATCH, make_sources
from jobs import in_a_process, posix, wait_for

s3fs = pytest.importorskip("s3fs", reason="reaches S3")
moto_server = pytest.importorskip("moto.server", reason="serves S3")


@pytest.fixture(scope="module")
def server():
    running = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture
def bucket(server, monkeypatch):
    """A bucket of its own, which the environment leads to."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    s3fs.S3FileSystem.clear_instance_cache()
    name = f"bucket-{uuid.uuid4().hex[:8]}"
    s3fs.S3FileSystem().mkdir(name)
    yield name
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture
def uploaded(bucket, tmp_path):
    """The sources, in the bucket."""
    folder = make_sources(tmp_path / "in")
    s3fs.S3FileSystem().put(f"{folder}/", f"{bucket}/in/", recursive=True)
    return f"s3://{bucket}/in"


def listed(bucket, folder):
    return s3fs.S3FileSystem(use_listings_cache=False).find(f"{bucket}/out/{folder}")


def test_sources_and_results_in_a_bucket(bucket, uploaded, batch):
    out = f"s3://{bucket}/out"
    _, text, err = batch(uploaded, out=out)
    assert "6 of 8 sources done, 2 failed, 0 missing" in text
    assert f"{uploaded}/bad.jpg" in err
    first = listed(bucket, "data")
    assert len([name for name in first if name.endswith(".csv")]) == 6

    s3fs.S3FileSystem().copy(f"{bucket}/in/0.png", f"{bucket}/in/new.png")
    _, text, _ = batch(uploaded, out=out)
    assert "7 of 9 sources done, 2 failed, 0 missing" in text
    assert set(first) < set(listed(bucket, "data"))
    assert "7 of 9 sources done" in batch("--status", out=out)[1]


@posix
def test_a_killed_run_leaves_nothing_half_done(bucket, uploaded, batch, job_options):
    out = f"s3://{bucket}/out"
    line = [sys.executable, "-c", SLOW_BATCH, "batch", uploaded, "--out", out, *job_options]
    with in_a_process([*line, "--format", "csv"]) as process:
        wait_for(lambda: len(listed(bucket, "ledger")) >= 2)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    system = s3fs.S3FileSystem(use_listings_cache=False)
    for name in listed(bucket, "data"):
        assert system.cat(name).endswith((b"\n", b"}"))
    _, text, _ = batch(uploaded, out=out)
    assert "6 of 8 sources done, 2 failed, 0 missing" in text
    assert len([name for name in listed(bucket, "data") if name.endswith(".csv")]) == 6
    assert len(listed(bucket, "ledger")) == 8


@pytest.mark.parametrize("place", ["sources", "results"])
def test_a_bucket_that_is_not_there(bucket, sources, batch, place):
    gone = f"s3://{bucket}-gone/run"
    arguments = ([gone + "/a.png"], "out") if place == "sources" else ([sources], gone)
    status, _, err = batch(*arguments[0], out=arguments[1])
    assert status == 1
    assert gone in err
    assert "bucket" in err or "not exist" in err
    assert len(err.strip().splitlines()) <= 3


def test_no_credentials(bucket, sources, batch, monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    s3fs.S3FileSystem.clear_instance_cache()
    status, _, err = batch(sources, out=f"s3://{bucket}/out")
    assert status == 1
    assert "AWS_ACCESS_KEY_ID" in err
    assert len(err.strip().splitlines()) == 1


def test_wrong_credentials(bucket, sources, batch, server):
    def check_keys(after):
        address, plain = f"{server}/moto-api/reset-auth", {"Content-Type": "text/plain"}
        request = urllib.request.Request(address, after, plain, method="POST")
        urllib.request.urlopen(request).close()

    check_keys(b"0")
    try:
        for arguments, out in (([f"s3://{bucket}/in"], "out"), ([sources], f"s3://{bucket}/out")):
            s3fs.S3FileSystem.clear_instance_cache()
            status, _, err = batch(*arguments, out=out)
            assert status == 1
            assert f"s3://{bucket}" in err
            assert "are the credentials right" in err
            assert len(err.strip().splitlines()) == 1
    finally:
        check_keys(b"inf")
