"""The filters of tracking: smoothing live and offline, and the box filter."""

import numpy as np
import pytest
from made_people import BODY, SKELETON

from rtmpose.tracking import OneEuro, smooth_offline
from rtmpose.tracking.kalman import BoxFilter
from rtmpose.tracking.smoothing import smooth_together
from rtmpose.tracking.video import smooth_clip
from rtmpose.types import Poses


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
