"""/v1/jobs: videos in, files out; cancel, restart, full disk."""

import io
import json
import sqlite3
import zipfile

import pytest

pytest.importorskip("fastapi", reason="needs the extra serve")
pytest.importorskip("uvicorn", reason="needs the extra serve")

from urllib.parse import quote

from clips import clip
from jobs import FORMATS
from serving import form, serving, wait_for

from rtmpose.errors import OutputError
from rtmpose.files import AtomicFile
from rtmpose.serve.faults import ServiceError
from rtmpose.serve.job_files import JobFolders, check_head
from rtmpose.serve.job_settings import JobSettings
from rtmpose.serve.job_store import JobStore
from rtmpose.text_files import to_json

AVI = {"Content-Type": "video/x-msvideo"}
ENDS = ("done", "failed", "canceled")


def send(service, video, *, name="clip.avi", **settings):
    path = f"/v1/jobs?name={quote(name)}&settings={quote(json.dumps(settings))}"
    return service.post(path, video, AVI)


def job_of(service, job):
    return service.get(f"/v1/jobs/{job}").json()


def ended(service, job):
    return wait_for(lambda: (now := job_of(service, job))["state"] in ENDS and now)


def files_below(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_a_video_in_all_results_out(job_pipeline, tmp_path, video):
    data = tmp_path / "data"
    with serving(job_pipeline.model, person_thr=0.0, data=data) as service:
        assert service.get("/v1/models").json()["jobs"] is True
        answer = send(service, video, name="../../etc/My clip.avi", formats=list(FORMATS), trail=5)
        assert answer.status == 201
        job = answer.json()
        assert (job["state"], job["name"], job["total"]) == ("queued", "My clip.avi", 5)
        job = ended(service, job["id"])
        assert (job["state"], job["frames"], job["people"]) == ("done", 5, 1)
        assert {file["format"] for file in job["files"]} == {*FORMATS, "annotated"}
        contents = {}
        for file in job["files"]:
            answer = service.get(f"/v1/jobs/{job['id']}/files/{file['name']}")
            assert answer.status == 200
            assert len(answer.body) == file["bytes"]
            assert "My-clip-" in answer.headers["content-disposition"]
            contents[file["format"]] = answer.body
            # Nothing tells where it lies.
            assert str(tmp_path).encode() not in answer.body
        lines = contents["jsonl"].decode().splitlines()
        assert [len(json.loads(line)["people"]) for line in lines[1:]] == [1] * 5
        assert len(zipfile.ZipFile(io.BytesIO(contents["openpose"])).namelist()) == 5
        part = f"/v1/jobs/{job['id']}/files/annotated.mp4"
        assert service.get(part, headers={"Range": "bytes=0-9"}).status == 206

        # Files have names of our own.
        assert not [name for name in files_below(data) if "clip" in name]
        assert service.get(f"/v1/jobs/{job['id']}/files/..%2f..%2fsource").status == 404
        assert service.get(f"/v1/jobs/{job['id']}/files/source").status == 404

        assert [j["id"] for j in service.get("/v1/jobs").json()["jobs"]] == [job["id"]]
        assert service.call("DELETE", f"/v1/jobs/{job['id']}").status == 204
        assert service.get(f"/v1/jobs/{job['id']}").status == 404
        assert not list((data / "jobs").iterdir())


def test_results_are_those_of_the_command(job_pipeline, tmp_path, video):
    from rtmpose.sources import expand_sources
    from rtmpose.tracking import PoseTracker
    from rtmpose.tracking.video import VideoTracker

    (tmp_path / "same.avi").write_bytes(video)
    tracker = PoseTracker(None, job_pipeline.model, person_thr=0, pose_max_num_bboxes=100)
    frames = VideoTracker(tracker).run(expand_sources([str(tmp_path / "same.avi")]))
    expected = [frame.poses.to_coco(i) for i, frame in enumerate(frames)]
    with serving(job_pipeline.model, person_thr=0.0, data=tmp_path / "data") as service:
        job = ended(service, send(service, video, formats=["jsonl"]).json()["id"])
        lines = service.get(f"/v1/jobs/{job['id']}/files/people.jsonl").body.splitlines()
    assert [json.loads(line)["people"] for line in lines[1:]] == expected


@pytest.mark.parametrize("settings", [{"track": False}, {"smooth": "offline"}])
def test_other_ways(job_pipeline, tmp_path, video, settings):
    with serving(job_pipeline.model, person_thr=0.0, data=tmp_path / "data") as service:
        body, headers = form(("settings", None, json.dumps(settings)), ("video", "a.avi", video))
        job = service.post("/v1/jobs", body, headers).json()
        job = ended(service, job["id"])
        assert (job["state"], job["name"], job["frames"]) == ("done", "a.avi", 5)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"garbage" * 100, 415),
        (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/hostname\n", 415),
        (b"ffconcat version 1.0\nfile /etc/hostname\n", 415),
        (b"RIFF\0\0\0\0AVI LIST", 422),
    ],
)
def test_what_is_no_video(fake, tmp_path, body, status):
    with serving(fake, data=tmp_path) as service:
        assert service.post("/v1/jobs", body, AVI).status == status
        assert service.get("/v1/jobs").json() == {"jobs": []}
        assert not list((tmp_path / "jobs").iterdir())


@pytest.mark.parametrize("text", [b"<MPD profiles='urn:mpeg:dash:profile'", b"c=IN IP4 1.2.3.4"])
def test_files_that_name_others_are_refused_whatever_they_begin_with(text):
    head = b"\0\0\0\x18ftypisom\0\0\0\0isom"
    check_head(head)
    with pytest.raises(ServiceError, match="no"):
        check_head(head + text)


@pytest.mark.parametrize(
    "settings",
    [{"formats": ["x"]}, {"smooth": 3}, {"det_interval": 0}, {"path": "/"}, {"formats": "json"}],
)
def test_settings_that_make_no_sense(fake, tmp_path, video, settings):
    with serving(fake, data=tmp_path) as service:
        assert send(service, video, **settings).status == 422
        assert not list((tmp_path / "jobs").iterdir())


def test_limits_of_videos(fake, tmp_path, video):
    size = len(video) - 1
    limits = ({"max_frames": 4}, {"max_seconds": 0.3}, {"max_pixels": 2000})
    for limit in (*limits, {"max_upload_bytes": size}):
        with serving(fake, data=tmp_path, **limit) as service:
            assert send(service, video).status == 413
            assert not list((tmp_path / "jobs").iterdir())


def test_as_many_jobs_as_may_wait(fake, tmp_path, video):
    fake.gate.clear()
    with serving(fake, data=tmp_path, max_jobs=2) as service:
        jobs = [send(service, video) for _ in range(3)]
        assert [answer.status for answer in jobs] == [201, 201, 429]
        assert jobs[2].headers["retry-after"]
        fake.gate.set()
        for answer in jobs[:2]:
            assert ended(service, answer.json()["id"])["state"] == "done"


def test_cancel_and_remove_while_it_waits_and_runs(fake, tmp_path, video):
    fake.delay_s = 0.3
    with serving(fake, data=tmp_path) as service:
        runs, waits, goes = (send(service, video).json()["id"] for _ in range(3))
        wait_for(lambda: job_of(service, runs)["state"] == "running")
        assert service.post(f"/v1/jobs/{waits}/cancel").json()["state"] == "canceled"
        assert service.call("DELETE", f"/v1/jobs/{goes}").status == 204
        service.post(f"/v1/jobs/{runs}/cancel")
        job = ended(service, runs)
        assert (job["state"], job["files"]) == ("canceled", [])
        assert not (tmp_path / "jobs" / runs / "results").exists()
        assert b'rtmpose_jobs{state="canceled"} 2.0' in service.get("/metrics").body

        # Removed while it runs: its files are gone when it has ended.
        last = send(service, video).json()["id"]
        wait_for(lambda: job_of(service, last)["state"] == "running")
        assert service.call("DELETE", f"/v1/jobs/{last}").status == 204
        assert service.get(f"/v1/jobs/{last}").status == 404
        wait_for(lambda: not (tmp_path / "jobs" / last).exists())
    missing = "0" * 32
    with serving(fake, data=tmp_path) as service:
        assert service.post(f"/v1/jobs/{missing}/cancel").status == 404
        assert service.call("DELETE", f"/v1/jobs/{missing}").status == 404


def accepted(data, video, **columns):
    """A job as an earlier process left it."""
    store = JobStore(data / "jobs.sqlite")
    folders = JobFolders(data)
    job = folders.new_id()
    folders.source(job).parent.mkdir(parents=True)
    folders.source(job).write_bytes(video)
    settings = JobSettings(formats=("jsonl",), annotated=False)
    store.add(job, "clip.avi", len(video), 5, to_json(settings.as_json()))
    store.close()
    base = sqlite3.connect(data / "jobs.sqlite")
    for name, value in columns.items():
        base.execute(f"UPDATE jobs SET {name} = ? WHERE id = ?", (value, job))
    base.commit()
    base.close()
    return job


def test_a_restart_with_jobs_in_every_state(fake, tmp_path, video):
    (tmp_path / "jobs").mkdir()
    ids = {
        "queued": accepted(tmp_path, video),
        "running": accepted(tmp_path, video, state="running", attempts=1),
        "deadly": accepted(tmp_path, video, state="running", attempts=3),
        "stopped": accepted(tmp_path, video, state="running", stop=1),
        "done": accepted(tmp_path, video, state="done", finished=4e9),
        "failed": accepted(tmp_path, video, state="failed", finished=4e9, error="why"),
        "removed": accepted(tmp_path, video, state="running", removed=1),
        "old": accepted(tmp_path, video, state="done", finished=1.0),
    }
    half = tmp_path / "jobs" / ids["running"] / "results" / "people.jsonl"
    half.parent.mkdir()
    half.write_text("half")
    orphan = tmp_path / "jobs" / ("f" * 32)
    orphan.mkdir()
    with serving(fake, data=tmp_path) as service:
        for name in ("queued", "running"):
            job = ended(service, ids[name])
            assert (job["state"], job["frames"]) == ("done", 5)
            assert job["files"][0]["bytes"] > 100
        assert job_of(service, ids["deadly"])["state"] == "failed"
        assert "3 times" in job_of(service, ids["deadly"])["error"]
        assert job_of(service, ids["stopped"])["state"] == "canceled"
        assert job_of(service, ids["done"])["state"] == "done"
        assert job_of(service, ids["failed"])["error"] == "why"
        for name in ("removed", "old"):
            assert service.get(f"/v1/jobs/{ids[name]}").status == 404
            wait_for(lambda name=name: not (tmp_path / "jobs" / ids[name]).exists())
        assert not orphan.exists()


def test_a_stop_lets_the_job_begin_again(fake, tmp_path, video):
    fake.delay_s = 0.2
    with serving(fake, data=tmp_path) as service:
        job = send(service, video, formats=["jsonl"]).json()["id"]
        wait_for(lambda: job_of(service, job)["state"] == "running")
    assert not (tmp_path / "jobs" / job / "results").exists()
    fake.delay_s = 0.0
    with serving(fake, data=tmp_path) as service:
        assert ended(service, job)["state"] == "done"
        assert job_of(service, job)["attempts"] == 1


def test_a_disk_that_is_full_while_a_job_writes(fake, tmp_path, video, monkeypatch):
    def full(self, *_, **__):
        raise OutputError(f"{self.path} cannot be written: No space left on device")

    with serving(fake, data=tmp_path) as service:
        with monkeypatch.context() as patched:
            patched.setattr(AtomicFile, "write", full)
            job = ended(service, send(service, video, formats=["jsonl"]).json()["id"])
        assert job["state"] == "failed"
        assert "No space left" in job["error"]
        assert str(tmp_path) not in job["error"]
        assert job["files"] == []
        assert not (tmp_path / "jobs" / job["id"] / "results").exists()

        # While it is sent: the client is told, and nothing stays.
        before = files_below(tmp_path / "jobs")
        with monkeypatch.context() as patched:
            patched.setattr(AtomicFile, "commit", full)
            answer = send(service, video)
        assert (answer.status, answer.json()["error"]["code"]) == (503, "disk")
        assert files_below(tmp_path / "jobs") == before
        assert ended(service, send(service, video).json()["id"])["state"] == "done"


def test_an_error_of_the_network_fails_one_job_only(fake, tmp_path, video):
    with serving(fake, data=tmp_path) as service:
        fake.fail = 0
        job = ended(service, send(service, video).json()["id"])
        assert (job["state"], job["error"]) == ("failed", "an error of the service; see its log")
        fake.fail = None
        assert ended(service, send(service, video).json()["id"])["state"] == "done"


def test_a_client_that_leaves_while_it_sends(fake, tmp_path, video):
    import socket

    head = f"POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(video) + 9}\r\n"
    with serving(fake, data=tmp_path) as service:
        with socket.create_connection(("127.0.0.1", service.port), timeout=20) as connection:
            connection.sendall(f"{head}Content-Type: video/mp4\r\n\r\n".encode() + video)
        wait_for(lambda: not list((tmp_path / "jobs").iterdir()))
        assert service.get("/v1/jobs").json() == {"jobs": []}


def test_without_a_data_folder_there_are_no_jobs(fake):
    with serving(fake) as service:
        assert service.get("/v1/jobs").status == 404
        assert service.get("/v1/models").json()["jobs"] is False


def test_a_data_folder_belongs_to_one_service(fake, tmp_path):
    from rtmpose.serve.server import RunningServer
    from rtmpose.serve.settings import ServeSettings

    with serving(fake, data=tmp_path), pytest.raises(OutputError):
        RunningServer([fake], ServeSettings(port=0, data=tmp_path))
    with serving(fake, data=tmp_path) as service:
        assert service.get("/v1/jobs").status == 200


def test_a_list_of_jobs_that_is_damaged(fake, tmp_path):
    from rtmpose.serve.server import RunningServer
    from rtmpose.serve.settings import ServeSettings

    (tmp_path / "jobs.sqlite").write_bytes(b"garbage" * 1000)
    with pytest.raises(OutputError, match="list of jobs"):
        RunningServer([fake], ServeSettings(port=0, data=tmp_path))


@pytest.mark.parametrize("text", ["ffconcat version 1.0\nfile clip.avi\n", "#EXTM3U\nclip.avi\n"])
def test_an_upload_is_never_opened_as_a_list_of_files(tmp_path, text):
    from rtmpose.errors import InputError
    from rtmpose.sources import SourceItem, probe

    clip(tmp_path / "clip.avi", frames=5)
    upload = tmp_path / "source"
    upload.write_text(text)
    with pytest.raises(InputError, match="video") as refused:
        probe(SourceItem("video", "video", content=upload))
    assert len(str(refused.value)) < 300
    assert probe(SourceItem("video", "video", content=tmp_path / "clip.avi")).frames == 5


def test_a_client_who_leaves_in_the_middle_of_an_upload(fake, tmp_path, caplog):
    import socket

    head = "POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: video/mp4\r\n"
    with serving(fake, data=tmp_path / "data") as service:
        with socket.create_connection(("127.0.0.1", service.port), 10) as connection:
            connection.sendall(f"{head}Content-Length: 100000\r\n\r\n".encode() + bytes(5000))
        # No error of the service, and nothing is left of it.
        text = 'rtmpose_requests_total{route="/v1/jobs",status='
        wait_for(lambda: text in service.get("/metrics").body.decode())
        assert f'{text}"499"' in service.get("/metrics").body.decode()
        assert not list((tmp_path / "data" / "jobs").iterdir())
        assert service.get("/v1/jobs").json()["jobs"] == []
    assert "an error in" not in caplog.text
