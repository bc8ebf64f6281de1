"""Who is shown: each person once, and nobody who is too doubtful."""

from dataclasses import replace

import numpy as np
import pytest
from networks import fixed_people

from rtmpose import Detector, Pipeline, PoseEstimator, Poses, PoseTracker, get_skeleton
from rtmpose.errors import InputError
from rtmpose.people import DEFAULT_PERSON_THR, people_of, person_thr_for
from rtmpose.skeletons import skeleton_names

COCO = get_skeleton("coco17")


def people(*rows, skeleton=COCO):
    """Standing people, or other things of 17 points, from (x, box score, keypoint score)."""
    boxes = np.array([[x, 0, x + 40, 100] for x, _, _ in rows], np.float32).reshape(-1, 4)
    steps = np.linspace(0, 1, 17, dtype=np.float32)
    zigzag = np.stack([10 + 20 * (np.arange(17) % 2), 5 + 90 * steps], axis=1)
    points = zigzag[None] + np.array([[[x, 0]] for x, _, _ in rows]).reshape(-1, 1, 2)
    scores = np.array([[s] * 17 for _, _, s in rows], np.float32).reshape(-1, 17)
    return Poses(boxes, [b for _, b, _ in rows], points, scores, skeleton)


class Scripted:
    """A model that finds the given people, one after the other."""

    needs_boxes = False
    finds_people = True
    score_by_box = True
    whole_image = False
    detector = None
    networks = ()
    pose = None

    def __init__(self, *frames):
        self.frames = list(frames)
        self.skeleton = self.frames[0].skeleton if frames else COCO

    def describe(self):
        return {}

    def estimate(self, images, boxes=None, **_):
        return [self.frames.pop(0)]


def image():
    return np.zeros((120, 400, 3), np.uint8)


def test_doubtful_people_and_second_poses_are_not_shown():
    found = people((0, 0.9, 0.8), (3, 0.5, 0.7), (100, 0.4, 0.5), (200, 0.4, 0.25))
    np.testing.assert_allclose(people_of(found, 0.12).box_scores, [0.9, 0.4])
    np.testing.assert_allclose(people_of(found, 0.01).box_scores, [0.9, 0.4, 0.4])
    assert len(people_of(found, 0)) == 4
    assert len(people_of(people(), 0.12)) == 0


def test_pipeline_and_tracker_agree_on_a_photo():
    found = people(
        (0, 0.9, 0.8), (3, 0.6, 0.7), (100, 0.6, 0.6), (200, 0.6, 0.25), (300, 0.6, 0.15)
    )
    shown = Pipeline(None, Scripted(found), person_thr=0.2)(image())
    tracked = PoseTracker(None, Scripted(found), person_thr=0.2, pose_min_keypoints=0)(image())
    np.testing.assert_allclose(shown.box_scores, [0.9, 0.6])
    np.testing.assert_allclose(tracked.box_scores, shown.box_scores)


def test_given_boxes_keep_their_poses(tmp_path):
    found = people((0, 0.1, 0.1), (1, 0.1, 0.1))
    assert len(Pipeline(None, Scripted(found))(image(), found.boxes)) == 2


def test_tracked_people_may_be_unsure_for_a_moment():
    sure, unsure = people((0, 0.9, 0.9)), people((0, 0.6, 0.1))
    model = Scripted(sure, unsure, unsure, sure)
    tracker = PoseTracker(None, model, person_thr=0.3, smooth="off", pose_min_keypoints=0)
    assert [tracker(image()).ids.tolist() for _ in range(4)] == [[1]] * 4
    # Whoever is unsure from the start is not followed.
    tracker = PoseTracker(None, Scripted(*[unsure] * 3), person_thr=0.3, pose_min_keypoints=0)
    assert [len(tracker(image())) for _ in range(3)] == [0, 0, 0]


def test_one_default_for_all(tmp_path):
    model = fixed_people(tmp_path / "p.onnx", [[4, 4, 24, 60, 0.9], [30, 4, 50, 60, 0.31]])
    assert len(Pipeline(pose=model)(np.zeros((64, 64, 3), np.uint8))) == 1  # 0.31 * 0.28 = 0.09
    assert Pipeline(pose=model).person_thr == DEFAULT_PERSON_THR
    for wrong in (-0.1, 1.5, float("nan"), True, "0.3"):
        with pytest.raises(InputError, match="person_thr"):
            Pipeline(None, Scripted(), person_thr=wrong)


def test_the_default_hides_nobody_whom_it_was_not_measured_on():
    of_people = {
        "aic14", "coco-wholebody133", "coco17", "crowdpose14", "halpe136", "halpe26", "humanart21",
        "jhmdb15", "mpii16", "posetrack18",
    }  # fmt: skip
    for name in skeleton_names():
        expected = DEFAULT_PERSON_THR if name in of_people else 0
        assert person_thr_for(get_skeleton(name)) == expected, name
        assert person_thr_for(get_skeleton(name), 0.4) == 0.4

    # A dog that is found, but hardly: shown, and followed.
    doubtful = people((0, 0.5, 0.2), skeleton=get_skeleton("ap10k17"))
    assert len(Pipeline(None, Scripted(doubtful))(image())) == 1
    tracker = PoseTracker(None, Scripted(*[doubtful] * 3), pose_min_keypoints=0)
    assert [len(tracker(image())) for _ in range(3)][-1] == 1
    asked_for = Pipeline(None, Scripted(doubtful), person_thr=0.2)
    assert len(asked_for(image())) == 0
    person = people((0, 0.5, 0.2))
    assert len(Pipeline(None, Scripted(person))(image())) == 0
    tracker = PoseTracker(None, Scripted(*[person] * 3), pose_min_keypoints=0)
    assert [len(tracker(image())) for _ in range(3)] == [0, 0, 0]


@pytest.mark.parametrize(
    ("task", "words"),
    [("hand", "rtmdet-nano-hand"), ("face", "--detector none"), ("animal", "--detector none")],
)
def test_hands_in_the_boxes_of_people_are_warned_of(task, words, job_models, caplog):
    boxes, pose = job_models
    card = replace(PoseEstimator(pose).card, task=task)
    found = replace(Detector(boxes).card, task="person detection")
    people_detector = Detector(boxes, card=found)
    caplog.clear()
    Pipeline(people_detector, pose)
    assert caplog.records == []

    Pipeline(people_detector, pose, card=card)
    (warning,) = caplog.messages
    assert f"is for {task}s" in warning
    assert words in warning

    # Whoever gives boxes, or takes the whole image, knows.
    caplog.clear()
    Pipeline(None, pose, card=card)
    Pipeline(None, pose, card=card, whole_image=True)
    assert caplog.records == []
