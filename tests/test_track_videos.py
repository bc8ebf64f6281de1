"""Tracking of whole videos and streams: ids, order of frames, errors, what is left behind."""

import json
import threading
import time

import cv2
import numpy as np
import pytest
from clips import clip, threads
from made_people import SKELETON, Crowd
from made_videos import blank, set_display_matrix, write_video
from networks import fixed_detector, spot_pose

from rtmpose import Detections
from rtmpose.cli import main
from rtmpose.sources import SourceItem, expand_sources, open_frames
from rtmpose.tracking import PoseTracker, TrackerParams
from rtmpose.tracking.video import VideoTracker
from rtmpose.types import Frame, Poses


@pytest.mark.slow
@pytest.mark.parametrize(
    ("clip", "people", "frames"),
    [
        ("mmaction2_two_people.mp4", 2, 72),  # in contact
        ("pose2sim_multi_cam01.mp4", 3, 99),  # a treadmill
        ("pose2sim_multi_cam03.mp4", 2, 99),
        ("sports2d_jump_960.mp4", 2, 160),  # somebody jumps and curls up, somebody walks by
    ],
)
def test_real_clips_keep_their_ids(shared, clip, people, frames):
    """With the default models, one id each from a person's first frame to the last."""
    from rtmpose import Detector, PoseEstimator
    from rtmpose.backends import BackendOptions
    from rtmpose.sources import expand_sources
    from rtmpose.tracking.video import VideoTracker

    options = BackendOptions(precision="fp32")
    tracker = PoseTracker(Detector(options=options), PoseEstimator(options=options))
    counts = {}
    for tracked in VideoTracker(tracker).run(
        expand_sources([str(shared / "data" / "video" / clip)])
    ):
        for number in tracked.poses.ids.tolist():
            counts[number] = counts.get(number, 0) + 1
    assert sum(count >= frames for count in counts.values()) == people, counts


def test_many_starts_and_stops_leave_nothing_behind(tmp_path):
    """50 short runs over a clip: no thread and no file handle stays."""
    from pathlib import Path

    from rtmpose import BackendOptions, Detector, PoseEstimator
    from rtmpose.sources import expand_sources
    from rtmpose.tracking.video import VideoTracker

    options = BackendOptions("onnxruntime", "cpu", 1)
    detector = Detector(
        fixed_detector(tmp_path / "yolox_t.onnx", [[8, 4, 40, 44, 0.9]]), options=options
    )
    tracker = PoseTracker(
        detector, PoseEstimator(spot_pose(tmp_path / "spot.onnx"), options=options)
    )
    items = expand_sources([str(clip(tmp_path / "a.avi", 6))])

    def handles():
        folder = Path("/proc/self/fd")
        return len(list(folder.iterdir())) if folder.exists() else 0

    for k in range(50):
        run = VideoTracker(tracker).run(items)
        next(run)
        run.close()  # left in the middle
        if k == 4:
            before = handles()
    assert threads() == 0
    assert handles() <= before + 2


def tiny_tracker(tmp_path, **params):
    from rtmpose import BackendOptions, Detector, PoseEstimator

    options = BackendOptions("onnxruntime", "cpu", 1)
    detector = Detector(
        fixed_detector(tmp_path / "yolox_t.onnx", [[8, 4, 40, 44, 0.9]]), options=options
    )
    pose = PoseEstimator(spot_pose(tmp_path / "spot.onnx"), options=options)
    return PoseTracker(detector, pose, TrackerParams(pose_min_keypoints=0, **params))


def test_the_resolution_changes_and_time_goes_back(tmp_path):
    tracker = tiny_tracker(tmp_path)
    image = np.zeros((60, 80, 3), np.uint8)
    image[10:40, 20:26] = (0, 0, 255)
    assert len(tracker(image, time_s=1.0)) == 1
    assert len(tracker(cv2.resize(image, (160, 120)), time_s=0.5)) <= 2
    assert np.isfinite(tracker(image, time_s=0.5).keypoints).all()


def test_people_are_found_ahead_or_in_turn(tmp_path, monkeypatch):
    """A process with one core does all of it in one thread, with the same results."""
    items = expand_sources([str(clip(tmp_path / "a.avi", 6))])
    found = {}
    for wanted, cores in ((True, 2), (False, 2), (True, 1)):
        ahead = wanted and cores > 1
        monkeypatch.setattr("rtmpose.tracking.video.usable_cpus", lambda cores=cores: cores)
        tracker = tiny_tracker(tmp_path)
        find = tracker.find_people
        names = set()

        def watched(*arguments, names=names, find=find):
            names.add(threading.current_thread() is threading.main_thread())
            return find(*arguments)

        monkeypatch.setattr(tracker, "find_people", watched)
        run = VideoTracker(tracker, detect_ahead=wanted).run(items)
        found[wanted, cores] = [tracked.poses.keypoints for tracked in run]
        assert names == {not ahead}
    assert len(found[True, 2]) == 6
    for frames in zip(*found.values(), strict=True):
        for other in frames[1:]:
            np.testing.assert_array_equal(other, frames[0])


def test_four_streams_at_once(tmp_path):
    from rtmpose.sources import expand_sources
    from rtmpose.tracking.video import VideoTracker

    items = expand_sources([str(clip(tmp_path / f"{n}.avi", 6 + n)) for n in range(4)])
    follower = VideoTracker(tiny_tracker(tmp_path))
    seen = {}
    for tracked in follower.run(items):
        seen.setdefault(tracked.item.name, []).append(tracked.frame.index)
    assert [len(v) for v in seen.values()] == [6, 7, 8, 9]
    assert all(v == sorted(v) for v in seen.values())
    assert follower.statistics.frames == 30
    assert threads() == 0


def test_a_worker_that_dies_ends_the_run_with_its_error(tmp_path, monkeypatch):
    from rtmpose.sources import expand_sources
    from rtmpose.tracking.video import VideoTracker

    calls = []

    class Dying:
        def __call__(self, image, *, box_thr=None):
            calls.append(1)
            if len(calls) > 5:
                raise RuntimeError("the detector died")
            return Detections.from_boxes([[8, 4, 40, 44]])

    tracker = PoseTracker(Dying(), tiny_tracker(tmp_path).pose)
    items, seen = expand_sources([str(clip(tmp_path / "a.avi"))]), []

    def run():
        for tracked in VideoTracker(tracker).run(items):
            seen.append(tracked.frame.index)

    with pytest.raises(RuntimeError, match="the detector died"):
        run()
    assert seen == [0, 1, 2, 3, 4]
    assert threads() == 0


def test_live_sources_give_their_newest_frame(monkeypatch):
    """Nothing is detected ahead of a slow pose network: what is shown would be old."""
    made, ages = [], []

    def camera(_item):
        for index in range(60):
            made.append(index)
            yield Frame(np.full((8, 8, 3), index, np.uint8), index, index / 200, "camera")
            time.sleep(0.005)

    class Slow(PoseTracker):
        def track_batch(self, states, images, **_):
            ages.append(made[-1] - int(images[0][0, 0, 0]))
            time.sleep(0.04)
            return [Poses.empty(SKELETON)]

    monkeypatch.setattr("rtmpose.tracking.video.open_frames", camera)
    follower = VideoTracker(Slow(None, Crowd(), whole_image=True))
    shown = [t.frame.index for t in follower.run([SourceItem("camera", "camera")])]
    assert shown == sorted(shown)
    assert len(shown) < 30
    assert follower.statistics.dropped >= 60 - len(shown) - 2
    assert np.median(ages) <= 2


def test_a_turned_clip_of_three_minutes(tmp_path):
    """A phone held upright: the video that is drawn is upright to its last frame, and as long."""
    images = []
    for index in range(91):
        image = blank((64, 48), 90)
        image[:24, :32] = (0, 0, 255) if index < 90 else (0, 255, 0)
        images.append(image)
    clip = write_video(tmp_path / "up.mp4", images, stamps=[2000 * k for k in range(91)])
    set_display_matrix(clip, 0, 1, -1, 0)
    models = [str(spot_pose(tmp_path / "spot.onnx")), "--detector", "none", "--threads", "1"]
    out = tmp_path / "out"
    command = ["track", str(clip), "--pose", *models, "--no-draw-skeleton", "--no-ids"]
    assert main([*command, "--output", str(out), "--jsonl", str(out)]) == 0

    # Times of the results, and of the drawn video: two seconds a frame, the last at 180.
    rows = [json.loads(line) for line in (out / "up.jsonl").read_text().splitlines()[1:]]
    assert [row["frame"] for row in rows] == list(range(91))
    np.testing.assert_allclose([row["time_s"] for row in rows], 2.0 * np.arange(91), atol=1e-6)
    (item,) = expand_sources([str(out / "up.mp4")])
    frames = list(open_frames(item))
    assert len(frames) == 91
    assert frames[-1].time_s == pytest.approx(180, abs=0.1)

    # The corner that was upper left is upper right, in the first frame and in the last.
    for frame, color in ((frames[0], 2), (frames[-1], 1)):
        assert frame.image.shape == (64, 48, 3)
        corner = frame.image[4:28, 28:44].reshape(-1, 3).mean(axis=0)
        other = frame.image[40:60, 4:44].reshape(-1, 3).mean(axis=0)
        assert corner.argmax() == color
        assert corner[color] > 200
        assert np.abs(other - 90).max() < 12
