#include "yolo.hpp"

#include <algorithm>
#include <cmath>

#include "boxes.hpp"
#include "detector_decoding.hpp"
#include "one_stage_decoding.hpp"

namespace rtmpose::core {
namespace {

constexpr float kIouThr = 0.65f;
constexpr std::size_t kCandidates = 1000;
constexpr std::size_t kMostDetections = 100;
constexpr std::size_t kMostPeople = 300;
constexpr std::int64_t kAnchorsPerCell = 3;

// 4 + 1 + 3 x 17: people with COCO's keypoints, which no common set of classes is as large as.
constexpr std::int64_t kPeopleRows = 56;

const std::vector<int> kStrideSets[] = {{8, 16, 32}, {8, 16, 32, 64}};

std::int64_t cell_count(Size input, const std::vector<int>& strides) {
  std::int64_t count = 0;
  for (const int stride : strides) {
    count += static_cast<std::int64_t>(input.width / stride) * (input.height / stride);
  }
  return count;
}

bool is_grid(std::int64_t rows, Size input, std::int64_t per_cell) {
  return std::any_of(std::begin(kStrideSets), std::end(kStrideSets), [&](const auto& strides) {
    return rows == per_cell * cell_count(input, strides);
  });
}

// Candidates in either order of rows and columns.
struct Table {
  const float* values;
  std::size_t count;
  std::size_t row_step;
  std::size_t column_step;

  float at(std::size_t row, std::size_t column) const {
    return values[row * row_step + column * column_step];
  }
};

Box corners(float x, float y, float width, float height) {
  return {x - width / 2, y - height / 2, x + width / 2, y + height / 2};
}

struct Cell {
  float x;
  float y;
  float stride;
};

// The cells of all strides; empty where places are in pixels already: then centers spread over the
// image, while relative ones lie within a few cells of 0.
std::vector<Cell> grid_of(const Table& table, Size input) {
  std::vector<float> places;
  for (std::size_t i = 0; i < table.count; ++i) {
    // What is no number has no order.
    const float place = std::fabs(table.at(i, 0));
    places.push_back(std::isnan(place) ? 0.0f : place);
  }
  const auto middle = places.begin() + static_cast<std::ptrdiff_t>(places.size() / 2);
  std::nth_element(places.begin(), middle, places.end());
  if (places.empty() || *middle > static_cast<float>(input.width) / 8) return {};
  for (const auto& strides : kStrideSets) {
    if (static_cast<std::int64_t>(table.count) != cell_count(input, strides)) continue;
    std::vector<Cell> cells;
    for (const int stride : strides) {
      for (int y = 0; y < input.height / stride; ++y) {
        for (int x = 0; x < input.width / stride; ++x) {
          cells.push_back({static_cast<float>(x), static_cast<float>(y),
                           static_cast<float>(stride)});
        }
      }
    }
    return cells;
  }
  return {};
}

Box candidate_box(const Table& table, std::size_t row, const std::vector<Cell>& grid) {
  float x = table.at(row, 0);
  float y = table.at(row, 1);
  float width = table.at(row, 2);
  float height = table.at(row, 3);
  if (!grid.empty()) {
    const Cell& cell = grid[row];
    x = (x + cell.x) * cell.stride;
    y = (y + cell.y) * cell.stride;
    width = std::exp(std::min(width, 20.0f)) * cell.stride;  // no overflow
    height = std::exp(std::min(height, 20.0f)) * cell.stride;
  }
  return corners(x, y, width, height);
}

// first_class: the column of the first class; the one before it is the objectness, if any.
Detections read_candidates(const Table& table, std::size_t columns, bool objectness,
                           const std::vector<Cell>& grid, float score_thr) {
  const std::size_t first_class = objectness ? 5 : 4;
  Candidates all;
  for (std::size_t row = 0; row < table.count; ++row) {
    const float there = objectness ? table.at(row, 4) : 1.0f;
    for (std::size_t column = first_class; column < columns; ++column) {
      const float score = table.at(row, column) * there;
      if (!(score > score_thr)) continue;
      all.boxes.push_back(candidate_box(table, row, grid));
      all.scores.push_back(score);
      all.labels.push_back(static_cast<std::int64_t>(column - first_class));
    }
  }
  return suppress(best_candidates(std::move(all), kCandidates), kIouThr, kMostDetections);
}

}  // namespace

YoloForm yolo_form(const Shape& shape, Size input) {
  if (shape.size() != 3 || (shape[0] != 1 && shape[0] != -1)) return YoloForm::kNone;
  const std::int64_t rows = shape[1];
  const std::int64_t columns = shape[2];
  if (columns >= 6) {
    if (is_grid(rows, input, 1)) return YoloForm::kCells;
    if (is_grid(rows, input, kAnchorsPerCell)) return YoloForm::kAnchors;
  }
  if (rows >= 5 && (is_grid(columns, input, 1) || (columns == -1 && rows > 6))) {
    return rows == kPeopleRows ? YoloForm::kPeople : YoloForm::kChannelsFirst;
  }
  return columns == 6 ? YoloForm::kBoxes : YoloForm::kNone;
}

bool read_yolo(const Arrays& outputs, Size input, float score_thr, Detections& found) {
  if (outputs.size() != 1 || outputs[0].element != Element::kFloat) return false;
  const YoloForm form = yolo_form(outputs[0].shape, input);
  if (form == YoloForm::kNone) return false;
  const std::size_t rows = static_cast<std::size_t>(outputs[0].shape[1]);
  const std::size_t columns = static_cast<std::size_t>(outputs[0].shape[2]);
  const float* values = outputs[0].floats();
  const Table by_rows{values, rows, columns, 1};
  const Table by_columns{values, columns, 1, columns};
  switch (form) {
    case YoloForm::kBoxes:
      for (std::size_t i = 0; i < rows; ++i) {
        const float* row = values + 6 * i;
        const float label = std::isfinite(row[5]) ? std::nearbyint(row[5]) : -1.0f;
        found.add({row[0], row[1], row[2], row[3]}, row[4],
                  static_cast<std::int64_t>(std::clamp(label, -1.0f, 1e9f)));
      }
      return true;
    case YoloForm::kPeople: {
      const Poses people = read_yolo_people(outputs, score_thr, "the model");
      for (std::size_t i = 0; i < people.size(); ++i) {
        found.add(people.boxes[i], people.box_scores[i], 0);
      }
      return true;
    }
    case YoloForm::kChannelsFirst:
      found = read_candidates(by_columns, rows, false, {}, score_thr);
      return true;
    default:
      found = read_candidates(by_rows, columns, true,
                              form == YoloForm::kCells ? grid_of(by_rows, input)
                                                       : std::vector<Cell>(),
                              score_thr);
      return true;
  }
}

Poses read_yolo_people(const Arrays& outputs, float score_thr, const std::string& name) {
  const bool right = outputs.size() == 1 && outputs[0].rank() == 3 && outputs[0].shape[1] >= 8 &&
                     (outputs[0].shape[1] - 5) % 3 == 0;
  if (!right) {
    fail_model(name + " is not a YOLO pose model: it returns arrays of shape " +
               shapes_text(outputs) + "; read is (1, 5 + 3 K, A)");
  }
  const std::size_t rows = static_cast<std::size_t>(outputs[0].shape[1]);
  const std::size_t count = static_cast<std::size_t>(outputs[0].shape[2]);
  const Table table{outputs[0].floats(), count, 1, count};
  Poses people;
  people.keypoint_count = (rows - 5) / 3;
  std::vector<Point> points(people.keypoint_count);
  std::vector<float> scores(people.keypoint_count);
  for (std::size_t i = 0; i < count; ++i) {
    if (!(table.at(i, 4) >= std::max(score_thr, kLowestPersonScore))) continue;
    bool finite = true;
    for (std::size_t row = 0; row < rows; ++row) finite &= std::isfinite(table.at(i, row));
    if (!finite) continue;
    for (std::size_t k = 0; k < people.keypoint_count; ++k) {
      points[k] = {table.at(i, 5 + 3 * k), table.at(i, 6 + 3 * k)};
      scores[k] = table.at(i, 7 + 3 * k);
    }
    people.add(corners(table.at(i, 0), table.at(i, 1), table.at(i, 2), table.at(i, 3)),
               table.at(i, 4), points.data(), scores.data());
  }
  return people.select(nms(people.boxes, people.box_scores, kIouThr, kMostPeople));
}

}  // namespace rtmpose::core
