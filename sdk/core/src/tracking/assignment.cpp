#include "tracking/assignment.hpp"

#include <algorithm>
#include <limits>

namespace rtmpose::core {
namespace {

constexpr std::size_t kNone = static_cast<std::size_t>(-1);

// Shortest augmenting paths with prices (the Hungarian method), for no more rows than columns.
class Solver {
 public:
  Solver(const std::vector<double>& costs, std::size_t rows, std::size_t columns)
      : costs_(costs),
        rows_(rows),
        columns_(columns),
        row_prices_(rows, 0.0),
        column_prices_(columns, 0.0),
        row_of_(columns, kNone),
        column_of_(rows, kNone) {}

  std::vector<std::size_t> solve() {
    for (std::size_t row = 0; row < rows_; ++row) add_row(row);
    return column_of_;
  }

 private:
  // Gives a row a column, by moving others along the cheapest path.
  void add_row(std::size_t start) {
    const double infinity = std::numeric_limits<double>::infinity();
    std::vector<double> distance(columns_, infinity);
    std::vector<std::size_t> from(columns_, kNone);
    std::vector<bool> done(columns_, false);
    std::vector<std::size_t> visited_rows;
    double length = 0;
    std::size_t row = start;
    std::size_t sink = kNone;
    while (sink == kNone) {
      visited_rows.push_back(row);
      std::size_t nearest = kNone;
      for (std::size_t column = 0; column < columns_; ++column) {
        if (done[column]) continue;
        const double reach = length + costs_[row * columns_ + column] - row_prices_[row] -
                             column_prices_[column];
        if (reach < distance[column]) {
          distance[column] = reach;
          from[column] = row;
        }

        // Of columns that are as near, a free one ends the search.
        const bool nearer = nearest == kNone || distance[column] < distance[nearest];
        const bool free_tie = nearest != kNone && distance[column] == distance[nearest] &&
                              row_of_[column] == kNone && row_of_[nearest] != kNone;
        if (nearer || free_tie) nearest = column;
      }
      length = distance[nearest];
      done[nearest] = true;
      if (row_of_[nearest] == kNone) sink = nearest;
      else row = row_of_[nearest];
    }

    // New prices, so that the pairs on the path cost nothing.
    for (const std::size_t visited : visited_rows) {
      row_prices_[visited] +=
          visited == start ? length : length - distance[column_of_[visited]];
    }
    for (std::size_t column = 0; column < columns_; ++column) {
      if (done[column]) column_prices_[column] -= length - distance[column];
    }
    for (std::size_t column = sink;;) {
      const std::size_t owner = from[column];
      row_of_[column] = owner;
      std::swap(column_of_[owner], column);
      if (owner == start) break;
    }
  }

  const std::vector<double>& costs_;
  std::size_t rows_;
  std::size_t columns_;
  std::vector<double> row_prices_;
  std::vector<double> column_prices_;
  std::vector<std::size_t> row_of_;
  std::vector<std::size_t> column_of_;
};

}  // namespace

std::vector<std::pair<std::size_t, std::size_t>> best_assignment(const std::vector<double>& values,
                                                                 std::size_t rows,
                                                                 std::size_t columns) {
  // The solver looks for the least, and wants the shorter side as rows.
  const bool turned = rows > columns;
  const std::size_t shorter = turned ? columns : rows;
  const std::size_t longer = turned ? rows : columns;
  std::vector<double> costs(values.size());
  for (std::size_t row = 0; row < rows; ++row) {
    for (std::size_t column = 0; column < columns; ++column) {
      const std::size_t place = turned ? column * rows + row : row * columns + column;
      costs[place] = -values[row * columns + column];
    }
  }
  const std::vector<std::size_t> chosen = Solver(costs, shorter, longer).solve();
  std::vector<std::pair<std::size_t, std::size_t>> pairs;
  for (std::size_t i = 0; i < shorter; ++i) {
    if (turned) pairs.emplace_back(chosen[i], i);
    else pairs.emplace_back(i, chosen[i]);
  }
  std::sort(pairs.begin(), pairs.end());
  return pairs;
}

}  // namespace rtmpose::core
