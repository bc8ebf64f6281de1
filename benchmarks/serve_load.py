"""Load on a service of this machine: throughput and latency with 1, 8 and 32 clients.

    python benchmarks/serve_load.py --seconds 20 --output load.json

Compares, for the same photos with the same boxes:

- `direct`: the engine fed from Python, as many images at once as there would be clients;
- `service`: clients over HTTP;
- `single`: the same service with one call per request (--max-batch 1).

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
import threading
import time
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from pathlib import Path

PHOTOS = Path(__file__).parents[1] / "rtmpose" / "assets" / "photos"
MOST_REQUESTS = 20_000
READY_S = 120


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


def clients(port: int, number: int, arguments, seconds: float) -> dict:
    """Clients over HTTP, a quarter of them in each of up to four processes."""
    groups = [number // 4 + (i < number % 4) for i in range(4)]
    line = [sys.executable, __file__, "--port", str(port), "--seconds", str(seconds)]
    line += ["--detector", arguments.detector, "--threads", "1"]
    started = [
        subprocess.Popen([*line, "--as-clients", str(size)], stdout=subprocess.PIPE, text=True)
        for size in groups
        if size
    ]
    latencies: list[float] = []
    people = refused = 0
    rate = 0.0
    for process in started:
        found = json.loads(process.communicate(timeout=seconds + READY_S)[0])
        latencies += found["latencies"]
        people += found["people"]
        refused += found["refused"]
        rate += found["people"] / found["seconds"]
    cut = statistics.quantiles(latencies, n=100) if len(latencies) > 1 else [0.0] * 99
    return {
        "requests": len(latencies),
        "refused": refused,
        "people_per_s": rate,
        "p50_ms": 1000 * cut[49],
        "p99_ms": 1000 * cut[98],
    }


def run_clients(arguments) -> dict:
    """Some clients as threads, each with a connection that is kept."""
    data = photos_and_boxes(arguments.detector, 1)
    bodies = [(path.read_bytes(), json.dumps(boxes.tolist())) for path, _, boxes in data]
    lock = threading.Lock()
    latencies: list[float] = []
    counts = {"people": 0, "refused": 0}
    begin = time.perf_counter()

    def one(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", arguments.port, timeout=60)
        turn = number
        while time.perf_counter() - begin < arguments.seconds and len(latencies) < MOST_REQUESTS:
            body, boxes = bodies[turn % len(bodies)]
            turn += 1
            path = f"/v1/poses?boxes={boxes.replace(' ', '')}"
            sent = time.perf_counter()
            connection.request("POST", path, body, {"Content-Type": "image/jpeg"})
            response = connection.getresponse()
            content = response.read()
            with lock:
                if response.status == 200:
                    latencies.append(time.perf_counter() - sent)
                    counts["people"] += len(json.loads(content)["annotations"])
                else:
                    counts["refused"] += 1
            if response.status == 429:
                time.sleep(0.05)

    threads = [threading.Thread(target=one, args=(i,)) for i in range(arguments.as_clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {"latencies": latencies, **counts, "seconds": time.perf_counter() - begin}


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
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--as-clients", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.as_clients:
        print(json.dumps(run_clients(arguments)))
        return

    numbers = [int(text) for text in arguments.clients.split(",")]
    data = photos_and_boxes(arguments.detector, arguments.threads)
    report: dict = {"cores": os.cpu_count(), "settings": vars(arguments) | {"output": None}}
    report["direct"] = direct(data, arguments, max(numbers))
    print("direct", report["direct"], flush=True)
    for name, max_batch in (("service", arguments.max_batch), ("single", 1)):
        with service(arguments, max_batch) as (port, process):
            clients(port, 1, arguments, 2.0)  # to warm up
            before = state_of(process)
            report[name] = {}
            for number in numbers:
                report[name][number] = clients(port, number, arguments, arguments.seconds)
                print(name, number, report[name][number], flush=True)
            report[name]["before"], report[name]["after"] = before, state_of(process)
    top = max(numbers)
    rate = report["service"][top]["people_per_s"]
    report["of_direct"] = rate / report["direct"]["people_per_s"]
    report["of_single"] = rate / report["single"][top]["people_per_s"]
    report["own_memory_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"of direct {report['of_direct']:.2f}, of single {report['of_single']:.2f}")
    if arguments.output:
        arguments.output.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
