"""The tracker on made-up people with known truth, smoothing, and runs over whole videos."""

import time

import cv2
import numpy as np
import pytest
from clips import clip, threads
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import fixed_detector, spot_pose

from rtmpose import Detections, InputError, get_skeleton
from rtmpose.detector import DEFAULT_BOX_THR
from rtmpose.families import TopDown
from rtmpose.sources import SourceItem
from rtmpose.tracking import OneEuro, PoseTracker, TrackerParams, smooth_offline
from rtmpose.tracking.kalman import BoxFilter
from rtmpose.tracking.smoothing import smooth_together
from rtmpose.tracking.video import VideoTracker, smooth_clip
from rtmpose.types import Frame, Poses

SKELETON = get_skeleton("coco17")
# A standing person within a box of height 1, center 0.
BODY = np.array(
    [
        [0, -0.45], [0.02, -0.47], [-0.02, -0.47], [0.05, -0.45], [-0.05, -0.45],
        [0.1, -0.33], [-0.1, -0.33], [0.14, -0.18], [-0.14, -0.18], [0.15, -0.05], [-0.15, -0.05],
        [0.07, 0.0], [-0.07, 0.0], [0.08, 0.22], [-0.08, 0.22], [0.08, 0.45], [-0.08, 0.45],
    ]
)  # fmt: skip
BLACK = np.zeros((480, 1000, 3), np.uint8)


class Crowd:
    """People at known places, and a pose network that sees whoever fills most of a box."""

    skeleton = SKELETON

    def __init__(self):
        self.people = {}  # name -> (x, y, height)
        self.jitter = np.random.default_rng(0)
        self.noise = 0.0
        self.swap = set()

    def points(self, name):
        x, y, height = self.people[name]
        points = BODY * height + [x, y]
        if name in self.swap:
            points = points[list(SKELETON.flip_indices)]
        return points

    def box(self, name, margin=0.03):
        points = self.points(name)
        height = self.people[name][2]
        return np.array(
            [*(points.min(0) - margin * height), *(points.max(0) + margin * height)], np.float32
        )

    def boxes(self, missing=()):
        names = [n for n in self.people if n not in missing]
        return Detections.from_boxes(
            np.array([self.box(n) for n in names], np.float32).reshape(-1, 4), [0.9] * len(names)
        )

    def estimate_batch(self, images, detections):
        out = []
        for found in detections:
            keypoints, scores = (
                np.zeros((len(found), 17, 2), np.float32),
                np.full((len(found), 17), 0.05, np.float32),
            )
            for i, box in enumerate(found.boxes):
                best, most = None, 0.25
                for name in self.people:
                    own = self.box(name)
                    low, high = np.maximum(own[:2], box[:2]), np.minimum(own[2:], box[2:])
                    shared = np.prod(np.maximum(high - low, 0))
                    union = np.prod(own[2:] - own[:2]) + np.prod(box[2:] - box[:2]) - shared
                    if shared / union > most:
                        best, most = name, shared / union
                if best is not None:
                    keypoints[i] = self.points(best) + self.jitter.normal(0, self.noise, (17, 2))
                    scores[i] = 0.9
            out.append(Poses(found.boxes, found.scores, keypoints, scores, SKELETON))
        return out


def nearest(crowd, poses):
    """True name -> id of the pose at that place."""
    found = {}
    for name, (x, y, height) in crowd.people.items():
        if len(poses):
            distance = np.linalg.norm(poses.keypoints[:, 11:13].mean(axis=1) - [x, y], axis=1)
            if distance.min() < 0.3 * height:
                found[name] = int(poses.ids[distance.argmin()])
    return found


def follow(tracker, crowd, frames, fps, place, missing=lambda f, t: ()):
    """Run a scene; the id of every person in every frame."""
    seen = []
    for f in range(frames):
        t = f / fps
        crowd.people = place(t)
        poses = tracker(BLACK, time_s=t, boxes=crowd.boxes(missing(f, t)))
        assert len(set(poses.ids.tolist())) == len(poses)
        seen.append(nearest(crowd, poses))
    return seen


def ids_of(seen, name):
    return [s[name] for s in seen if name in s]


@pytest.mark.parametrize("fps", [10, 30, 60])
def test_two_people_cross(fps):
    crowd = Crowd()
    tracker = PoseTracker(None, crowd)

    def place(t):
        return {"a": (100 + 150 * t, 240, 200), "b": (900 - 150 * t, 255, 190)}

    seen = follow(tracker, crowd, 5 * fps, fps, place)
    assert set(ids_of(seen, "a")[:3]) == set(ids_of(seen, "a")[-3:])
    assert set(ids_of(seen, "b")[:3]) == set(ids_of(seen, "b")[-3:])
    assert ids_of(seen, "a")[-1] != ids_of(seen, "b")[-1]


def test_hidden_for_a_moment_keeps_the_id():
    crowd = Crowd()
    tracker = PoseTracker(None, crowd)

    def place(t):
        hidden = 1.0 < t < 1.25
        return {} if hidden else {"a": (200 + 120 * t, 240, 200)}

    seen = follow(tracker, crowd, 75, 30, place)
    assert len(set(ids_of(seen, "a"))) == 1
    assert tracker.state.new_id() == 2


def test_who_was_seen_for_long_is_remembered_for_a_second():
    def ids(fps, before, gone, **params):
        tracker = PoseTracker(None, crowd := Crowd(), TrackerParams(**params))
        here = lambda t: t < before or t > before + gone  # noqa: E731
        seen = follow(
            tracker, crowd, round(3 * fps), fps, lambda t: {"a": (300, 240, 200)} if here(t) else {}
        )
        return set(ids_of(seen, "a"))

    for fps in (25, 60):
        assert len(ids(fps, 1.0, 0.8)) == 1
        assert len(ids(fps, 0.1, 0.8)) == 2  # hardly known
        assert len(ids(fps, 1.0, 1.2)) == 2
        assert len(ids(fps, 1.0, 0.8, remember_s=0)) == 2


def test_who_comes_back_curled_up_is_the_same():
    """After a jump somebody is half as long as when last seen."""
    crowd = Crowd()
    tracker = PoseTracker(None, crowd)

    def place(t):
        if t < 1.0:
            return {"a": (300, 200, 200)}
        return {} if t < 1.3 else {"a": (310, 240, 108)}

    seen = follow(tracker, crowd, 45, 30, place)
    assert len(ids_of(seen, "a")) > 30
    assert set(ids_of(seen, "a")) == {1}


def test_gone_for_long_gets_a_new_id_and_none_is_reused():
    crowd = Crowd()
    tracker = PoseTracker(None, crowd, TrackerParams(remember_s=0))
    seen = follow(tracker, crowd, 90, 30, lambda t: {} if 0.5 < t < 1.5 else {"a": (300, 240, 200)})
    assert ids_of(seen, "a")[0] == 1
    assert ids_of(seen, "a")[-1] == 2
    tracker.reset()
    again = follow(tracker, crowd, 3, 30, lambda t: {"a": (300, 240, 200)})
    assert ids_of(again, "a") == [3, 3, 3]


def test_missed_detections_are_bridged_by_the_keypoints():
    crowd = Crowd()
    tracker = PoseTracker(None, crowd)

    def missing(f, t):
        return ("a",) if 10 <= f < 40 else ()

    seen = follow(tracker, crowd, 60, 30, lambda t: {"a": (200 + 60 * t, 240, 200)}, missing)
    assert ids_of(seen, "a") == [1] * 60


@settings(max_examples=25, deadline=None)
@given(
    fps=st.sampled_from([10, 15, 30, 60]),
    pan=st.floats(-80, 80),
    people=st.integers(1, 4),
    lost=st.floats(0, 0.3),
    seed=st.integers(0, 1000),
)
def test_any_calm_scene_keeps_its_ids(fps, pan, people, lost, seed):
    """People apart from each other, a panning camera, detections missing at random: one id each."""
    generator = np.random.default_rng(seed)
    crowd = Crowd()
    crowd.noise = 1.0
    speed = generator.uniform(-30, 30, people)
    tracker = PoseTracker(None, crowd)

    def place(t):
        return {
            str(i): (150 + 220 * i + (pan + speed[i] * 0.3) * t, 240, 150 + 10 * i)
            for i in range(people)
        }

    gaps = generator.random((3 * fps, people)) < lost
    gaps[:3] = False
    seen = follow(
        tracker,
        crowd,
        3 * fps,
        fps,
        place,
        lambda f, t: [str(i) for i in range(people) if gaps[f, i]],
    )
    for i in range(people):
        assert len(set(ids_of(seen, str(i)))) == 1
        assert len(ids_of(seen, str(i))) >= 0.9 * 3 * fps


def test_doubtful_new_tracks_wait():
    crowd = Crowd()
    tracker = PoseTracker(None, crowd)
    follow(tracker, crowd, 3, 30, lambda t: {"a": (200, 240, 200)})

    class Doubtful(Crowd):
        def estimate_batch(self, images, detections):
            poses = super().estimate_batch(images, detections)
            return [
                Poses(
                    p.boxes,
                    p.box_scores,
                    p.keypoints,
                    np.where(p.keypoints[..., :1].mean(1) > 500, 0.3, p.scores),
                    SKELETON,
                )
                for p in poses
            ]

    other = Doubtful()
    tracker.model = TopDown(None, other)
    tracker.params = TrackerParams(pose_kpt_thr=0.25)
    other.people = {"a": (200, 240, 200), "b": (700, 240, 200)}
    assert len(tracker(BLACK, time_s=0.2, boxes=other.boxes())) == 1
    assert len(tracker(BLACK, time_s=0.233, boxes=other.boxes())) == 2


def test_a_second_pose_of_somebody_is_no_newcomer_at_once():
    """For a moment the detector sees half of a person as one more: no id for it, and the person
    keeps theirs.
    """
    crowd = Crowd()
    tracker = PoseTracker(None, crowd)
    whole, half = {"a": (300, 240, 200)}, {"a": (300, 240, 200), "half": (300, 200, 90)}
    seen = []
    for f in range(30):
        crowd.people = half if f in (12, 20, 21, 22, 23) else whole
        seen.append(tracker(BLACK, time_s=f / 30, boxes=crowd.boxes()).ids.tolist())
    assert seen[12] == seen[20] == [1]
    # Who stays is somebody: a child before a grown-up.
    assert len(seen[23]) == 2
    assert all(ids[0] == 1 for ids in seen)


def test_states_share_nothing_but_the_batch():
    crowd = Crowd()
    tracker = PoseTracker(None, crowd)
    states = [tracker.create_state() for _ in range(3)]
    crowd.people = {"a": (200, 240, 200), "b": (600, 240, 200)}
    calls = []
    batch = crowd.estimate_batch
    crowd.estimate_batch = lambda images, boxes: calls.append(len(images)) or batch(images, boxes)
    for k in range(3):
        found = [crowd.boxes(), crowd.boxes(("b",)), Detections.empty()]
        results = tracker.track_batch(states, [BLACK] * 3, times=[k / 30] * 3, boxes=found)
    assert calls == [3, 3, 3]
    assert [r.ids.tolist() for r in results] == [[1, 2], [1], []]
    with pytest.raises(InputError, match="different states"):
        tracker.track_batch([states[0], states[0]], [BLACK] * 2)


def test_swapped_legs_are_put_back():
    crowd = Crowd()
    tracker = PoseTracker(None, crowd, TrackerParams(smooth="off"))
    place = lambda t: {"a": (400, 240, 300)}  # noqa: E731
    follow(tracker, crowd, 6, 30, place)
    crowd.swap = {"a"}
    poses = tracker(BLACK, time_s=0.2, boxes=crowd.boxes())
    crowd.swap = set()
    expected = crowd.points("a")
    legs = [13, 14, 15, 16]
    np.testing.assert_allclose(poses.keypoints[0, legs], expected[legs], atol=1)
    # A person who really turns round is believed after some frames.
    crowd.swap = {"a"}
    for k in range(12):
        poses = tracker(BLACK, time_s=0.3 + k / 30, boxes=crowd.boxes())
    np.testing.assert_allclose(poses.keypoints[0, legs], crowd.points("a")[legs], atol=1)


def test_published_names_and_defaults():
    p = TrackerParams()
    # The lowest box score alone is another: that of pipelines, so that both show the same people.
    assert p.det_thr == DEFAULT_BOX_THR
    assert (p.det_interval, p.det_label, p.det_min_bbox_size, p.det_nms_thr) == (
        1,
        0,
        -1,
        0.7,
    )
    assert (p.pose_max_num_bboxes, p.pose_kpt_thr, p.pose_min_keypoints, p.pose_bbox_scale) == (
        -1,
        0.5,
        -1,
        1.25,
    )
    assert (p.pose_min_bbox_size, p.pose_nms_thr, p.track_iou_thr, p.track_max_missing) == (
        -1,
        0.5,
        0.4,
        10,
    )
    assert (p.track_history_size, p.std_weight_position, p.std_weight_velocity) == (
        1,
        0.05,
        0.00625,
    )
    assert p.smooth_params == (0.007, 1, 1)
    assert TrackerParams().min_keypoints(17) == 9
    for wrong in (
        {"det_interval": 0},
        {"det_thr": 2},
        {"smooth": "much"},
        {"remember_s": -1},
        {"smooth_params": (1, 2)},
        {"pose_bbox_scale": 0},
    ):
        with pytest.raises(InputError):
            TrackerParams(**wrong)


def test_limits_of_people_and_size():
    crowd = Crowd()
    crowd.people = {"a": (200, 240, 300), "b": (600, 240, 40), "c": (800, 240, 100)}
    tracker = PoseTracker(None, crowd, TrackerParams(det_min_bbox_size=30))
    assert len(tracker(BLACK, boxes=crowd.boxes())) == 2
    tracker = PoseTracker(None, crowd, TrackerParams(pose_max_num_bboxes=1, track_history_size=3))
    for _ in range(5):
        assert len(tracker(BLACK, boxes=crowd.boxes())) == 1
    assert [len(h) for h in tracker.state.history.values()] == [3]


# ---- smoothing
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fps", [15, 30, 60])
def test_jitter_is_halved_and_lag_stays_below_a_frame(fps):
    generator = np.random.default_rng(0)
    still, smooth = OneEuro(), []
    noisy = 100 + generator.normal(0, 2, (fps * 10, 17, 2))
    for k, points in enumerate(noisy):
        smooth.append(still(points, k / fps))
    assert np.std(smooth[fps:]) < 0.5 * np.std(noisy[fps:])
    fast, lag = OneEuro(), []
    for k in range(fps):
        t = k / fps
        x = 100 + 1500 * t  # a fast limb: 1500 pixels per second
        lag.append((x - fast(np.array([[x, 0.0]]), t)[0, 0]) / 1500)
    assert np.mean(lag[fps // 2 :]) < 1 / 30


def test_offline_has_no_lag_and_fills_gaps():
    times = np.arange(90) / 30
    truth = np.stack([200 + 80 * np.sin(2 * np.pi * times), 100 + 0 * times], axis=1)[
        :, None
    ].repeat(17, 1)
    noisy = truth + np.random.default_rng(0).normal(0, 2, truth.shape)
    keep = np.ones(90, bool)
    keep[40:48] = False
    present, points, _, filled = smooth_offline(times[keep], noisy[keep], np.ones((82, 17)), times)
    assert present.all()
    assert filled.sum() == 8
    assert filled[40:48].all()
    middle = np.r_[10:38, 50:80]
    assert (
        np.abs(points[middle] - truth[middle]).mean()
        < 0.6 * np.abs(noisy[middle] - truth[middle]).mean()
    )
    shifts = [np.abs(points[middle, 0, 0] - truth[middle + s, 0, 0]).mean() for s in (-1, 0, 1)]
    assert np.argmin(shifts) == 1
    # A long absence stays one.
    keep[20:60] = False
    present, *_ = smooth_offline(times[keep], noisy[keep], np.ones((keep.sum(), 17)), times)
    assert not present[20:60].any()


def poses_at(x, number=1):
    points = (BODY * 200 + [x, 240])[None].astype(np.float32)
    return Poses(
        np.array([[x - 50, 130, x + 50, 350]], np.float32),
        np.ones(1, np.float32),
        points,
        np.full((1, 17), 0.9, np.float32),
        SKELETON,
        np.array([number]),
    )


def test_smoothing_a_clip_keeps_ids_and_marks_what_was_filled():
    frames = [(k / 30, poses_at(100 + k)) for k in range(40)]
    frames[20] = (20 / 30, Poses.empty(SKELETON))
    result = smooth_clip(frames, SKELETON)
    assert [len(p) for p, _ in result] == [1] * 40
    assert [bool(f[0]) for _, f in result] == [k == 20 for k in range(40)]
    assert result[20][0].ids.tolist() == [1]
    np.testing.assert_allclose(result[20][0].keypoints[0, 0, 0], 120, atol=1.0)


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


# ---- things that go wrong
# -------------------------------------------------------------------------------------


def tiny_tracker(tmp_path, **params):
    from rtmpose import BackendOptions, Detector, PoseEstimator

    options = BackendOptions("onnxruntime", "cpu", 1)
    detector = Detector(
        fixed_detector(tmp_path / "yolox_t.onnx", [[8, 4, 40, 44, 0.9]]), options=options
    )
    pose = PoseEstimator(spot_pose(tmp_path / "spot.onnx"), options=options)
    return PoseTracker(detector, pose, TrackerParams(pose_min_keypoints=0, **params))


def test_nobody_for_500_frames(tmp_path):
    tracker = PoseTracker(None, Crowd())
    for k in range(500):
        assert len(tracker(BLACK, time_s=k / 30, boxes=Detections.empty())) == 0
    assert tracker.state.tracks == []
    assert tracker.state.history == {}


def test_the_resolution_changes_and_time_goes_back(tmp_path):
    tracker = tiny_tracker(tmp_path)
    image = np.zeros((60, 80, 3), np.uint8)
    image[10:40, 20:26] = (0, 0, 255)
    assert len(tracker(image, time_s=1.0)) == 1
    assert len(tracker(cv2.resize(image, (160, 120)), time_s=0.5)) <= 2
    assert np.isfinite(tracker(image, time_s=0.5).keypoints).all()


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


def test_the_box_filter_is_the_usual_one():
    """Against the matrix form: eight values, constant velocity, the published uncertainties."""
    rng = np.random.default_rng(4)
    position, velocity = 0.05, 0.00625
    box, center = np.array([100, 50, 160, 250], np.float32), 130.0
    ours = BoxFilter(box, position, velocity)
    state = np.array([130, 150, 60, 200, 0, 0, 0, 0], np.float64)
    covariance = np.diag(np.square([2 * position * 200] * 4 + [10 * velocity * 200 * 30] * 4))
    for _ in range(30):
        step = float(rng.uniform(0.01, 0.1))
        move = np.eye(8)
        move[:4, 4:] = np.eye(4) * step
        spread = [position * state[3]] * 4 + [velocity * state[3] * 30] * 4
        state = move @ state
        covariance = move @ covariance @ move.T + np.diag(np.square(spread)) * step * 30
        predicted = ours.predict(step)
        low, high = state[:2] - state[2:4] / 2, state[:2] + state[2:4] / 2
        np.testing.assert_allclose(predicted, [*low, *high], rtol=1e-5)
        center += 90 * step
        box = np.array([center - 30, 50, center + 30, 250]) + rng.normal(size=4) * 4
        measured = [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2, box[2] - box[0], box[3] - box[1]]
        look = np.eye(4, 8)
        total = look @ covariance @ look.T + np.eye(4) * (position * state[3]) ** 2
        gain = covariance @ look.T @ np.linalg.inv(total)
        state = state + gain @ (measured - look @ state)
        covariance = (np.eye(8) - gain @ look) @ covariance
        ours.update(box)
        np.testing.assert_allclose([*ours.place, *ours.pace], state, rtol=1e-6, atol=1e-6)


def test_people_smoothed_together_are_smoothed_alike():
    rng = np.random.default_rng(3)
    alone, together = [OneEuro() for _ in range(3)], [OneEuro() for _ in range(3)]
    for frame in range(12):
        # The second comes later, the third is away for a while.
        present = [
            i for i in range(3) if not (i == 1 and frame < 4) and not (i == 2 and 5 <= frame < 8)
        ]
        values = rng.normal(size=(len(present), 5, 2)).astype(np.float32) * 20
        now = frame * 0.04 + rng.uniform(0, 0.01)
        found = smooth_together([together[i] for i in present], values, now)
        for row, i in enumerate(present):
            np.testing.assert_allclose(found[row], alone[i](values[row], now), rtol=1e-6)
        assert found.shape == values.shape
        assert found.dtype == np.float32


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
