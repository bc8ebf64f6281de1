"""A short trial: which of several ways to run a network is the fastest on this machine.

The ways take turns, call by call, so that a busy moment of the machine hits all of them alike. One
that is not the default must be faster by a margin in the median and in the quicker calls, so that
noise does not change what a machine uses.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

SECONDS = 0.5
"""Length of a trial, without the first call of each."""
MOST_SECONDS = 5.0
"""Where calls are slow: no new round after this time, even if there were few."""
FEWEST_ROUNDS = 5
"""Calls of each that make a result."""
MARGIN = 0.05
"""Share of the default's time by which another way must be faster."""
BUSY = 1.5
"""The default's median over its quicker calls, from which the machine counts as busy."""

Clock = Callable[[], float]


@dataclass(frozen=True)
class Timing:
    """Milliseconds for one image.

    Attributes:
        median: Of all calls.
        quick: A tenth of the calls were faster than this one.
    """

    median: float
    quick: float


@dataclass(frozen=True)
class Verdict:
    """What a trial led to.

    Attributes:
        chosen: Name of the way to use.
        reason: Why, with figures.
        busy: Whether the machine was too busy to tell; the default is chosen then.
    """

    chosen: str
    reason: str
    busy: bool = False


def run_trial(
    calls: Mapping[str, Callable[[], object]],
    images_per_call: int = 1,
    *,
    seconds: float = SECONDS,
    clock: Clock = time.perf_counter,
) -> dict[str, Timing]:
    """Time ways to run a network.

    Args:
        calls: By name: runs the network once.
        images_per_call: Images that one call computes.
        seconds: How long to go on, all ways together.
        clock: Seconds that pass; for tests.

    Returns:
        By name; empty where there was no time for enough calls.
    """
    # The first call of a network compiles it.
    for call in calls.values():
        call()

    # Every other round goes the other way round: nobody always comes after the same one.
    times: dict[str, list[float]] = {name: [] for name in calls}
    order: Sequence[str] = list(calls)
    begin = clock()
    rounds = 0
    while rounds < FEWEST_ROUNDS or clock() - begin < seconds:
        if clock() - begin > MOST_SECONDS:
            break
        for name in order if rounds % 2 == 0 else reversed(order):
            start = clock()
            calls[name]()
            times[name].append((clock() - start) * 1000 / images_per_call)
        rounds += 1

    if rounds < FEWEST_ROUNDS:
        return {}
    return {
        name: Timing(float(np.median(values)), float(np.percentile(values, 10)))
        for name, values in times.items()
    }


def judge_trial(timings: Mapping[str, Timing], default: str) -> Verdict:
    """Which way to use.

    Args:
        timings: By name; the default is among them.
        default: What is used unless another way is clearly faster.
    """
    usual = timings[default]
    figures = ", ".join(f"{name} {t.median:.1f} ms" for name, t in timings.items())
    if usual.median > BUSY * usual.quick:
        return Verdict(default, f"the machine was too busy to tell ({figures})", busy=True)

    # Both the median and the quicker calls must say so.
    clearly_faster = [
        name
        for name, timing in timings.items()
        if timing.median < (1 - MARGIN) * usual.median and timing.quick < (1 - MARGIN) * usual.quick
    ]
    if not clearly_faster:
        return Verdict(default, f"nothing was clearly faster here ({figures})")
    fastest = min(clearly_faster, key=lambda name: timings[name].median)
    return Verdict(fastest, f"the fastest here ({figures})")


def judge_few(
    verdict: Verdict,
    timings: Mapping[str, Timing],
    opening: Mapping[str, float],
    images: int,
    crops: int,
) -> Verdict:
    """Which way has the results of so many images first, opened for them alone.

    Args:
        verdict: For any number of images.
        timings: By name.
        opening: By name: milliseconds to open the network and to run it once.
        images: That are all the work.
        crops: Calls of the network are timed per crop; so many there are in each image.
    """
    totals = {name: opening[name] + images * crops * t.median for name, t in timings.items()}
    first = min(totals, key=lambda name: totals[name])
    if totals[first] >= (1 - MARGIN) * totals[verdict.chosen]:
        return verdict
    figures = ", ".join(f"{name} {total:.0f} ms" for name, total in totals.items())
    return Verdict(first, f"opened for {images} of them, it is done first here ({figures})")
