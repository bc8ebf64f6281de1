#!/usr/bin/env bash
# One would guess: idle worker threads of ncnn sleep, or do so with opt.openmp_blocktime = 0.
# What happens: they spin while they wait for the slowest of them, which has lost its core to
# another program. The processor time of a run is many times that of one thread.
# Why it hurts: pose runs on small boards beside a camera, an encoder and a web server; each of
# them is slowed down, and so is the network.
# What helps: OMP_WAIT_POLICY=passive, set before ncnn is imported. rtmpose 0.1.0 sets it
# (rtmpose/backends/ncnn.py).
# Seen in six runs, 2 cores, 8 busy programs: 1 thread 0.4 s, 2 threads 2 to 13 s, with blocktime 0
# 3 to 15 s, passive 0.7 to 0.9 s
#
# Ends with a status other than 0 where the behavior has changed.
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    "ncnn==1.0.20261020" "numpy==2.4.6"

cat > "$folder/run.py" <<'PYTHON'
"""Prints the processor time of 200 runs of a small network: run.py THREADS BLOCKTIME"""
import sys
import time
from pathlib import Path

import ncnn
import numpy as np

threads, blocktime = int(sys.argv[1]), int(sys.argv[2])
layers = 6
lines = ["Input in0 0 1 b0"]
for i in range(layers):
    lines.append(f"Convolution c{i} 1 1 b{i} b{i + 1} 0=32 1=3 4=1 5=0 6=9216")
text = "\n".join(["7767517", f"{layers + 1} {layers + 1}", *lines]) + "\n"
Path("n.param").write_text(text)
block = b"\0\0\0\0" + np.full(9216, 0.001, np.float32).tobytes()
Path("n.bin").write_bytes(block * layers)

net = ncnn.Net()
net.opt.num_threads = threads
net.opt.openmp_blocktime = blocktime
assert net.load_param("n.param") == 0
assert net.load_model("n.bin") == 0

image = np.zeros((32, 64, 64), np.float32)  # kept here: the Mat does not keep it


def run():
    extractor = net.create_extractor()
    extractor.input("b0", ncnn.Mat(image))
    return extractor.extract(f"b{layers}")


run()
start = time.process_time()
for _ in range(200):
    run()
print(time.process_time() - start)
PYTHON

cat > "$folder/compare.py" <<'PYTHON'
import importlib.metadata
import os
import subprocess
import sys

cores = len(os.sched_getaffinity(0))
threads = max(2, cores)
busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(4 * cores)]


def processor_time(threads, blocktime=20, **settings):
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "KMP_"))}
    command = [sys.executable, "run.py", str(threads), str(blocktime)]
    done = subprocess.run(
        command, env={**environment, **settings}, stdout=subprocess.PIPE, text=True, check=True
    )
    return float(done.stdout)


try:
    one = processor_time(1)
    plain = processor_time(threads)
    block = processor_time(threads, blocktime=0)
    passive = processor_time(threads, OMP_WAIT_POLICY="passive")
finally:
    for process in busy:
        process.kill()
        process.wait()
print("ncnn", importlib.metadata.version("ncnn"), f"on {cores} cores, {len(busy)} busy neighbors")
print(f"processor time, 1 thread:                        {one:6.2f} s")
print(f"processor time, {threads} threads:                       {plain:6.2f} s")
print(f"processor time, {threads} threads, openmp_blocktime = 0: {block:6.2f} s")
print(f"processor time, {threads} threads, passive waiting:      {passive:6.2f} s")
surprise = plain > 2 * passive and block > 2 * passive
print("as described" if surprise else "changed: idle threads do not spin")
sys.exit(0 if surprise else 1)
PYTHON
cd "$folder"
"$folder/venv/bin/python" compare.py
