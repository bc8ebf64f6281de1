"""Load on a service of this machine: throughput and latency with 1, 8 and 32 clients.

    python benchmarks/serve_load.py --seconds 20 --output load.json

Compares, for the same photos with the same boxes:

- `direct`: the engine fed from Python, as many images at once as there would be clients;
- `service`: clients over HTTP;
- `half`, `half_random`: requests at half of that rate, whether earlier ones are answered or not, at
  equal distances and at random moments;
- `single`: the same service with one call per request (--max-batch 1).

`--half` leaves out `direct` and `single`. `--requests 10000` sends photos of one person, without
boxes, and looks at the memory, threads and files of the service after each 500. `--stream` sends
frames of 720p with one person over a WebSocket, 25 a second, and compares the time to their results
with that of decoding and both networks alone.

Everything is bounded: seconds, clients, requests. Clients run in processes of their own.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from pathlib import Path

from serve_clients import MOST_REQUESTS, Load, send

PHOTOS = Path(__file__).parents[1] / "rtmpose" / "assets" / "photos"
FRAME_WH = (1280, 720)
FRAMES_PER_S = 25
ROUNDS = 6
"""Of a stream and of the networks alone, in turn, as other programs may be at work."""
READY_S = 120.0
EACH = 500
"""Requests from one look at the service to the next."""


def photos_and_boxes(detector: str, threads: int):
    """Bundled photos as files, decoded, and with the boxes of their people."""
    from rtmpose import Detector, read_image
    from rtmpose.backends import BackendOptions

    found = []
    model = Detector(detector, options=BackendOptions("onnxruntime", "cpu", threads))
    for path in sorted(PHOTOS.glob("0*.jpg")):
        image = read_image(path)
        boxes = model(image).boxes.round(1)
        if len(boxes):
            found.append((path, image, boxes))
    return found


# ---- the engine and the service


def direct(data, arguments, at_once: int) -> dict:
    """The engine fed from Python."""
    from rtmpose import Pipeline
    from rtmpose.serve.engine import Engine
    from rtmpose.serve.settings import ServeSettings
    from rtmpose.serve.tickets import ImageTask
    from rtmpose.types import Detections

    pipeline = Pipeline(
        None, arguments.pose, backend=arguments.backend, device="cpu", threads=arguments.threads
    )
    settings = ServeSettings(
        max_batch=arguments.max_batch, max_wait_ms=arguments.max_wait_ms, max_queue=1000
    )
    engine = Engine([pipeline.model], settings)
    waiting: set[Future] = set()
    people = count = 0
    begin = time.perf_counter()
    while time.perf_counter() - begin < arguments.seconds and count < MOST_REQUESTS:
        while len(waiting) < at_once:
            _, image, boxes = data[count % len(data)]
            waiting.add(
                engine.submit([ImageTask(image, Detections.from_boxes(boxes))], f"c{count % 32}")[0]
            )
            count += 1
        done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
        people += sum(len(future.result().poses) for future in done)
    # Those with many people come last.
    people += sum(len(future.result().poses) for future in waiting)
    seconds = time.perf_counter() - begin
    engine.close()
    return {"people_per_s": people / seconds, "images_per_s": count / seconds}


def wait_until_ready(port: int) -> None:
    """Until networks are compiled: else that counts as work for requests."""
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("GET", "/readyz")
        status = connection.getresponse().status
        connection.close()
        if status == 200:
            return
        time.sleep(0.2)


@contextmanager
def service(arguments, max_batch: int):
    """A service in a process of its own; gives its port and process."""
    line = [sys.executable, "-m", "rtmpose", "serve", "--port", "0", "--rate-limit", "0"]
    line += ["--backend", arguments.backend, "--device", "cpu"]
    line += ["--threads", str(arguments.threads)]
    line += ["--pose", arguments.pose, "--detector", arguments.detector]
    line += ["--max-batch", str(max_batch), "--max-wait-ms", str(arguments.max_wait_ms)]
    line += ["--max-queue", "512"]
    process = subprocess.Popen(line, stderr=subprocess.PIPE, text=True)
    port = 0
    for text in process.stderr:
        found = re.search(r"serving on http://[^:]+:(\d+)", text)
        if found:
            port = int(found[1])
            break
    # The log is read on, or the service would wait for it.
    threading.Thread(target=lambda: [None for _ in process.stderr], daemon=True).start()
    try:
        wait_until_ready(port)
        yield port, process
    finally:
        process.terminate()
        process.wait(60)


def state_of(process) -> dict:
    """Memory, threads and open files of a process (Linux)."""
    folder = Path(f"/proc/{process.pid}")
    if not folder.is_dir():
        return {}
    status = (folder / "status").read_text()
    return {
        "rss_mb": int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024,
        "threads": int(re.search(r"Threads:\s+(\d+)", status)[1]),
        "files": len(list((folder / "fd").iterdir())),
    }


# ---- many requests


def images_done(port: int) -> int:
    """Images with results since the service was started."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    return int(float(re.search(r"^rtmpose_images_total (\S+)", text, re.MULTILINE)[1]))


def many_requests(photos: Path, arguments) -> dict:
    """Memory, threads and files of a service, after each 500 requests."""
    states: list[dict] = []
    sent: dict = {}
    with service(arguments, arguments.max_batch) as (port, process):
        load = Load(8, arguments.requests_seconds, most=arguments.requests)
        sender = threading.Thread(target=lambda: sent.update(send(port, photos, load)))
        sender.start()
        while sender.is_alive():
            sender.join(0.2)
            done = images_done(port)
            if done >= EACH * len(states) or not sender.is_alive():
                states.append({"requests": done, **state_of(process)})
                print("requests", states[-1], flush=True)
    del sent["answers"]
    print("requests", sent, flush=True)
    return {**sent, "states": states}


# ---- streams


def frame_of_one_person() -> bytes:
    """A JPEG of 1280 by 720 pixels."""
    import cv2
    import numpy as np

    photo = cv2.imread(str(PHOTOS / "grace_hopper.jpg"))
    scale = FRAME_WH[1] / photo.shape[0]
    photo = cv2.resize(photo, None, fx=scale, fy=scale)
    canvas = np.full((FRAME_WH[1], FRAME_WH[0], 3), 114, np.uint8)
    width = min(photo.shape[1], FRAME_WH[0])
    canvas[:, :width] = photo[: FRAME_WH[1], :width]
    return cv2.imencode(".jpg", canvas)[1].tobytes()


def networks_alone(model, frame: bytes, seconds: float) -> list[float]:
    """Seconds of decoding a frame and of both networks, 25 times a second."""
    from rtmpose.serve.images import decode_upload

    times = []
    begin = time.perf_counter()
    for number in range(round(seconds * FRAMES_PER_S)):
        time.sleep(max(0.0, begin + number / FRAMES_PER_S - time.perf_counter()))
        started = time.perf_counter()
        image = decode_upload(frame, "frame", 50_000_000)
        model.estimate([image], [model.detect(image, max_people=1)])
        times.append(time.perf_counter() - started)
    return times


def streamed(port: int, frame: bytes, seconds: float) -> tuple[list[float], list[dict]]:
    """Seconds from sending a frame to having its result, 25 times a second, and what the service
    says of them.
    """
    from websockets.sync.client import connect

    sent: dict[int, float] = {}
    times: list[float] = []
    stages: list[dict] = []

    def receive(socket) -> None:
        for text in socket:
            arrived = time.perf_counter()
            message = json.loads(text)
            if message["type"] == "result":
                times.append(arrived - sent[message["frame"]])
                stages.append(message["ms"])

    with connect(f"ws://127.0.0.1:{port}/v1/stream", compression=None) as socket:
        reader = threading.Thread(target=receive, args=(socket,))
        reader.start()
        begin = time.perf_counter()
        for number in range(round(seconds * FRAMES_PER_S)):
            time.sleep(max(0.0, begin + number / FRAMES_PER_S - time.perf_counter()))
            sent[number] = time.perf_counter()
            socket.send(frame)
        time.sleep(0.5)
    reader.join(10)
    return times, stages


def stream_report(arguments) -> dict:
    """Medians, and how much longer the stream takes."""
    from rtmpose import Pipeline

    frame = frame_of_one_person()
    engine = {"backend": arguments.backend, "device": "cpu", "threads": arguments.threads}
    model = Pipeline(arguments.detector, arguments.pose, **engine).model
    alone: list[float] = []
    stream: list[float] = []
    stages: list[dict] = []
    seconds = arguments.seconds / ROUNDS
    with service(arguments, arguments.max_batch) as (port, _):
        for number in range(ROUNDS):
            networks = networks_alone(model, frame, seconds)
            times, said = streamed(port, frame, seconds)
            if number:  # the first is to warm up
                alone += networks
                stream += times
                stages += said
    found = {
        "networks_ms": 1000 * statistics.median(alone),
        "stream_ms": 1000 * statistics.median(stream),
        "stream_p99_ms": 1000 * statistics.quantiles(stream, n=100)[98],
        "frames": len(stream),
        "said_ms": {name: statistics.median(one[name] for one in stages) for name in stages[0]},
    }
    return {**found, "of_networks": found["stream_ms"] / found["networks_ms"]}


# ---- the report


def of_alone(half: dict, alone: dict) -> float:
    """How many times as long as the same photo alone a request takes, of a hundred the longest."""
    times: dict[int, list[float]] = {}
    for latency, photo in alone["answers"]:
        times.setdefault(photo, []).append(latency)
    usual = {photo: statistics.median(found) for photo, found in times.items()}
    ratios = [latency / usual[photo] for latency, photo in half["answers"]]
    return statistics.quantiles(ratios, n=100)[98]


def half_load(port: int, photos: Path, alone: dict, fastest: float, arguments) -> dict:
    """Requests at half of the highest rate; their times compared with those of one client."""
    found = {}
    for name, at_random in (("half", False), ("half_random", True)):
        load = Load(32, arguments.half_seconds, fastest / 2, at_random)
        half = send(port, photos, load)
        found[name] = {
            **half,
            "p99_of_alone": of_alone(half, alone),
            "p99_of_p50": half["p99_ms"] / alone["p50_ms"],
            "p99_of_p99": half["p99_ms"] / alone["p99_ms"],
        }
    return found


def compare(arguments, data, photos: Path) -> dict:
    """The engine alone, the service, and the service without shared calls."""
    report: dict = {}
    numbers = [int(text) for text in arguments.clients.split(",")]
    least, most = min(numbers), max(numbers)
    if not arguments.half:
        report["direct"] = direct(data, arguments, most)
        print("direct", report["direct"], flush=True)
    ways = [("service", arguments.max_batch)]
    if not arguments.half:
        ways.append(("single", 1))
    for name, max_batch in ways:
        with service(arguments, max_batch) as (port, process):
            send(port, photos, Load(1, 2.0))  # to warm up
            before = state_of(process)
            found = {n: send(port, photos, Load(n, arguments.seconds)) for n in numbers}
            if name == "service":
                fastest = found[most]["requests_per_s"]
                report |= half_load(port, photos, found[least], fastest, arguments)
            report[name] = {**found, "before": before, "after": state_of(process)}
    print_report(report, numbers)
    if not arguments.half:
        rate = report["service"][most]["people_per_s"]
        report["of_direct"] = rate / report["direct"]["people_per_s"]
        report["of_single"] = rate / report["single"][most]["people_per_s"]
        print(f"of direct {report['of_direct']:.2f}, of single {report['of_single']:.2f}")
    return report


def print_report(report: dict, numbers: list[int]) -> None:
    """A line for each measurement; single answers are left out of the report."""
    ways = [name for name in ("service", "single") if name in report]
    rows = [(f"{name} {n}", report[name][n]) for name in ways for n in numbers]
    rows += [(name, report[name]) for name in ("half", "half_random")]
    for name, found in rows:
        del found["answers"]
        print(name, {key: round(value, 2) for key, value in found.items()}, flush=True)


def write_photos(folder: Path, data, *, with_boxes: bool) -> Path:
    """What the clients send: photos, with or without the boxes of their people."""
    path = folder / "photos.json"
    photos = [
        (str(photo), json.dumps(boxes.tolist()).replace(" ", "") if with_boxes else None)
        for photo, _, boxes in data
    ]
    path.write_text(json.dumps(photos), encoding="utf-8")
    return path


def add_model_arguments(parser: argparse.ArgumentParser, *, backend: str) -> None:
    """What all benchmarks of the service let one choose; they differ in the usual engine."""
    parser.add_argument("--backend", default=backend)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--max-batch", type=int, default=16)
    parser.add_argument("--max-wait-ms", type=float, default=4.0)
    parser.add_argument("--pose", default="rtmpose-s-finetuned")
    parser.add_argument("--detector", default="rtmdet-nano-finetuned")
    parser.add_argument("--output", type=Path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clients", default="1,8,32", help="numbers of clients")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement")
    parser.add_argument("--half-seconds", type=float, default=30.0, help="of each at half load")
    add_model_arguments(parser, backend="onnxruntime")
    parser.add_argument("--half", action="store_true", help="only what half load needs")
    parser.add_argument("--requests", type=int, help="send so many, and look at the service")
    parser.add_argument("--requests-seconds", type=float, default=1200.0, help="at most")
    parser.add_argument("--stream", action="store_true", help="frames over a WebSocket")
    arguments = parser.parse_args()

    report: dict = {
        "cores": os.cpu_count(),
        "settings": {**vars(arguments), "output": None},
    }
    with tempfile.TemporaryDirectory() as folder:
        if arguments.stream:
            report["stream"] = stream_report(arguments)
            print("stream", report["stream"])
        else:
            data = photos_and_boxes(arguments.detector, arguments.threads)
            one_person = arguments.requests is not None
            if one_person:
                data = [entry for entry in data if len(entry[2]) == 1]
            photos = write_photos(Path(folder), data, with_boxes=not one_person)
            if one_person:
                report["requests"] = many_requests(photos, arguments)
            else:
                report |= compare(arguments, data, photos)
        report["own_memory_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if arguments.output:
        arguments.output.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
