"""Videos that are none, disks that are full, folders that cannot be written: nothing accepted is
lost.
"""

import errno
import os
import struct
import wave
from io import BytesIO

import numpy as np
import pytest

pytest.importorskip("fastapi", reason="needs the extra serve")
pytest.importorskip("uvicorn", reason="needs the extra serve")

from urllib.parse import quote

from clips import clip
from serving import encoded, form, serving, wait_for

from rtmpose.errors import OutputError
from rtmpose.serve import job_runner
from rtmpose.serve.job_settings import JobSettings
from rtmpose.serve.job_store import JobStore
from rtmpose.serve.server import RunningServer
from rtmpose.serve.settings import ServeSettings
from rtmpose.text_files import to_json

AVI = {"Content-Type": "video/x-msvideo"}
ENDS = ("done", "failed", "canceled")


def ended(service, job):
    path = f"/v1/jobs/{job}"
    return wait_for(lambda: (now := service.get(path).json())["state"] in ENDS and now)


def jsonl(service, video):
    """A job that writes little."""
    return service.post('/v1/jobs?settings={"formats":["jsonl"],"annotated":false}', video, AVI)


def sound():
    file = BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setparams((1, 2, 8000, 0, "NONE", ""))
        writer.writeframes(bytes(16000))
    return file.getvalue()


def sound_in_mp4(folder):
    av = pytest.importorskip("av", reason="needs PyAV to write sound")
    path = folder / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44_100)
        silence = np.zeros((2, 1024), np.float32)
        frame = av.AudioFrame.from_ndarray(silence, format="fltp", layout="stereo")
        frame.sample_rate = 44_100
        for found in (frame, None):
            container.mux(stream.encode(found))
    return path.read_bytes()


def with_frames(video, count):
    """The AVI, whose head says that it has so many frames."""
    data = bytearray(video)
    at = data.index(b"avih") + 8
    data[at + 16 : at + 20] = struct.pack("<I", count)
    at = data.index(b"strh") + 8
    data[at + 32 : at + 36] = struct.pack("<I", count)
    # Its index would tell the truth.
    return bytes(data).replace(b"idx1", b"JUNK")


def test_what_is_no_video(fake, tmp_path):
    bodies = {
        "a picture": (encoded(), 415),
        "a JPEG": (encoded(".jpg"), 415),
        "sound": (sound(), 415),
        "MP3": (b"ID3\x04" + bytes(2000), 415),
        "sound in MP4": (sound_in_mp4(tmp_path), 422),
        "text": (b"hello " * 500, 415),
        "a page": (b"<!doctype html><video src=x>" * 20, 415),
        "nothing": (b"", 422),
        "zeros": (bytes(5000), 415),
    }
    with serving(fake, data=tmp_path / "data") as service:
        for name, (body, status) in bodies.items():
            answer = service.post("/v1/jobs", body, AVI)
            assert answer.status == status, (name, answer.body)
        for parts in ([], [("video", "a.avi", b"")], [("settings", None, "{}")]):
            body, headers = form(*parts)
            assert service.post("/v1/jobs", body, headers).status in (400, 422)
        assert not list((tmp_path / "data" / "jobs").iterdir())


def test_one_frame_and_three_hours(fake, tmp_path, video):
    single = clip(tmp_path / "single.avi", frames=1).read_bytes()
    long = with_frames(video, 3 * 3600 * 10)
    with serving(fake, data=tmp_path / "data") as service:
        job = ended(service, service.post("/v1/jobs", single, AVI).json()["id"])
        assert (job["state"], job["frames"]) == ("done", 1)
        # What is said is believed or not: it is refused, or it ends with what there is.
        answer = service.post("/v1/jobs", long, AVI)
        if answer.status == 201:
            job = ended(service, answer.json()["id"])
            assert (job["state"], job["frames"]) == ("done", 5)
        else:
            assert answer.status == 413


@pytest.mark.parametrize(
    "name", ["../../x.mp4", "视频.mp4", "v" * 300 + ".mp4", "a\u202eb.mp4", "%00"]
)
def test_names_of_videos(fake, tmp_path, video, name):
    with serving(fake, data=tmp_path / "data") as service:
        answer = service.post(f"/v1/jobs?name={quote(name)}", video, AVI)
        assert answer.status == 201
        job = ended(service, answer.json()["id"])
        assert len(job["name"]) <= 80
        assert "/" not in job["name"]
        assert job["name"].isprintable()
        file = service.get(f"/v1/jobs/{job['id']}/files/people.csv")
        assert file.status == 200
        assert file.headers["content-disposition"].isascii()
        assert (
            quote("视频" if "视频" in name else "-people.csv")
            in file.headers["content-disposition"]
        )
        asked = service.call("HEAD", f"/v1/jobs/{job['id']}/files/people.csv")
        assert (asked.status, asked.body) == (200, b"")
        assert int(asked.headers["content-length"]) == len(file.body)


def test_a_disk_that_is_full_while_a_video_is_sent(fake, tmp_path, video, monkeypatch):
    from rtmpose.files import AtomicFile

    class Full:
        closed = False

        def write(self, _):
            raise OSError(errno.ENOSPC, "No space left on device")

        def flush(self):
            pass

        close = flush

    with serving(fake, data=tmp_path / "data") as service:
        with monkeypatch.context() as patched:
            patched.setattr(AtomicFile, "open_binary", lambda _: Full())
            answer = service.post("/v1/jobs", video, AVI)
        assert (answer.status, answer.json()["error"]["code"]) == (503, "disk")
        with monkeypatch.context() as patched:
            patched.setattr(JobStore, "_write", full)
            answer = service.post("/v1/jobs", video, AVI)
            assert (answer.status, answer.json()["error"]["code"]) == (503, "disk")
        assert not list((tmp_path / "data" / "jobs").iterdir())
        assert ended(service, jsonl(service, video).json()["id"])["state"] == "done"


def full(*_):
    raise OutputError("DATA cannot be written: No space left on device")


def test_a_disk_that_is_full_when_a_job_ends(fake, tmp_path, video, monkeypatch):
    """The end cannot be noted: the job is done again when there is room."""
    finish = JobStore.finish
    times = []

    def finish_later(self, *arguments, **options):
        times.append(arguments)
        # Neither that it was done, nor that it failed.
        return full() if len(times) < 3 else finish(self, *arguments, **options)

    monkeypatch.setattr(job_runner, "AGAIN_S", 0.02)
    monkeypatch.setattr(JobStore, "finish", finish_later)
    with serving(fake, data=tmp_path / "data") as service:
        job = ended(service, jsonl(service, video).json()["id"])
        assert (job["state"], job["frames"], job["attempts"]) == ("done", 5, 1)
        assert len(job["files"]) == 1
        # Where nothing can be noted, the client is told.
        monkeypatch.setattr(JobStore, "_write", full)
        answer = service.call("DELETE", f"/v1/jobs/{job['id']}")
        assert (answer.status, answer.json()["error"]["code"]) == (503, "disk")
        assert b"DATA" not in answer.body
        monkeypatch.undo()


def test_a_job_that_is_canceled_as_the_service_stops(tmp_path):
    store = JobStore(tmp_path / "jobs.sqlite")
    for job in ("a" * 32, "b" * 32):
        store.add(job, "clip.avi", 5, 5, to_json(JobSettings().as_json()))
        assert store.claim().id == job
        if job.startswith("b"):
            store.stop(job)
        store.queue_again(job)
        if job.startswith("a"):
            assert store.claim().id == job
    assert store.get("b" * 32).state == "canceled"
    assert store.get("b" * 32).finished is not None
    store.close()


def test_as_many_uploads_as_may_wait(fake, tmp_path, video):
    import socket

    head = "POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: video/mp4\r\n"
    with serving(fake, data=tmp_path / "data", max_jobs=1) as service:
        with socket.create_connection(("127.0.0.1", service.port), 10) as connection:
            connection.sendall(f"{head}Content-Length: {2 * len(video)}\r\n\r\n".encode() + video)
            wait_for(lambda: refused_without_jobs(service, video))
        wait_for(lambda: jsonl(service, video).status == 201)


def refused_without_jobs(service, video):
    """Whether there is no place, although no job waits."""
    jobs = service.get("/v1/jobs").json()["jobs"]
    status = jsonl(service, video).status
    return status == 429 and all(job["state"] in ENDS for job in jobs)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write all")
def test_a_data_folder_that_cannot_be_written(fake, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    data.chmod(0o500)
    with pytest.raises(OutputError, match="data"):
        RunningServer([fake], ServeSettings(port=0, data=data))


def test_a_data_folder_that_is_a_file(fake, tmp_path):
    (tmp_path / "data").write_text("x")
    with pytest.raises(OutputError, match="not a folder"):
        RunningServer([fake], ServeSettings(port=0, data=tmp_path / "data"))
