"""The moments of frames, whatever the container's stamps do: a function of the stamps alone."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtmpose.sources.timestamps import steady_times

STEP = 0.04


def times(stamps, step=STEP, **options):
    return [t for t, _ in steady_times([(s, None) for s in stamps], step, **options)]


def even(count, step=STEP, first=0.0):
    return [first + i * step for i in range(count)]


stamp_lists = st.lists(
    st.one_of(st.none(), st.floats(-1e5, 1e5), st.sampled_from([0.0, 0.04, 0.08, 0.12, 3600.0])),
    min_size=1,
    max_size=60,
)
good_steps = st.lists(st.floats(0.001, 0.9), min_size=4, max_size=40)


@settings(max_examples=200, deadline=None)
@given(stamp_lists, st.floats(0.001, 1.0))
def test_times_begin_at_0_and_grow(stamps, step):
    found = times(stamps, step)
    assert len(found) == len(stamps)
    assert found[0] == 0
    assert all(b > a for a, b in itertools.pairwise(found))


@settings(max_examples=200, deadline=None)
@given(good_steps, st.floats(-1000, 1000))
def test_good_stamps_are_followed(steps, first):
    stamps = [first + s for s in itertools.accumulate([0.0, *steps])]
    assert times(stamps) == pytest.approx([s - first for s in stamps], abs=1e-6)


@settings(max_examples=200, deadline=None)
@given(good_steps, st.data(), st.sampled_from([None, "same", 3600.0, -3600.0, 30.0, -0.5]))
def test_one_bad_stamp_changes_its_own_frame_only(steps, data, bad):
    stamps = [10 + s for s in itertools.accumulate([0.0, *steps])]
    at = data.draw(st.integers(1, len(stamps) - 2))
    broken = list(stamps)
    broken[at] = {None: None, "same": stamps[at - 1]}.get(bad, 0)
    if isinstance(bad, float):
        broken[at] = stamps[at - 1] + bad
        if stamps[at - 1] < broken[at] < stamps[at + 1]:
            return
    found = times(broken)
    whole = [s - stamps[0] for s in stamps]
    # A gap before the frame after it may be too wide to be believed at once.
    if stamps[at + 1] - stamps[at - 1] > max(1.0, 10 * (stamps[at - 1] - stamps[max(at - 2, 0)])):
        return
    assert found[:at] == pytest.approx(whole[:at], abs=1e-6)
    assert found[at + 1 :] == pytest.approx(whole[at + 1 :], abs=1e-6)


def test_a_repeated_stamp_does_not_run_away():
    stamps = even(50)
    stamps[20] = stamps[19]
    found = times(stamps)
    assert found[21:] == pytest.approx(even(50)[21:])
    assert found[19] < found[20] < found[21]


def test_many_repeated_stamps_are_made_up_for():
    stamps = even(100)
    stamps[20:30] = [stamps[19]] * 10
    assert times(stamps)[60:] == pytest.approx(even(100)[60:])


def test_one_frame_an_hour_ahead():
    stamps = even(50)
    stamps[20] += 3600
    assert times(stamps) == pytest.approx(even(50), abs=STEP)
    assert times(stamps)[21:] == pytest.approx(even(50)[21:])
    stamps[21] += 3600
    assert times(stamps)[22:] == pytest.approx(even(50)[22:])


@pytest.mark.parametrize("jump", [3600.0, -0.5, -3600.0])
def test_a_jump_that_lasts_is_left_out(jump, caplog):
    stamps = [*even(20), *even(20, first=20 * STEP + jump)]
    assert times(stamps, name="clip.ts") == pytest.approx(even(40))
    assert "clip.ts: the time stamps jump" in caplog.text


def test_a_pause_is_kept():
    stamps = [*even(20), *even(20, first=30.0)]
    assert times(stamps) == pytest.approx(stamps)
    assert times([*even(20), 7.0]) == pytest.approx([*even(20), 7.0])


def test_frames_that_are_far_apart():
    stamps = [0.0, 0.04, 5.0, 12.0, 19.0, 30.0, 30.04]
    assert times(stamps) == pytest.approx(stamps)


def test_a_last_frame_an_hour_ahead():
    assert times([*even(20), 3600.0]) == pytest.approx(even(21))


def test_without_stamps_frames_follow_by_the_rate():
    assert times([None] * 10) == pytest.approx(even(10))
    assert times([None, None, 0.08, 0.12, 0.16]) == pytest.approx(even(5))


def test_reading_from_the_middle():
    assert times([12.0, 12.04, 12.08], origin=2.0) == pytest.approx([10.0, 10.04, 10.08])


def test_frames_stay_in_order_and_are_not_held_back():
    stamps = even(5)
    seen = []

    def source():
        for index, stamp in enumerate(stamps):
            seen.append(index)
            yield stamp, index

    for count, (_, index) in enumerate(steady_times(source(), STEP), 1):
        assert index == count - 1
        assert len(seen) == count
