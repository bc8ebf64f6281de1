"""``rtmpose serve`` as a process: options, logs, SIGTERM, a sudden end."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading

import pytest

pytest.importorskip("fastapi", reason="needs the extra serve")
pytest.importorskip("uvicorn", reason="needs the extra serve")

from clips import clip
from jobs import posix
from serving import encoded, wait_for

from rtmpose.cli import main

TOKEN = "a-token-that-is-long"
SLOW = (
    "import sys, time\n"
    "import rtmpose.serve.engine as engine\n"
    "poses_of = engine.poses_of\n"
    "engine.poses_of = lambda *a: (time.sleep({delay}), poses_of(*a))[1]\n"
    "from rtmpose.cli import main\n"
    "sys.exit(main(sys.argv[1:]))\n"
)


class Process:
    """A service in a process of its own."""

    def __init__(self, *arguments, delay=0.0, **variables):
        line = [sys.executable, "-c", SLOW.format(delay=delay), "serve", "--port", "0", *arguments]
        environment = {**os.environ, **variables}
        self.process = subprocess.Popen(line, stderr=subprocess.PIPE, text=True, env=environment)
        self.lines = []
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()
        try:
            self.port = int(wait_for(self._port))
        except BaseException:
            # A process that didn't start must not leave its pipe to the next test.
            self._close()
            raise

    def _read(self):
        for line in self.process.stderr:
            self.lines.append(line)

    def _port(self):
        assert self.process.poll() is None, self.lines
        found = re.search(r"serving on http://[^:]+:(\d+)", "".join(self.lines))
        return found and found[1]

    def call(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            content = response.read()
            return response.status, json.loads(content) if content else None
        finally:
            connection.close()

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        status = self.process.wait(60)
        self.thread.join(10)
        return status

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._close()

    def _close(self):
        self.process.kill()
        self.process.wait()
        self.thread.join(10)
        self.process.stderr.close()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--host", "0.0.0.0"], "no-auth"),
        (["--max-batch", "0"], "max-batch"),
        (["--token-file", "missing.txt"], "missing.txt"),
        (["--box-thr", "2"], "box-thr"),
        (["--host", "no such host"], "no such host"),
    ],
)
def test_mistakes_are_said_before_models_are_opened(arguments, said, job_options, capsys):
    assert main(["serve", *job_options[:4], *arguments]) != 0
    assert said in capsys.readouterr().err.replace("\n", " ")


def test_without_the_packages(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    monkeypatch.delitem(sys.modules, "rtmpose.serve.server", raising=False)
    assert main(["serve"]) == 1
    assert "rtmpose[serve]" in capsys.readouterr().err


@posix
@pytest.mark.slow
def test_a_stop_answers_what_was_begun(job_options, tmp_path):
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    options = [*job_options, "--log-json", "--token-file", str(file)]
    with Process(*options, delay=1.0) as service:
        answers = []
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "image/png"}

        def ask():
            answers.append(service.call("POST", "/v1/poses?kpt_thr=0.25", encoded(), headers))

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        metrics = {"Authorization": f"Bearer {TOKEN}"}
        wait_for(lambda: "in_work 3.0" in text_of(service, "/metrics", metrics))
        assert service.end() == 0
        for thread in threads:
            thread.join(30)
    assert [status for status, _ in answers] == [200] * 3

    # Every line is JSON, and none tells the token or a query.
    lines = [json.loads(line) for line in service.lines]
    posts = [line for line in lines if line.get("path") == "/v1/poses"]
    assert [line["status"] for line in posts] == [200] * 3
    assert {"time", "level", "ms", "client", "request", "method"} <= set(posts[0])
    text = "".join(service.lines)
    assert TOKEN not in text
    assert "kpt_thr" not in text


def text_of(service, path, headers):
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=60)
    connection.request("GET", path, headers=headers)
    text = connection.getresponse().read().decode()
    connection.close()
    return text


@posix
@pytest.mark.slow
def test_a_process_that_is_killed_loses_no_job(job_options, tmp_path):
    video = clip(tmp_path / "clip.avi", frames=30).read_bytes()
    data = ["--data", str(tmp_path / "data")]
    with Process(*job_options, *data, delay=0.1) as service:
        jobs = [service.call("POST", "/v1/jobs", video, {})[1]["id"] for _ in range(2)]
        wait_for(lambda: service.call("GET", f"/v1/jobs/{jobs[0]}")[1]["frames"])
        assert service.end(signal.SIGKILL) == -signal.SIGKILL
    with Process(*job_options, *data) as service:
        for job in jobs:
            found = wait_for(
                lambda job=job: (
                    (now := service.call("GET", f"/v1/jobs/{job}")[1])["state"]
                    in ("done", "failed")
                    and now
                )
            )
            assert (found["state"], found["frames"]) == ("done", 30)
            assert len(found["files"]) == 4
        assert service.end() == 0
    # Nothing is left of the first attempt.
    left = [path.name for path in (tmp_path / "data").rglob("*") if ".tmp" in path.name]
    assert not left
