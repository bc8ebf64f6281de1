"""A long run: does the pipeline grow in memory, threads or file handles?

    python benchmarks/soak.py VIDEO [--frames 10000] [--detector rtmdet-nano] [--det-interval 5]

The clip is repeated, at half size, until there are that many frames, and tracked in one run; then
such a run is started and stopped 200 times. Resident memory, what of it the C library has handed
out, threads and open files are read on the way (Linux only). Resident memory grows a little with
every new pattern of threads, because the C library keeps what was freed for each; what is handed
out must not grow at all.
"""

import argparse
import ctypes
import tempfile
import time
from pathlib import Path

import cv2

from rtmpose import BackendOptions, Detector, PoseEstimator
from rtmpose.sources import expand_sources
from rtmpose.tracking import PoseTracker, TrackerParams
from rtmpose.tracking.video import VideoTracker

STARTS = 200


class _Figures(ctypes.Structure):
    # The C library's `struct mallinfo2`.
    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    ]


def handed_out():
    # Megabytes that the C library has given away: in its arenas, and mapped; NaN where it does not
    # tell.
    mallinfo = getattr(ctypes.CDLL(None), "mallinfo2", None)
    if mallinfo is None:
        return float("nan")
    mallinfo.restype = _Figures
    figures = mallinfo()
    return (figures.uordblks + figures.hblkhd) / 2**20


def usage():
    # Resident memory in MB, threads, open files.
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    files = len(list(Path("/proc/self/fd").iterdir()))
    return int(status["VmRSS"].split()[0]) / 1024, int(status["Threads"]), files


def report(what):
    memory, threads, files = usage()
    used = f"{memory:7.0f} MB ({handed_out():5.1f} in use)"
    print(f"{what:>24}: {used}, {threads:3d} threads, {files:3d} files", flush=True)


def repeated(video, frames, folder):
    # One long file, written once and read in one run.
    path = Path(folder) / "long.mp4"
    done = 0
    writer = None
    while done < frames:
        capture = cv2.VideoCapture(video)
        while done < frames:
            good, image = capture.read()
            if not good:
                break
            image = cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
            if writer is None:
                size = (image.shape[1], image.shape[0])
                writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 30, size)
            writer.write(image)
            done += 1
        capture.release()
    writer.release()
    return path


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("video")
    parser.add_argument("--frames", type=int, default=10_000)
    parser.add_argument("--detector", default="yolox-tiny")
    parser.add_argument("--pose", default="rtmpose-s")
    parser.add_argument("--det-interval", type=int, default=5)
    arguments = parser.parse_args()
    options = BackendOptions()
    detector = Detector(arguments.detector, options=options)
    tracker = PoseTracker(detector, PoseEstimator(arguments.pose, options=options), TrackerParams())
    with tempfile.TemporaryDirectory() as folder:
        items = expand_sources([str(repeated(arguments.video, arguments.frames, folder))])
        report("opened")
        start = time.perf_counter()
        people = 0
        # The long run: reports should stay level after the first.
        tracking = VideoTracker(tracker, interval=arguments.det_interval)
        for count, tracked in enumerate(tracking.run(items), 1):
            people += len(tracked.poses)
            if count % (arguments.frames // 10) == 0 or count == 100:
                report(f"{count} frames")
        seconds = time.perf_counter() - start
        print(f"{count} frames, {people / count:.1f} people per frame, {count / seconds:.1f} fps")

        # Runs that are left early must leave nothing behind.
        for k in range(STARTS):
            run = VideoTracker(tracker, interval=arguments.det_interval).run(items)
            for _ in range(3):
                next(run)
            run.close()
            if k + 1 in (1, 10, 25, 50, 100, 150, STARTS):
                report(f"{k + 1} starts and stops")


if __name__ == "__main__":
    main()
