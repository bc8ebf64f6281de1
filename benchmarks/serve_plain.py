"""The service beside the plain app that most people write first: one call per request.

    python benchmarks/serve_plain.py --seconds 8 --people 3 --output plain.json

Three forms of that app, each FastAPI with a handler that is no coroutine, so that it runs in
Starlette's pool of 40 threads, and with the engine's default threads:

- `lock`: one pipeline, one request at a time;
- `own`: a pipeline for each of eight threads;
- `shared`: one pipeline, called by all threads at the same time.

Clients send photos with at most `--people` people; their boxes too, unless `--find`. All have the
same photos, engine and clients. Bounded: seconds, clients, requests.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from argparse import Namespace
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import serve_load
from serve_clients import Load, send

KINDS = ("lock", "own", "shared")
OWN_THREADS = 8
"""Pipelines of the app with one for each thread: 40 would need gigabytes."""
START_S = 120.0


# ---- the app


def app_of(arguments: Namespace):
    """The app, as its kind says."""
    import anyio.to_thread
    import cv2
    import numpy as np
    from fastapi import Body, FastAPI

    from rtmpose import Pipeline

    def opened():
        return Pipeline(
            arguments.detector,
            arguments.pose,
            backend=arguments.backend,
            device="cpu",
            allow_spinning=True,  # as engines do unless told otherwise
        )

    lock = threading.Lock()
    of_thread = threading.local()
    shared = opened()

    def one_call(image, rows):
        if arguments.app != "own":
            return shared(image, boxes=rows)
        if not hasattr(of_thread, "pipeline"):
            of_thread.pipeline = opened()
        return of_thread.pipeline(image, boxes=rows)

    @asynccontextmanager
    async def few_threads(_):
        if arguments.app == "own":
            anyio.to_thread.current_default_thread_limiter().total_tokens = OWN_THREADS
        yield

    app = FastAPI(lifespan=few_threads)

    @app.post("/v1/poses")
    def poses(boxes: str | None = None, body: bytes = Body(media_type="image/jpeg")):
        image = cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_COLOR)
        rows = None if boxes is None else np.array(json.loads(boxes), np.float32)
        if arguments.app == "lock":
            with lock:
                found = one_call(image, rows)
        else:
            found = one_call(image, rows)
        return {"annotations": found.to_coco(0)}

    return app


@contextmanager
def plain_app(kind: str, arguments: Namespace):
    """The app in a process of its own; gives its port and process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    line = [sys.executable, __file__, "--app", kind, "--port", str(port)]
    line += ["--pose", arguments.pose, "--detector", arguments.detector]
    line += ["--backend", arguments.backend]
    process = subprocess.Popen(line)
    deadline = time.monotonic() + START_S
    try:
        while process.poll() is None and time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.2)
        yield port, process
    finally:
        process.terminate()
        process.wait(30)


# ---- the comparison


def cpu_s(process: subprocess.Popen) -> float:
    """Seconds of all cores that a process has used (Linux)."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measured(port: int, process: subprocess.Popen, photos: Path, arguments: Namespace) -> dict:
    """Throughput, times, and processor time of so many clients, after a while to warm up."""
    send(port, photos, Load(arguments.clients, arguments.warm_up))
    before = cpu_s(process)
    found = send(port, photos, Load(arguments.clients, arguments.seconds))
    del found["answers"]
    return {**found, "cpu_ms_each": 1000 * (cpu_s(process) - before) / max(1, found["requests"])}


def compare(photos: Path, arguments: Namespace) -> dict:
    """The service and each form of the app."""
    report: dict = {}
    if "service" in arguments.ways:
        with serve_load.service(arguments, arguments.max_batch) as (port, process):
            report["service"] = measured(port, process, photos, arguments)
        print_line("service", report["service"], report)
    for kind in KINDS:
        if kind in arguments.ways:
            with plain_app(kind, arguments) as (port, process):
                report[kind] = measured(port, process, photos, arguments)
            print_line(kind, report[kind], report)
    return report


def print_line(name: str, found: dict, report: dict) -> None:
    """A line of the table."""
    ours = report.get("service", {}).get("people_per_s", 0.0)
    ratio = ours / found["people_per_s"] if found["people_per_s"] else 0.0
    values = {key: round(value, 2) for key, value in found.items()}
    print(f"{name:8} {values}, the service has {ratio:.2f} times as many", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ways", default="service,lock,own,shared", help="what is measured")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=8.0, help="of each measurement")
    parser.add_argument("--warm-up", type=float, default=3.0, help="seconds before it")
    parser.add_argument("--people", type=int, default=3, help="at most, in a photo")
    parser.add_argument("--find", action="store_true", help="without boxes")
    serve_load.add_model_arguments(parser, backend="auto")
    # The app in a process of its own.
    parser.add_argument("--app", choices=KINDS, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, default=0, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.ways = arguments.ways.split(",")

    if arguments.app is not None:
        import uvicorn

        app = app_of(arguments)
        uvicorn.run(app, host="127.0.0.1", port=arguments.port, log_level="error")
        return
    with tempfile.TemporaryDirectory() as folder:
        every = serve_load.photos_and_boxes(arguments.detector, arguments.threads)
        few = [entry for entry in every if len(entry[2]) <= arguments.people]
        photos = serve_load.write_photos(Path(folder), few, with_boxes=not arguments.find)
        report = compare(photos, arguments)
    if arguments.output:
        settings = {key: str(value) for key, value in vars(arguments).items()}
        text = json.dumps({"cores": os.cpu_count(), "settings": settings, **report}, indent=2)
        arguments.output.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
