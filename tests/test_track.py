"""The tracker on made-up people with known truth: ids, limits, settings."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_people import BLACK, SKELETON, Crowd, follow, ids_of

from rtmpose import Detections, InputError
from rtmpose.detector import DEFAULT_BOX_THR
from rtmpose.families import TopDown
from rtmpose.tracking import PoseTracker, TrackerParams
from rtmpose.types import Poses


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


@pytest.mark.parametrize("interval", [1, 5])
def test_nobody_is_shown_in_black_frames(interval):
    """Where neither the detector nor one keypoint shows somebody, there is no pose; who comes back
    has the same id.
    """
    crowd = Crowd()
    tracker = PoseTracker(None, crowd)
    person = {"a": (300, 240, 200)}
    shown = []
    for f in range(60):
        crowd.people = {} if 30 <= f < 40 else person
        detected = crowd.boxes() if f % interval == 0 else None
        shown.append(tracker(BLACK, time_s=f / 30, boxes=detected).ids.tolist())
    assert shown[:30] == [[1]] * 30
    assert shown[30:40] == [[]] * 10
    assert shown[40:] == [[1]] * 20


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


def test_nobody_for_500_frames(tmp_path):
    tracker = PoseTracker(None, Crowd())
    for k in range(500):
        assert len(tracker(BLACK, time_s=k / 30, boxes=Detections.empty())) == 0
    assert tracker.state.tracks == []
    assert tracker.state.history == {}
