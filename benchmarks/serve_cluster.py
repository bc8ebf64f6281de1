"""Proof of `rtmpose serve --ray`: a replica is killed under load, no accepted request is lost.

Two Ray nodes on this machine, a replica on each. Clients send photos; a replica is killed with
SIGKILL in the middle, and then the other one. With `--kill node` it is a whole node instead, and
another one joins later. Every answer must be 200, 429 or 503, the last two with Retry-After;
keypoints must be the same before and after; and there must be two replicas again.

    python benchmarks/serve_cluster.py --image PHOTO [--seconds 30] [--kill node]
        [--replicas auto] [-- OPTIONS OF rtmpose serve]

Needs the extra `serve-ray`. Exit status 1 if anything is not as it should be.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OBJECT_STORE = 100_000_000
REPLICA = b"ray::ServeReplica:rtmpose:"
START_S = 180.0
TIMEOUT_S = 120.0
NODE = {"num_cpus": 1, "object_store_memory": OBJECT_STORE}


@dataclass
class Seen:
    """What clients got."""

    statuses: Counter[int] = field(default_factory=Counter)
    answers: set[str] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


def start_cluster():
    """Two nodes of one core each."""
    from ray.cluster_utils import Cluster

    # Ray's workers yield to all others by default.
    os.environ.setdefault("RAY_worker_niceness", "0")
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    os.environ.update(PYTHONPATH=path, OMP_NUM_THREADS="1")
    cluster = Cluster(initialize_head=True, head_node_args={**NODE, "include_dashboard": False})
    cluster.add_node(**NODE)
    return cluster


def raylets_of(cluster) -> set[int]:
    """Process ids of the cluster's raylets: our replicas are their children, nobody else's."""
    found = set()
    for node in cluster.list_all_nodes():
        for kind, processes in node.all_processes.items():
            if "raylet" in str(kind):
                found |= {info.process.pid for info in processes}
    return found


def replicas_of(cluster) -> list[int]:
    """Process ids of the replicas."""
    raylets = raylets_of(cluster)
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            name = (folder / "cmdline").read_bytes()
            parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
        except (OSError, ValueError, IndexError):
            continue
        if name.startswith(REPLICA) and parent in raylets:
            found.append(int(folder.name))
    return found


def start_service(
    address: str, options: argparse.Namespace, log
) -> tuple[subprocess.Popen[str], int]:
    """The service, and its port."""
    where = ["--port", "0", "--ray", address, "--replicas", options.replicas, "--device", "cpu"]
    line = [sys.executable, "-m", "rtmpose", "serve", *where, *options.serve]
    process = subprocess.Popen(line, stderr=log, text=True)
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        found = re.search(r"serving on http://[^:]+:(\d+)", Path(log.name).read_text())
        if found:
            return process, int(found[1])
        time.sleep(0.2)
    process.kill()
    process.wait()
    sys.exit(f"the service did not start:\n{Path(log.name).read_text()}")


def ask(port: int, photo: bytes, seen: Seen) -> None:
    """One request, and what came of it."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    try:
        connection.request("POST", "/v1/poses", photo, {"Content-Type": "image/jpeg"})
        response = connection.getresponse()
        body = response.read()
    except OSError as error:
        with seen.lock:
            seen.wrong.append(f"no answer: {error}")
        return
    finally:
        connection.close()
    with seen.lock:
        seen.statuses[response.status] += 1
        if response.status == 200:
            seen.answers.add(json.dumps(json.loads(body)["annotations"]))
        elif response.status not in (429, 503) or not response.headers.get("Retry-After"):
            seen.wrong.append(f"status {response.status}: {body[:200]!r}")
    if response.status != 200:
        time.sleep(0.5)


def load(port: int, photo: bytes, clients: int, stop: threading.Event, seen: Seen):
    """Threads of clients that ask until they are stopped."""

    def go() -> None:
        while not stop.is_set():
            ask(port, photo, seen)

    threads = [threading.Thread(target=go) for _ in range(clients)]
    for thread in threads:
        thread.start()
    return threads


def wait_for_two(cluster) -> bool:
    """Whether there are two replicas, at the latest after a minute."""
    deadline = time.monotonic() + 60
    while len(replicas_of(cluster)) != 2 and time.monotonic() < deadline:
        time.sleep(0.5)
    return len(replicas_of(cluster)) == 2


def kill_replicas(cluster, seconds: float, seen: Seen) -> None:
    """Kill both replicas of the start, one after the other."""
    first = set(replicas_of(cluster))
    for number in range(2):
        time.sleep(seconds / 3)
        victim = min(first & set(replicas_of(cluster)), default=None)
        if victim is None:
            seen.wrong.append("no replica of the start is left to be killed")
            return
        os.kill(victim, signal.SIGKILL)
        print(f"replica {number + 1} of {len(first)} killed, {dict(seen.statuses)} so far")
    time.sleep(seconds / 3)


def kill_node(cluster, seconds: float, seen: Seen) -> None:
    """Kill the node that is not the head, with all its processes; later another one joins."""
    time.sleep(seconds / 3)
    node = next(node for node in cluster.list_all_nodes() if not node.head)
    cluster.remove_node(node, allow_graceful=False)
    print(f"a node killed, {dict(seen.statuses)} so far", flush=True)
    time.sleep(seconds / 3)
    before = seen.statuses[200]
    cluster.add_node(**NODE)
    print(f"another node joins, {dict(seen.statuses)} so far", flush=True)
    time.sleep(seconds / 3)
    if seen.statuses[200] == before:
        seen.wrong.append("nothing was answered after the node was lost")


KILL = {"replica": kill_replicas, "node": kill_node}


def run(options: argparse.Namespace) -> list[str]:
    """The proof; what is wrong."""
    seen = Seen()
    stop = threading.Event()
    photo = options.image.read_bytes()
    cluster = start_cluster()
    threads: list[threading.Thread] = []
    process = None
    log = tempfile.NamedTemporaryFile("w", suffix=".log")  # noqa: SIM115 (closed below)
    try:
        process, port = start_service(cluster.address, options, log)
        threads = load(port, photo, options.clients, stop, seen)
        if wait_for_two(cluster):
            KILL[options.kill](cluster, options.seconds, seen)
        else:
            seen.wrong.append("the load made no second replica")
        stop.set()
        for thread in threads:
            thread.join(TIMEOUT_S)

        if not wait_for_two(cluster):
            seen.wrong.append(f"{len(replicas_of(cluster))} replicas are left, not 2")
        process.send_signal(signal.SIGTERM)
        if process.wait(90) != 0:
            seen.wrong.append(f"the service ended with {process.returncode}")
        lost = Path(log.name).read_text().count("a replica was lost")
        print(f"{dict(seen.statuses)}, {lost} images were asked again")
    finally:
        stop.set()
        if process is not None and process.poll() is None:
            process.kill()
        cluster.shutdown()
        if seen.wrong:
            print(Path(log.name).read_text()[-4000:])
        log.close()
    if not seen.statuses[200]:
        seen.wrong.append("nothing was answered")
    if len(seen.answers) > 1:
        seen.wrong.append(f"{len(seen.answers)} different answers for one photo")
    return seen.wrong


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--image", type=Path, required=True, help="a JPEG with people")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--kill", choices=KILL, default="replica", help="what is killed")
    parser.add_argument("--replicas", choices=("2", "auto"), default="2")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("serve", nargs="*", help="options of rtmpose serve, after --")
    wrong = run(parser.parse_args())
    print("\n".join(wrong) or "no accepted request was lost")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
