// The assignment problem: rows to columns, one to one, so that the sum is the largest.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

namespace rtmpose::core {

// Pairs of rows and columns, as many as the shorter side has. values: (rows, columns), finite.
std::vector<std::pair<std::size_t, std::size_t>> best_assignment(const std::vector<double>& values,
                                                                 std::size_t rows,
                                                                 std::size_t columns);

}  // namespace rtmpose::core
