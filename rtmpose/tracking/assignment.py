"""The assignment problem: rows to columns, one to one, so that the sum is the largest.

SciPy has it too, in a package whose import takes 40 MB; the matrices here are small.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FREE = -1


def best_assignment(values: NDArray[np.floating]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of rows and columns, as many as the shorter side has, in the order of the rows.

    Args:
        values: ``(rows, columns)``, finite.

    Returns:
        Rows ``(N,)`` and their columns ``(N,)``.
    """
    # The solver looks for the least, and wants the shorter side as rows.
    turned = values.shape[0] > values.shape[1]
    costs = -np.asarray(values, np.float64)
    chosen = _columns_of_rows(costs.T if turned else costs)
    numbers = np.arange(len(chosen))
    if not turned:
        return numbers, chosen
    order = np.argsort(chosen)
    return chosen[order], numbers[order]


def _columns_of_rows(costs: NDArray[np.float64]) -> NDArray[np.int64]:
    """The cheapest column of each row, by shortest augmenting paths with prices (the Hungarian
    method).
    """
    rows, columns = costs.shape
    # Where every row has another cheapest column, nothing is left to weigh up: the usual case.
    if columns:
        cheapest = costs.argmin(axis=1)
        if len(set(cheapest.tolist())) == rows:
            return cheapest

    row_prices = np.zeros(rows)
    column_prices = np.zeros(columns)
    row_of = np.full(columns, FREE)
    column_of = np.full(rows, FREE)
    for start in range(rows):
        # Grow the cheapest path from this row until it meets a free column.
        distance = np.full(columns, np.inf)
        before = np.full(columns, FREE)
        done = np.zeros(columns, bool)
        visited = []
        length = 0.0
        row = start
        while True:
            visited.append(row)
            reach = length + costs[row] - row_prices[row] - column_prices
            nearer = ~done & (reach < distance)
            distance[nearer] = reach[nearer]
            before[nearer] = row
            column = _nearest(distance, done, row_of)
            length = distance[column]
            done[column] = True
            if row_of[column] == FREE:
                break
            row = row_of[column]

        # New prices, so that the pairs on the path cost nothing.
        row_prices[start] += length
        for other in visited[1:]:
            row_prices[other] += length - distance[column_of[other]]
        column_prices[done] -= length - distance[done]

        # Along the path, each row hands its column on.
        while True:
            row = before[column]
            row_of[column] = row
            column, column_of[row] = column_of[row], column
            if row == start:
                break
    return column_of


def _nearest(
    distance: NDArray[np.float64], done: NDArray[np.bool_], row_of: NDArray[np.int64]
) -> int:
    """The nearest column; of those as near, one that is free."""
    open_distance = np.where(done, np.inf, distance)
    nearest = int(open_distance.argmin())
    if row_of[nearest] == FREE:
        return nearest
    ties = np.flatnonzero((open_distance == open_distance[nearest]) & (row_of == FREE))
    return int(ties[0]) if len(ties) else nearest
