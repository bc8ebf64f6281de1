"""The assignment of poses to tracks, compared with SciPy's."""

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from rtmpose.tracking.assignment import best_assignment


@pytest.mark.parametrize("kind", ["random", "sparse", "ties", "zeros"])
def test_the_same_pairs_as_scipy(kind):
    generator = np.random.default_rng(7)
    for _ in range(40):
        rows, columns = generator.integers(1, 14, 2)
        values = generator.random((rows, columns))
        if kind == "sparse":
            values *= generator.random((rows, columns)) < 0.2
        elif kind == "ties":
            values = np.round(values * 3) / 3
        elif kind == "zeros":
            values *= 0
        expected = linear_sum_assignment(-values)
        found = best_assignment(values)
        assert len(set(found[0].tolist())) == len(found[0]) == min(rows, columns)
        assert len(set(found[1].tolist())) == len(found[1]) == min(rows, columns)
        assert values[found].sum() == pytest.approx(values[expected].sum(), abs=1e-12)
        # The same pairs, where only one set of pairs is best; pairs of value 0 are no matches.
        if kind in ("random", "sparse"):
            pairs = []
            for rows_of, columns_of in (found, expected):
                chosen = zip(rows_of.tolist(), columns_of.tolist(), strict=True)
                pairs.append({pair for pair in chosen if values[pair] > 0})
            assert pairs[0] == pairs[1]
