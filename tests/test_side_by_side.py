"""Network calls that go side by side, and frames that are worked on ahead of the tracker."""

import importlib.util
import itertools
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from clips import clip, threads
from networks import fixed_detector, spot_pose

from rtmpose import BackendOptions, Detections, Detector, PoseEstimator, Poses
from rtmpose.backends import calls_at_once, open_backend
from rtmpose.backends.parallel import MAX_PARALLEL_CALLS, release
from rtmpose.errors import BackendError, InputError
from rtmpose.sources import expand_sources
from rtmpose.tracking import PoseTracker, TrackerParams
from rtmpose.tracking.prefetch import FramePrefetcher, FrameTask
from rtmpose.tracking.spread_pose import SpreadPose
from rtmpose.tracking.video import VideoTracker
from rtmpose.types import Frame
from rtmpose.worker_threads import OrderedMap

ENGINES = [
    "onnxruntime",
    pytest.param(
        "openvino",
        marks=pytest.mark.skipif(
            not importlib.util.find_spec("openvino"), reason="OpenVINO is not installed"
        ),
    ),
]
BOXES = [[8, 4, 40, 44, 0.9], [30, 10, 60, 60, 0.8], [0, 0, 30, 60, 0.2]]


def tracker(folder, engine="onnxruntime", cores=2, **params):
    """``cores`` is what the machine seems to have."""
    options = BackendOptions(engine, "cpu", cores, precision="fp32")
    detector = Detector(fixed_detector(folder / "yolox_t.onnx", BOXES), options=options)
    pose = PoseEstimator(spot_pose(folder / "spot.onnx"), options=options)
    everybody = {"pose_min_keypoints": 0, "pose_nms_thr": 1.0, "person_thr": 0}
    return PoseTracker(detector, pose, TrackerParams(**everybody, **params))


def crops(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 64, 48, 3), np.uint8)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("cores", [1, 4, 8])
def test_any_batch_is_the_same_as_one_by_one(engine, cores, tmp_path):
    options = BackendOptions(engine, "cpu", cores, precision="fp32")
    pose = PoseEstimator(spot_pose(tmp_path / "spot.onnx"), options=options)
    for count in (1, 2, 3, 5, 7, 8, 13):
        images = crops(count, count)
        together = pose.backend(images)
        alone = [pose.backend(image[None]) for image in images]
        for k, output in enumerate(together):
            assert len(output) == count
            np.testing.assert_allclose(output, np.concatenate([a[k] for a in alone]), atol=1e-5)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("calls", [1, 3])
def test_calls_from_many_threads_do_not_mix(engine, calls, tmp_path):
    options = BackendOptions(engine, "cpu", 3, precision="fp32", num_streams=calls)
    pose = PoseEstimator(spot_pose(tmp_path / "spot.onnx"), options=options)
    batches = [crops(1 + seed % 5, seed) for seed in range(40)]
    expected = [pose.backend(batch) for batch in batches]
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(pose.backend, batches))
    for one, other in zip(got, expected, strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_what_can_go_side_by_side(tmp_path):
    pose = PoseEstimator(
        spot_pose(tmp_path / "spot.onnx"), options=BackendOptions("onnxruntime", "cpu")
    )
    assert calls_at_once(pose.backend, BackendOptions(threads=3)) == 3
    assert calls_at_once(pose.backend, BackendOptions(threads=100)) == MAX_PARALLEL_CALLS
    assert calls_at_once(pose.backend, BackendOptions()) >= 1
    pose.backend.device = "cuda:0"
    assert calls_at_once(pose.backend, BackendOptions(threads=3)) == 1
    pose.backend.device, pose.backend.engine = "cpu", "torch"
    assert calls_at_once(pose.backend, BackendOptions(threads=3)) == 1
    with pytest.raises(InputError, match="num_streams must be a whole number from 1"):
        open_backend(pose.path, pose.card, BackendOptions("onnxruntime", num_streams=0))


class Counting:
    """A backend that notes the sizes of its batches."""

    def __init__(self, backend):
        self.backend = backend
        self.sizes = []

    def __getattr__(self, name):
        return getattr(self.backend, name)

    def __call__(self, images):
        self.sizes.append(len(images))
        return self.backend(images)


def test_the_people_of_frames_are_divided(tmp_path):
    """One after the other they are the same, whichever images they are in."""
    pose = PoseEstimator(
        spot_pose(tmp_path / "spot.onnx"), options=BackendOptions("onnxruntime", "cpu", 1)
    )
    wide, narrow = Counting(pose.backend), Counting(pose.backend)
    images = list(np.random.default_rng(0).integers(0, 256, (3, 60, 80, 3), np.uint8))
    boxes = np.array([[k, 2 * k, 30 + 3 * k, 40 + k] for k in range(9)], np.float32)
    groups = [[0, 0, 0], [1, 0, 0], [0, 0, 2], [3, 0, 0], [1, 6, 1], [0, 9, 0]]
    with ThreadPoolExecutor(3) as pool:
        spread = SpreadPose(pose.with_backend(wide), pose.with_backend(narrow), 3, pool)
        for group in groups:
            starts = np.cumsum([0, *group])
            found = [boxes[a:b] for a, b in itertools.pairwise(starts)]
            for one, other in zip(
                spread.estimate_batch(images, found),
                pose.estimate_batch(images, found),
                strict=True,
            ):
                np.testing.assert_array_equal(one.boxes, other.boxes)
                np.testing.assert_allclose(one.keypoints, other.keypoints, atol=1e-4)
                np.testing.assert_allclose(one.scores, other.scores, atol=1e-6)
    assert wide.sizes == [1, 2]
    assert sorted(narrow.sizes) == [1, 1, 1, 2, 3, 3, 3, 3, 3]


def test_what_fails_for_some_people_fails(tmp_path):
    pose = PoseEstimator(
        spot_pose(tmp_path / "spot.onnx"), options=BackendOptions("onnxruntime", "cpu", 1)
    )

    class Failing(Counting):
        def __call__(self, images):
            raise BackendError("the network died")

    boxes = [[0, 0, 20, 40], [10, 0, 30, 40]]
    with ThreadPoolExecutor(2) as pool:
        spread = SpreadPose(pose, pose.with_backend(Failing(pose.backend)), 2, pool)
        with pytest.raises(BackendError, match="the network died"):
            spread.estimate_batch([np.zeros((60, 80, 3), np.uint8)], [boxes])


def test_large_batches_are_the_same_in_parts(tmp_path):
    pose = PoseEstimator(
        spot_pose(tmp_path / "pose.onnx"), options=BackendOptions("onnxruntime", "cpu", 1)
    )
    images = crops(19)
    whole = pose.backend(images)
    single = [pose.backend(images[i : i + 1]) for i in range(19)]
    for together, parts in zip(whole, zip(*single, strict=True), strict=True):
        np.testing.assert_allclose(together, np.concatenate(parts), atol=1e-6)


@pytest.mark.parametrize(
    ("how", "given_back"),
    [
        ({}, ["detector", "pose"]),
        # Somebody who is followed alone gets all cores.
        ({"every_frame": False}, ["detector"]),
        ({"ahead": False}, []),
    ],
)
def test_networks_that_do_nothing_meanwhile_are_released(how, given_back, tmp_path, monkeypatch):
    released = []
    monkeypatch.setattr("rtmpose.tracking.prefetch.release", released.append)
    given = tracker(tmp_path)
    with FramePrefetcher(given, **how).at_work():
        # Whoever opened them may have an image to do in between.
        assert released == []

    files = [network.path for network in given.model.networks]
    own = PoseTracker(*files, backend="onnxruntime", device="cpu", threads=2)
    with FramePrefetcher(own, **how).at_work() as (_, workers):
        assert released == [getattr(own, name).backend for name in given_back]
        assert (workers is None) == (how == {"ahead": False})

    # A model of a pipeline is as given as its networks; a detector of one's own is not.
    released.clear()
    for detector, pose, names in (
        (None, given.model, []),
        (files[0], given.pose, ["detector"]),
        (given.detector, files[1], ["pose"]),
    ):
        half = PoseTracker(detector, pose, backend="onnxruntime", device="cpu", threads=2)
        with FramePrefetcher(half, **how).at_work():
            assert released == [getattr(half, n).backend for n in given_back if n in names]
        released.clear()

    # Engines that cannot are left alone.
    release(own.pose.backend)


def test_files_of_one_batch_size_are_not_divided(tmp_path):
    pose = PoseEstimator(
        spot_pose(tmp_path / "four.onnx", batch=4), options=BackendOptions("onnxruntime", "cpu", 1)
    )
    share = Counting(pose.backend)
    boxes = [[k, 0, 20 + k, 40] for k in range(5)]
    with ThreadPoolExecutor(2) as pool:
        spread = SpreadPose(pose, pose.with_backend(share), 2, pool)
        assert len(spread.estimate_batch([np.zeros((60, 80, 3), np.uint8)], [boxes])[0]) == 5
    assert share.sizes == []


def test_in_order_whatever_takes_how_long():
    waits = np.random.default_rng(0).uniform(0, 0.01, 60)

    def work(k):
        time.sleep(waits[k])
        if k == 50:
            raise InputError("the fiftieth")
        return k

    seen = []
    with ThreadPoolExecutor(4, "rtmpose-test") as pool:
        results = OrderedMap(work, range(60), pool, 5)
        with pytest.raises(InputError, match="the fiftieth"):
            seen.extend(results)
        results.close()
    assert seen == list(range(50))
    with ThreadPoolExecutor(4, "rtmpose-test") as pool:
        results = OrderedMap(work, range(50), pool, 5)
        assert list(results) == list(range(50))
        results.close()
    assert threads() == 0


def test_in_order_does_not_run_away():
    started = []

    def work(k):
        started.append(k)
        return k

    with ThreadPoolExecutor(2, "rtmpose-test") as pool:
        results = OrderedMap(work, iter(range(10**9)), pool, 3)
        assert next(results) == 0
        time.sleep(0.1)
        assert len(started) <= 6
        results.close()
    assert threads() == 0


@pytest.mark.parametrize("interval", [1, 3, "auto"])
@pytest.mark.parametrize("engine", ENGINES)
def test_ahead_or_not_the_tracks_are_the_same(engine, interval, tmp_path):
    """A source alone and three of different lengths together, with one core and with three."""
    items = expand_sources([str(clip(tmp_path / f"{n}.avi", 12 + n)) for n in range(3)])
    runs = {}
    for cores in (1, 3):
        for group in ([items[2]], items):
            own = tracker(tmp_path, engine, cores)
            runs[cores, len(group)] = [
                (t.item.name, t.frame.index, t.poses)
                for t in VideoTracker(own, interval=interval).run(group)
            ]
    assert len(runs[1, 3]) == 12 + 13 + 14
    for count in (1, 3):
        for (name, index, one), (other_name, other_index, other) in zip(
            runs[1, count], runs[3, count], strict=True
        ):
            assert (name, index) == (other_name, other_index)
            # Followed boxes and detected ones part where the detector sees the same in every frame.
            assert len(one) == len(other) >= 2
            np.testing.assert_array_equal(one.ids, other.ids)
            np.testing.assert_allclose(one.keypoints, other.keypoints, atol=1e-4)
            np.testing.assert_allclose(one.scores, other.scores, atol=1e-5)
            np.testing.assert_array_equal(one.box_scores, other.box_scores)
    assert threads() == 0


def test_known_poses_are_not_estimated_again(tmp_path):
    own = tracker(tmp_path)
    image = np.zeros((60, 80, 3), np.uint8)
    image[10:40, 20:26] = (0, 0, 255)
    boxes = Detections.from_boxes(
        [[8, 4, 40, 44], [30, 10, 60, 60], [0, 0, 30, 60]], [0.9, 0.8, 0.7]
    )
    whole = own.track_batch([own.create_state()], [image], boxes=[boxes])[0]
    asked = []

    class Watching:
        skeleton = own.pose.skeleton

        def estimate_batch(self, images, wanted):
            asked.extend(b.tolist() for w in wanted for b in w.boxes)
            return own.pose.estimate_batch(images, wanted)

    second = PoseTracker(None, Watching(), own.params)
    known = own.pose(image, boxes[[2, 0]])  # in another order
    found = second.track_batch(
        [second.create_state()], [image], boxes=[boxes], precomputed=[known]
    )[0]
    assert asked == [[30, 10, 60, 60]]
    np.testing.assert_array_equal(found.ids, whole.ids)
    np.testing.assert_allclose(found.keypoints, whole.keypoints, atol=1e-5)
    np.testing.assert_array_equal(found.box_scores, whole.box_scores)
    second.track_batch(
        [second.create_state()], [image], boxes=[boxes], precomputed=[Poses.empty(own.skeleton)]
    )
    assert len(asked) == 4


def test_only_sure_detections_are_worked_on_ahead(tmp_path):
    image = np.zeros((60, 80, 3), np.uint8)
    image[10:40, 20:26] = (0, 0, 255)
    for params, expected in (
        ({}, 2),
        ({"pose_max_num_bboxes": 1}, 1),
        ({"det_min_bbox_size": 46}, 1),
    ):
        own = tracker(tmp_path, **params)
        prefetcher = FramePrefetcher(own)
        assert prefetcher.at_once == 2
        entry = prefetcher.prepare(FrameTask(Frame(image), 0.0, True))
        assert len(entry.detections) == 3
        assert len(entry.poses) == expected
        assert prefetcher.prepare(FrameTask(Frame(image), 0.0, False)).detections is None


def test_a_pose_network_that_fails_ahead_ends_the_run(tmp_path, monkeypatch):
    own = tracker(tmp_path)
    original, calls = PoseEstimator.infer, []

    def failing(self, images):
        calls.append(1)
        if len(calls) > 6:
            raise BackendError("the network died")
        return original(self, images)

    monkeypatch.setattr(PoseEstimator, "infer", failing)
    seen = []
    with pytest.raises(BackendError, match="the network died"):
        seen.extend(
            t.frame.index
            for t in VideoTracker(own).run(expand_sources([str(clip(tmp_path / "a.avi"))]))
        )
    assert threads() == 0


def test_leaving_early_leaves_nothing_behind(tmp_path):
    own, items = tracker(tmp_path), expand_sources([str(clip(tmp_path / "a.avi", 40))])
    for _ in range(10):
        run = VideoTracker(own).run(items)
        next(run)
        run.close()
    assert threads() == 0


@pytest.mark.parametrize("engine", ENGINES)
def test_a_released_network_gives_the_same_again(engine, tmp_path):
    pose = PoseEstimator(
        spot_pose(tmp_path / "pose.onnx"), options=BackendOptions(engine, "cpu", 1)
    )
    images = crops(3)
    before = pose.backend(images)
    release(pose.backend)
    for a, b in zip(pose.backend(images), before, strict=True):
        np.testing.assert_array_equal(a, b)
