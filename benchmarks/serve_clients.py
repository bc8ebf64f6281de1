"""Clients over HTTP for serve_load.py, in processes of their own.

A process has several clients as threads, each with a connection that is kept. Requests are sent as
fast as they are answered, or at moments that are known beforehand: at equal distances, or at random
ones with the same mean (of a fixed seed). Late is late, although no client was free to send it.
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import statistics
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from itertools import accumulate, repeat
from pathlib import Path

MOST_REQUESTS = 20_000
PROCESSES = 4
START_S = 2.0
"""Until the processes of clients are there."""
IMAGE_TYPE = {"Content-Type": "image/jpeg"}
SEED = 1


@dataclass(frozen=True)
class Load:
    """What is sent.

    Attributes:
        clients: How many there are.
        seconds: For how long.
        rate: Requests per second of all together; 0 for as fast as they are answered.
        at_random: At random moments instead of equal distances.
        most: Requests at most.
    """

    clients: int
    seconds: float
    rate: float = 0.0
    at_random: bool = False
    most: int = MOST_REQUESTS


def send(port: int, photos: Path, load: Load) -> dict:
    """Send, from up to four processes.

    Args:
        port: Of the service.
        photos: JSON file with pairs of a path and boxes as JSON; null for boxes detects.
        load: What is sent.
    """
    groups = [
        size
        for i in range(PROCESSES)
        if (size := load.clients // PROCESSES + (i < load.clients % PROCESSES))
    ]
    line = [sys.executable, __file__, "--port", str(port), "--photos", str(photos)]
    line += ["--seconds", str(load.seconds), "--rate", str(load.rate), "--most", str(load.most)]
    line += ["--groups", str(len(groups)), "--begin", str(time.time() + START_S)]
    line += ["--at-random"] * load.at_random
    started = [
        subprocess.Popen(
            [*line, "--group", str(i), "--clients", str(size)], stdout=subprocess.PIPE, text=True
        )
        for i, size in enumerate(groups)
    ]
    found = [json.loads(one.communicate(timeout=load.seconds + 120)[0]) for one in started]
    answers = [answer for one in found for answer in one["answers"]]
    latencies = [latency for latency, _ in answers]
    cut = statistics.quantiles(latencies, n=100) if len(latencies) > 1 else [0.0] * 99
    return {
        "requests": len(latencies),
        "refused": sum(one["refused"] for one in found),
        "requests_per_s": len(latencies) / max(one["seconds"] for one in found),
        "people_per_s": sum(one["people"] / one["seconds"] for one in found),
        "p50_ms": 1000 * cut[49],
        "p99_ms": 1000 * cut[98],
        "answers": answers,
    }


# ---- in a process of clients


def moments(arguments: argparse.Namespace) -> list[float] | None:
    """When all requests of all processes are due; None for as fast as they are answered."""
    if not arguments.rate:
        return None
    gaps = repeat(1 / arguments.rate, arguments.most)
    if arguments.at_random:
        rng = random.Random(SEED)
        gaps = (rng.expovariate(arguments.rate) for _ in range(arguments.most))
    return list(accumulate(gaps))


def ask(connection: http.client.HTTPConnection, path: str, body: bytes) -> tuple[int, bytes]:
    """Status and body of the answer."""
    connection.request("POST", path, body, IMAGE_TYPE)
    response = connection.getresponse()
    return response.status, response.read()


def run_clients(arguments: argparse.Namespace) -> dict:
    """The clients of one process."""
    photos = json.loads(arguments.photos.read_text(encoding="utf-8"))
    bodies = [
        (Path(path).read_bytes(), "/v1/poses" + ("" if boxes is None else f"?boxes={boxes}"))
        for path, boxes in photos
    ]
    schedule = moments(arguments)
    lock = threading.Lock()
    answers: list[tuple[float, int]] = []
    counts = {"people": 0, "refused": 0, "begun": 0}
    # All processes begin at the same moment.
    begin = time.perf_counter() + arguments.begin - time.time()
    end = begin + arguments.seconds

    def next_turn() -> tuple[float, int] | None:
        """When the next request is due, whoever sends it, and its photo."""
        with lock:
            turn = counts["begun"]
            counts["begun"] += 1
        number = turn * arguments.groups + arguments.group
        if number >= arguments.most:
            return None
        if schedule is not None:
            due, photo = begin + schedule[number], number
        else:
            # Every process sends all photos: one with small ones only would send more of them.
            due, photo = time.perf_counter(), turn + arguments.group
        return (max(due, begin), photo % len(bodies)) if due < end else None

    def one() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", arguments.port, timeout=60)
        while (turn := next_turn()) is not None:
            due, photo = turn
            time.sleep(max(0.0, due - time.perf_counter()))
            body, path = bodies[photo]
            try:
                status, content = ask(connection, path, body)
            except (http.client.HTTPException, OSError):
                # The service closes connections on which nothing comes for long.
                connection.close()
                status, content = ask(connection, path, body)
            with lock:
                if status == 200:
                    answers.append((time.perf_counter() - due, photo))
                    counts["people"] += len(json.loads(content)["annotations"])
                else:
                    counts["refused"] += 1
            if status == 429:
                time.sleep(0.05)

    threads = [threading.Thread(target=one) for _ in range(arguments.clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {"answers": answers, **counts, "seconds": time.perf_counter() - begin}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("port", "clients", "group", "groups", "most"):
        parser.add_argument(f"--{name}", type=int, required=True)
    for name in ("seconds", "rate", "begin"):
        parser.add_argument(f"--{name}", type=float, required=True)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--at-random", action="store_true")
    print(json.dumps(run_clients(parser.parse_args())))


if __name__ == "__main__":
    main()
