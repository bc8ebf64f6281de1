"""Angles of a walker whose angles are known, and what makes them hard to measure."""

from dataclasses import replace

import numpy as np
import pytest
from walker import FPS, LENGTHS, SIZE, walker

from rtmpose import get_skeleton
from rtmpose.errors import InputError
from rtmpose.kinematics import ANGLES, AngleOptions, FloorLine, Scale, person_angles
from rtmpose.kinematics.clips import MeterSettings, clip_angles
from rtmpose.kinematics.scale import floor_from_feet, height_in_pixels
from rtmpose.kinematics.smoothing import fill_gaps, low_pass

PLAIN = AngleOptions(filter="none")
JOINTS = 10
KNEE = ANGLES.index("left_knee_flexion")


def measured(clip, options=PLAIN, **settings):
    (person,) = clip_angles(clip, options, MeterSettings(**settings)).people
    return person


def turned_by(values, truth):
    """Differences in degrees, within half a turn."""
    return np.abs((values - truth + 180) % 360 - 180)


def with_points(clip, change):
    """The clip with points changed by a function of ``(F, K, 2)``."""
    return replace(clip, keypoints=change(clip.keypoints.copy()))


@pytest.mark.parametrize("facing", [1, -1])
@pytest.mark.parametrize("fps", [30.0, 60.0, 240.0])
def test_known_angles_come_back(facing, fps):
    clip, (truth,) = walker(facing=facing, fps=fps)
    person = measured(clip)
    assert turned_by(person.values, truth).max() < 1e-3
    assert person.facing.rule == "feet"
    assert (person.facing.signs == facing).all()


def test_the_filter_keeps_slow_movement_and_takes_noise():
    clip, (truth,) = walker()
    noise = np.random.default_rng(0).normal(0, 1.5, clip.keypoints.shape).astype(np.float32)
    noisy = with_points(clip, lambda points: points + noise)
    raw = turned_by(measured(noisy).values, truth)[20:-20]
    filtered = turned_by(measured(noisy, AngleOptions()).values, truth)[20:-20]
    assert np.median(filtered) < 0.6 * np.median(raw)
    # No lag: the best match is at no shift.
    knee = measured(clip, AngleOptions()).values[:, KNEE]
    errors = [np.abs(np.roll(knee, k)[20:-20] - truth[20:-20, KNEE]).mean() for k in (-2, 0, 2)]
    assert np.argmin(errors) == 1


@pytest.mark.parametrize("turned", [90.0, 180.0, -75.0])
@pytest.mark.parametrize("facing", [1, -1])
def test_a_handstand_has_the_joint_angles_of_standing(turned, facing):
    clip, (truth,) = walker(turned=turned, facing=facing)
    person = measured(clip)
    assert turned_by(person.values[:, :JOINTS], truth[:, :JOINTS]).max() < 1e-3
    assert turned_by(person.values[:, JOINTS:], truth[:, JOINTS:] + turned).max() < 1e-3


@pytest.mark.parametrize("skeleton", ["coco17", "coco-wholebody133", "halpe136", "crowdpose14"])
@pytest.mark.parametrize("facing", [1, -1])
def test_other_keypoint_sets(skeleton, facing):
    clip, (truth,) = walker(skeleton, facing=facing)
    person = measured(clip)
    columns = [i for i, name in enumerate(ANGLES) if np.isfinite(person.values[:, i]).all()]
    names = {ANGLES[i] for i in columns}
    assert {"left_knee_flexion", "right_hip_flexion", "left_shoulder_flexion", "trunk"} <= names
    assert ("left_ankle_dorsiflexion" in names) == (len(clip.skeleton) > 17)
    assert (person.facing.signs == facing).all()
    head = ANGLES.index("head")
    known = [i for i in columns if i != head]
    assert turned_by(person.values[:, known], truth[:, known]).max() < 1e-3


def test_a_hidden_side_leaves_the_other():
    clip, (truth,) = walker()
    hidden = [i for i, name in enumerate(clip.skeleton.keypoints) if name.startswith("left_")]
    scores = clip.scores.copy()
    scores[:, hidden] = 0.05
    person = measured(replace(clip, scores=scores))
    left = [i for i, name in enumerate(ANGLES) if name.startswith("left_")]
    right = [i for i, name in enumerate(ANGLES) if name.startswith("right_")]
    assert np.isnan(person.values[:, left]).all()
    assert turned_by(person.values[:, right], truth[:, right]).max() < 1e-3
    # Without the points in the middle too, the side that is seen stands for them.
    middle = [clip.skeleton.keypoints.index(name) for name in ("hip", "neck")]
    scores[:, middle] = 0.05
    person = measured(replace(clip, scores=scores))
    assert turned_by(person.values[:, right], truth[:, right]).max() < 1e-3


def test_short_gaps_are_filled_and_long_ones_are_not():
    clip, (truth,) = walker()
    knee = clip.skeleton.keypoints.index("left_knee")

    def with_gaps(points):
        points[50:55, knee] = np.nan
        points[100:130, knee] = np.nan
        return points

    person = measured(with_points(clip, with_gaps), AngleOptions(filter="none", gap=5))
    assert person.filled[50:55].all()
    assert person.filled.sum() == 5
    assert turned_by(person.values[50:55, KNEE], truth[50:55, KNEE]).max() < 3
    assert np.isnan(person.values[100:130, KNEE]).all()
    none = measured(with_points(clip, with_gaps), AngleOptions(gap=0))
    assert np.isnan(none.values[50:55, KNEE]).all()


def test_people_who_come_and_go_have_their_own_frames():
    clip, truth = walker(ids=(1, 4))
    kept = (clip.ids == 1) | ((clip.rows >= 40) & (clip.rows < 90))
    first, second = person_angles(clip.rows_where(kept), PLAIN)
    assert (first.id, second.id) == (1, 4)
    assert (len(first.frames), second.frames.tolist()) == (240, list(range(40, 90)))
    assert turned_by(second.values, truth[1][40:90]).max() < 1e-3


def test_every_second_frame_is_enough():
    clip, (truth,) = walker(frames=240, fps=120.0)
    kept = clip.rows % 2 == 0
    half = clip.rows_where(kept)
    half = replace(half, frames=clip.frames[::2], times=clip.times[::2], rows=half.rows // 2)
    person = measured(half, AngleOptions())
    assert (person.rate, len(person.frames)) == (60.0, 120)
    assert turned_by(person.values, truth[::2])[10:-10].max() < 3


def test_too_few_frames_per_second_for_the_filter(caplog):
    clip, (truth,) = walker(fps=10.0)
    person = measured(clip, AngleOptions())
    assert person.cutoff is None
    assert "too few for a cut-off" in caplog.text
    assert turned_by(person.values, truth).max() < 1e-3


def test_photos_have_angles_without_ids():
    clip, truth = walker(ids=(1, 2), frames=1)
    photo = replace(clip, ids=None, still=True, fps=None)
    people = list(person_angles(photo))
    assert [person.id for person in people] == [1, 2]
    assert turned_by(people[1].values, truth[1]).max() < 1e-3


def test_a_hand_has_no_angles():
    clip, _ = walker()
    points = np.zeros((len(clip.rows), 21, 2), np.float32)
    scores = np.ones(points.shape[:2], np.float32)
    hands = replace(clip, skeleton=get_skeleton("hand21"), keypoints=points, scores=scores)
    with pytest.raises(InputError, match="not those of a body"):
        clip_angles(hands)


def test_nothing_tells_the_facing_of_sticks(caplog):
    clip, _ = walker()
    straight = with_points(clip, lambda points: points * (0, 1) + (300, 0))
    person = measured(replace(straight, keypoints=straight.keypoints.astype(np.float32)))
    assert person.facing.rule == ""
    assert "nothing tells which way these people" in caplog.text
    assert (measured(clip, AngleOptions(facing="left")).facing.signs == -1).all()


def test_segments_turn_on_without_jumps():
    clip, _ = walker(frames=200)
    center = clip.keypoints[:, clip.skeleton.keypoints.index("hip")][:, None]
    turn = np.radians(np.linspace(0, 540, 200))[:, None]
    offset = clip.keypoints - center
    x = offset[..., 0] * np.cos(turn) + offset[..., 1] * np.sin(turn)
    y = -offset[..., 0] * np.sin(turn) + offset[..., 1] * np.cos(turn)
    somersault = replace(clip, keypoints=(center + np.stack([x, y], -1)).astype(np.float32))
    person = measured(somersault)
    trunk = person.values[:, ANGLES.index("trunk")]
    assert trunk[-1] - trunk[0] == pytest.approx(540, abs=10)
    assert np.abs(np.diff(trunk)).max() < 10
    assert (person.facing.signs == 1).all()


# ---- meters


def test_a_known_length_and_a_floor_give_meters():
    clip, _ = walker()
    found = clip_angles(
        clip, PLAIN, MeterSettings.parsed(None, "left_knee,left_ankle,0.42", "0,400,640,400")
    )
    assert found.scale.meters_per_pixel == pytest.approx(0.42 / LENGTHS["shank"], rel=1e-4)
    hip = found.scale.to_meters(found.people[0].body.at("hip"))
    np.testing.assert_allclose(hip[:, 1], 140 * 0.007, atol=1e-4)


def test_a_tilted_floor_turns_the_segments():
    clip, (truth,) = walker()
    tilt = np.radians(7.0)
    cos, sin = np.cos(tilt), np.sin(tilt)
    # The camera is tilted: what was level rises to the right.
    x, y = clip.keypoints[..., 0] - 320, clip.keypoints[..., 1] - 240
    points = np.stack([320 + x * cos + y * sin, 240 - x * sin + y * cos], -1).astype(np.float32)
    tilted = replace(clip, keypoints=points)
    line = FloorLine.through([0, 400, 640, 400 - 640 * np.tan(tilt)])
    assert np.degrees(line.angle) == pytest.approx(7.0)
    person = measured(tilted, floor=line)
    assert turned_by(person.values, truth).max() < 1e-3
    up = Scale(0.01, line).to_meters(np.array([[100.0, line.row_at(100.0)]]))
    np.testing.assert_allclose(up[0], [1 / cos, 0], atol=1e-9)


def test_the_floor_is_where_feet_rest():
    clip, _ = walker(frames=60, stands=True)
    # Two places where somebody stands, on a floor that rises by 1 in 20.
    still = clip.keypoints.copy()
    still[30:] += (200, -10)
    (person,) = person_angles(replace(clip, keypoints=still), PLAIN)
    floor = floor_from_feet(person.body, person.times)
    assert np.tan(floor.angle) == pytest.approx(0.05, abs=0.005)
    toe = person.body.at("left_toe")[0]
    assert floor.row_at(toe[0]) == pytest.approx(toe[1], abs=2)


def test_height_is_the_sum_of_the_segments():
    clip, _ = walker()
    (person,) = person_angles(clip, PLAIN)
    whole = sum(LENGTHS[part] for part in ("shank", "thigh", "trunk", "head"))
    assert height_in_pixels(person.body) == pytest.approx(whole / (1 - 0.039), rel=0.01)
    found = clip_angles(clip, PLAIN, MeterSettings(height_m=1.75))
    assert found.scale.meters_per_pixel == pytest.approx(1.75 * (1 - 0.039) / whole, rel=0.01)
    assert found.scale.floor.y == SIZE[1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((1.7, "left_knee,left_ankle,0.4", "none"), "both set the scale"),
        ((None, "left_knee,0.4", "none"), "two keypoints and their distance"),
        ((None, "left_knee,left_ankle,-1", "none"), "above 0"),
        ((None, None, "10,20"), "four numbers"),
        ((None, None, "down"), "x1,y1,x2,y2"),
        ((None, None, "5,5,5,9"), "from left to right"),
    ],
)
def test_wrong_settings_are_refused(arguments, words):
    with pytest.raises(InputError, match=words):
        MeterSettings.parsed(*arguments)


def test_a_length_of_unknown_points_names_those_there_are():
    clip, _ = walker(frames=5)
    with pytest.raises(InputError, match="no keypoint 'knee'; there are nose"):
        clip_angles(clip, PLAIN, MeterSettings(length=("knee", "left_ankle", 0.4)))


# ---- signals


def test_gaps_at_the_ends_stay():
    values = np.array([np.nan, 1, np.nan, 3, np.nan])[:, None]
    filled, added = fill_gaps(values, 1)
    np.testing.assert_array_equal(filled[:, 0], [np.nan, 1, 2, 3, np.nan])
    assert added[:, 0].tolist() == [False, False, True, False, False]


def test_short_runs_are_not_filtered():
    values = np.r_[np.sin(np.arange(8.0)), np.nan, np.sin(np.arange(60.0))][:, None]
    filtered, short = low_pass(values, FPS, 6.0)
    assert short == 8
    np.testing.assert_array_equal(filtered[:8], values[:8])
    assert not np.allclose(filtered[9:], values[9:])
