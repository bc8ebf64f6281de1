"""One-stage models in the tracker."""

import numpy as np
from clips import threads
from networks import fixed_people, spot_person
from spots import CPU, avi, black, moving

import rtmpose
from rtmpose import BackendOptions, OneStage, PoseTracker
from rtmpose.tracking import TrackerParams
from rtmpose.tracking.video import VideoTracker


def test_ids_stay_whatever_the_interval(tmp_path):
    model = OneStage(spot_person(tmp_path / "p.onnx"), options=CPU)
    for interval in (1, 5):
        tracker = PoseTracker(None, model, TrackerParams(det_interval=interval, smooth="off"))
        for k, image in enumerate(moving(12)):
            poses = tracker(image, time_s=k / 30)
            assert poses.ids.tolist() == [1]
            # The whole frame is looked at every time, not only when a detector would run.
            np.testing.assert_allclose(poses.keypoints[0, 0], [60 + 6 * k, 120], atol=8)
            np.testing.assert_allclose(poses.boxes[0], model(image).boxes[0], atol=1e-4)


def test_nobody_then_somebody_then_nobody(tmp_path):
    tracker = PoseTracker(None, OneStage(spot_person(tmp_path / "p.onnx"), options=CPU))
    scene = [black(320, 240)] * 3 + moving(6) + [black(320, 240)] * 60
    counts = [len(tracker(image, time_s=k / 30)) for k, image in enumerate(scene)]
    assert counts[:3] == [0, 0, 0]
    assert counts[4:9] == [1] * 5
    assert sum(counts[9:]) == 0
    assert tracker.state.tracks == []


def test_weak_scores_count_only_where_somebody_is_expected(tmp_path):
    model = OneStage(spot_person(tmp_path / "p.onnx"), options=CPU)
    tracker = PoseTracker(None, model, TrackerParams(det_thr=0.5))
    dim = [(image * 0.6).astype(np.uint8) for image in moving(8)]
    assert len(tracker(dim[0], time_s=0)) == 0
    tracker.reset()
    bright = moving(8)
    for k in range(4):
        assert len(tracker(bright[k], time_s=k / 30)) == 1
    assert tracker(dim[4], time_s=4 / 30).ids.tolist() == [1]


def test_at_most_so_many_people(tmp_path):
    people = [[4, 4, 24, 60, 0.9], [30, 4, 50, 60, 0.6]]
    path = fixed_people(tmp_path / "p.onnx", people)
    for params, count in (
        ({}, 2),
        ({"pose_max_num_bboxes": 1}, 1),
        ({"det_thr": 0.7}, 1),
        ({"det_min_bbox_size": 100}, 0),
        ({"pose_min_bbox_size": 100}, 0),
    ):
        tracker = PoseTracker(None, path, TrackerParams(**params), backend="onnxruntime")
        assert len(tracker(black())) == count, params


def test_videos_ahead_or_not(tmp_path):
    video = avi(tmp_path / "a.avi", moving(14))
    path = spot_person(tmp_path / "p.onnx")
    runs = []
    for cores, interval in ((1, 1), (3, 1), (3, "auto"), (3, 7)):
        options = BackendOptions("onnxruntime", "cpu", cores)
        follower = VideoTracker(
            PoseTracker(None, OneStage(path, options=options)), interval=interval
        )
        tracked = list(follower.run(rtmpose.sources.expand_sources([str(video)])))
        assert [t.frame.index for t in tracked] == list(range(14))
        assert all(t.poses.ids.tolist() == [1] for t in tracked)
        assert follower.statistics.detections == 14
        runs.append(np.stack([t.poses.keypoints[0] for t in tracked]))
    for other in runs[1:]:
        np.testing.assert_allclose(other, runs[0], atol=1e-3)
    assert threads() == 0
