"""Load on a service of this machine: throughput and latency with 1, 8 and 32 clients.

    python benchmarks/serve_load.py --seconds 20 --output load.json

Compares, for the same photos with the same boxes:

- `direct`: the engine fed from Python, as many images at once as there would be clients;
- `service`: clients over HTTP;
- `half`: requests at half of that rate, whether earlier ones are answered or not;
- `single`: the same service with one call per request (--max-batch 1).

`--requests 10000` sends as many to the service and looks at its memory, threads and files on the
way. `--stream` sends frames of 720p with one person over a WebSocket, 25 a second, and compares
the time to their results with that of decoding and both networks alone.

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

PHOTOS = Path(__file__).parents[1] / "rtmpose" / "assets" / "photos"
MOST_REQUESTS = 20_000
FRAME_WH = (1280, 720)
FRAMES_PER_S = 25
START_S = 2.0
"""Until the processes of clients are there."""
IMAGE_TYPE = {"Content-Type": "image/jpeg"}


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


# ---- the three ways


def direct(data, arguments, at_once: int) -> dict:
    from rtmpose import Pipeline
    from rtmpose.serve.engine import Engine, ImageTask
    from rtmpose.serve.settings import ServeSettings
    from rtmpose.types import Detections

    pipeline = Pipeline(
        None, arguments.pose, backend="onnxruntime", device="cpu", threads=arguments.threads
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
    seconds = time.perf_counter() - begin
    engine.close()
    return {"people_per_s": people / seconds, "images_per_s": count / seconds}


@contextmanager
def service(arguments, max_batch: int):
    """A service in a process of its own; gives its port and process."""
    line = [sys.executable, "-m", "rtmpose", "serve", "--port", "0", "--rate-limit", "0"]
    line += ["--backend", "onnxruntime", "--device", "cpu", "--threads", str(arguments.threads)]
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
        yield port, process
    finally:
        process.terminate()
        process.wait(60)


def clients(port: int, number: int, arguments, seconds: float, rate: float = 0.0) -> dict:
    """Clients over HTTP, a quarter of them in each of up to four processes; `rate` in requests per
    second of all together, at equal distances, 0 for as fast as they are answered.
    """
    groups = [size for i in range(4) if (size := number // 4 + (i < number % 4))]
    line = [sys.executable, __file__, "--port", str(port), "--seconds", str(seconds)]
    line += ["--photos", str(arguments.photos), "--groups", str(len(groups)), "--rate", str(rate)]
    line += ["--begin", str(time.time() + START_S)]
    started = [
        subprocess.Popen(
            [*line, "--group", str(i), "--as-clients", str(size)], stdout=subprocess.PIPE, text=True
        )
        for i, size in enumerate(groups)
    ]
    found = [json.loads(process.communicate(timeout=seconds + 120)[0]) for process in started]
    latencies = [latency for one in found for latency, _ in one["answers"]]
    people = sum(one["people"] / one["seconds"] for one in found)
    cut = statistics.quantiles(latencies, n=100) if len(latencies) > 1 else [0.0] * 99
    return {
        "requests": len(latencies),
        "refused": sum(one["refused"] for one in found),
        "requests_per_s": len(latencies) / max(one["seconds"] for one in found),
        "people_per_s": people,
        "p50_ms": 1000 * cut[49],
        "p99_ms": 1000 * cut[98],
        "answers": [answer for one in found for answer in one["answers"]],
    }


def run_clients(arguments) -> dict:
    """Some clients as threads, each with a connection that is kept."""
    photos = json.loads(arguments.photos.read_text(encoding="utf-8"))
    bodies = [(Path(path).read_bytes(), boxes) for path, boxes in photos]
    lock = threading.Lock()
    answers: list[tuple[float, int]] = []
    counts = {"people": 0, "refused": 0, "begun": 0}
    # All processes begin at the same moment.
    begin = time.perf_counter() + arguments.begin - time.time()
    end = begin + arguments.seconds

    def next_turn() -> tuple[float, int]:
        """When the next request is due, whoever sends it, and its number."""
        with lock:
            turn = counts["begun"] * arguments.groups + arguments.group
            counts["begun"] += 1
        due = begin + turn / arguments.rate if arguments.rate else time.perf_counter()
        return max(due, begin), turn

    def one() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", arguments.port, timeout=60)
        # Late is late, although nobody was free to send it.
        while (turn := next_turn())[0] < end and len(answers) < MOST_REQUESTS:
            due, number = turn
            time.sleep(max(0.0, due - time.perf_counter()))
            body, boxes = bodies[number % len(bodies)]
            connection.request("POST", f"/v1/poses?boxes={boxes}", body, IMAGE_TYPE)
            response = connection.getresponse()
            content = response.read()
            with lock:
                if response.status == 200:
                    answers.append((time.perf_counter() - due, number % len(bodies)))
                    counts["people"] += len(json.loads(content)["annotations"])
                else:
                    counts["refused"] += 1
            if response.status == 429:
                time.sleep(0.05)

    threads = [threading.Thread(target=one) for _ in range(arguments.as_clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {"answers": answers, **counts, "seconds": time.perf_counter() - begin}


def p99_of_alone(half: dict, alone: dict) -> float:
    """How many times as long as the same photo alone a request takes, of a hundred the longest."""
    times: dict[int, list[float]] = {}
    for latency, photo in alone["answers"]:
        times.setdefault(photo, []).append(latency)
    usual = {photo: statistics.median(found) for photo, found in times.items()}
    ratios = [latency / usual[photo] for latency, photo in half["answers"]]
    return statistics.quantiles(ratios, n=100)[98]


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


# ---- many requests, streams


CLIENT_OPTIONS = {
    "photos": Path,
    "port": int,
    "as-clients": int,
    "group": int,
    "groups": int,
    "rate": float,
    "begin": float,
}
"""Options of the processes of clients."""


def many_requests(arguments) -> list[dict]:
    """Memory, threads and files of a service, after each quarter of the requests."""
    states = []
    with service(arguments, arguments.max_batch) as (port, process):
        clients(port, 8, arguments, 2.0)  # to warm up
        sent = 0
        for quarter in range(5):
            while sent < arguments.requests * quarter / 4:
                sent += clients(port, 8, arguments, arguments.seconds)["requests"]
            states.append({"requests": sent, **state_of(process)})
            print("requests", states[-1], flush=True)
    return states


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


def networks_alone(frame: bytes, arguments) -> list[float]:
    """Seconds of decoding a frame and of both networks, 25 times a second."""
    from rtmpose import Pipeline
    from rtmpose.serve.images import decode_upload

    model = Pipeline(
        arguments.detector,
        arguments.pose,
        backend="onnxruntime",
        device="cpu",
        threads=arguments.threads,
    ).model
    times = []
    for _ in range(round(arguments.seconds * FRAMES_PER_S)):
        started = time.perf_counter()
        image = decode_upload(frame, "frame", 50_000_000)
        model.estimate([image], [model.detect(image, max_people=1)])
        times.append(time.perf_counter() - started)
        time.sleep(max(0.0, 1 / FRAMES_PER_S - times[-1]))
    return times


def streamed(frame: bytes, arguments) -> list[float]:
    """Seconds from sending a frame to having its result, 25 times a second."""
    from websockets.sync.client import connect

    sent: dict[int, float] = {}
    times: list[float] = []

    def receive(socket) -> None:
        for text in socket:
            message = json.loads(text)
            if message["type"] == "result":
                times.append(time.perf_counter() - sent[message["frame"]])

    with service(arguments, arguments.max_batch) as (port, _):
        address = f"ws://127.0.0.1:{port}/v1/stream"
        with connect(address, compression=None) as socket:
            reader = threading.Thread(target=receive, args=(socket,))
            reader.start()
            begin = time.perf_counter()
            for number in range(round(arguments.seconds * FRAMES_PER_S)):
                time.sleep(max(0.0, begin + number / FRAMES_PER_S - time.perf_counter()))
                sent[number] = time.perf_counter()
                socket.send(frame)
            time.sleep(1.0)
        reader.join(10)
    return times


def stream_report(arguments) -> dict:
    """Medians, and how much longer the stream takes."""
    frame = frame_of_one_person()
    # One after the other, and again, as other programs may be at work.
    alone, stream = [], []
    for _ in range(2):
        alone += networks_alone(frame, arguments)
        stream += streamed(frame, arguments)
    found = {
        "networks_ms": 1000 * statistics.median(alone),
        "stream_ms": 1000 * statistics.median(stream),
        "stream_p99_ms": 1000 * statistics.quantiles(stream, n=100)[98],
        "frames": len(stream),
    }
    return {**found, "of_networks": found["stream_ms"] / found["networks_ms"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clients", default="1,8,32", help="numbers of clients")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--max-batch", type=int, default=16)
    parser.add_argument("--max-wait-ms", type=float, default=4.0)
    parser.add_argument("--pose", default="rtmpose-s-finetuned")
    parser.add_argument("--detector", default="rtmdet-nano-finetuned")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--requests", type=int, help="send so many, and look at the service")
    parser.add_argument("--stream", action="store_true", help="frames over a WebSocket")
    for name, kind in CLIENT_OPTIONS.items():
        parser.add_argument(f"--{name}", type=kind, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.as_clients:
        print(json.dumps(run_clients(arguments)))
        return

    report: dict = {
        "cores": os.cpu_count(),
        "settings": {**vars(arguments), "output": None, "photos": None},
    }
    with tempfile.TemporaryDirectory() as folder:
        data = photos_and_boxes(arguments.detector, arguments.threads)
        arguments.photos = Path(folder) / "photos.json"
        photos = [(str(path), json.dumps(b.tolist()).replace(" ", "")) for path, _, b in data]
        arguments.photos.write_text(json.dumps(photos), encoding="utf-8")
        if arguments.stream:
            report["stream"] = stream_report(arguments)
            print("stream", report["stream"])
        if arguments.requests:
            report["requests"] = many_requests(arguments)
        if not (arguments.stream or arguments.requests):
            compare(arguments, data, report)
        report["own_memory_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if arguments.output:
        arguments.output.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def compare(arguments, data, report: dict) -> None:
    """The engine alone, the service, and the service without shared calls."""
    numbers = [int(text) for text in arguments.clients.split(",")]
    least, most = min(numbers), max(numbers)
    report["direct"] = direct(data, arguments, most)
    print("direct", report["direct"], flush=True)
    for name, max_batch in (("service", arguments.max_batch), ("single", 1)):
        with service(arguments, max_batch) as (port, process):
            clients(port, 1, arguments, 2.0)  # to warm up
            before = state_of(process)
            found = {n: clients(port, n, arguments, arguments.seconds) for n in numbers}
            if name == "service":
                rate = found[most]["requests_per_s"] / 2
                half = clients(port, most, arguments, arguments.seconds, rate)
                report["half"] = {**half, "of_alone": p99_of_alone(half, found[least])}
            report[name] = {**found, "before": before, "after": state_of(process)}
    print_report(report, numbers)
    rate = report["service"][most]["people_per_s"]
    report["of_direct"] = rate / report["direct"]["people_per_s"]
    report["of_single"] = rate / report["single"][most]["people_per_s"]
    report["half_p99_of_p50"] = report["half"]["p99_ms"] / report["service"][least]["p50_ms"]
    report["half_p99_of_p99"] = report["half"]["p99_ms"] / report["service"][least]["p99_ms"]
    print(
        f"of direct {report['of_direct']:.2f}, of single {report['of_single']:.2f}; p99 at half"
        f" load {report['half_p99_of_p50']:.1f} times the median and"
        f" {report['half_p99_of_p99']:.1f} times the p99 of one client,"
        f" {report['half']['of_alone']:.1f} times the same photo alone"
    )


def print_report(report: dict, numbers: list[int]) -> None:
    """A line for each measurement; single answers are left out of the report."""
    rows = [(f"{name} {n}", report[name][n]) for name in ("service", "single") for n in numbers]
    for name, found in (*rows, ("half load", report["half"])):
        del found["answers"]
        print(name, {key: round(value, 1) for key, value in found.items()}, flush=True)


if __name__ == "__main__":
    main()
