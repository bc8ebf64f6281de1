#include "detector_decoding.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "boxes.hpp"
#include "yolo.hpp"

namespace rtmpose::core {
namespace {

constexpr std::size_t kCandidatesPerLevel = 1000;
constexpr std::size_t kMostDetections = 100;
constexpr float kIouThr = 0.6f;
constexpr int kStrides[] = {8, 16, 32};

// Suppression costs little from here up, and callers filter by their own threshold later.
constexpr float kLowestThr = 0.05f;

bool is_boxes(const Array& array, std::int64_t columns) {
  return array.rank() == 3 && array.shape[2] == columns && array.element == Element::kFloat;
}

// The only one of the outputs with that many columns; none where there are several.
const Array* only_boxes(const Arrays& outputs, std::int64_t columns) {
  const Array* found = nullptr;
  for (const Array& output : outputs) {
    if (!is_boxes(output, columns)) continue;
    if (found) return nullptr;
    found = &output;
  }
  return found;
}

Box box_at(const float* values) { return {values[0], values[1], values[2], values[3]}; }

// Boxes with scores (1, n, 5) and labels, in any order; masks are left out.
bool read_suppressed(const Arrays& outputs, Detections& found) {
  const Array* boxes = only_boxes(outputs, 5);
  if (!boxes || outputs.size() < 2 || outputs.size() > 3) return false;
  const std::size_t n = static_cast<std::size_t>(boxes->shape[1]);
  const Array* labels = nullptr;
  int label_arrays = 0;
  int masks = 0;
  for (const Array& output : outputs) {
    if (&output == boxes) continue;
    if (output.rank() >= 3) {
      ++masks;
    } else {
      labels = &output;
      ++label_arrays;
    }
  }
  if (label_arrays != 1 || masks > 1 || labels->size() < n) return false;
  const float* values = boxes->floats();
  for (std::size_t i = 0; i < n; ++i, values += 5) {
    found.add(box_at(values), values[4], labels->integer(i));
  }
  return true;
}

// Boxes (1, n, 4), scores and labels (1, n), with or without their number in front.
bool read_apart(const Arrays& outputs, Detections& found) {
  const Array* boxes = only_boxes(outputs, 4);
  if (!boxes || (outputs.size() != 3 && outputs.size() != 4)) return false;
  std::size_t n = static_cast<std::size_t>(boxes->shape[1]);
  const Array* head = outputs.size() == 4 ? &outputs[0] : nullptr;
  const Array* scores = nullptr;
  const Array* labels = nullptr;
  for (const Array& output : outputs) {
    if (&output == boxes || &output == head || output.rank() > 2 || output.size() != n) continue;
    const Array*& role = output.is_integer() ? labels : scores;
    if (role) return false;
    role = &output;
  }
  if (!scores || !labels || (head && head->size() != 1)) return false;
  if (head) {
    const std::int64_t count = head->integer(0);
    n = std::min(n, static_cast<std::size_t>(std::max<std::int64_t>(0, count)));
  }
  const float* values = boxes->floats();
  for (std::size_t i = 0; i < n; ++i) {
    found.add(box_at(values + 4 * i), scores->floats()[i], labels->integer(i));
  }
  return true;
}

// Decoded candidates (1, A, 4) with their scores per class (1, A, C).
bool read_candidates(const Arrays& outputs, float score_thr, Detections& found) {
  if (outputs.size() != 2 || !is_boxes(outputs[0], 4) || outputs[1].rank() != 3 ||
      outputs[0].shape[1] != outputs[1].shape[1]) {
    return false;
  }
  const std::size_t count = static_cast<std::size_t>(outputs[0].shape[1]);
  const std::size_t classes = static_cast<std::size_t>(outputs[1].shape[2]);
  const float* boxes = outputs[0].floats();
  const float* scores = outputs[1].floats();
  Candidates all;
  for (std::size_t i = 0; i < count; ++i) {
    for (std::size_t label = 0; label < classes; ++label) {
      const float score = scores[i * classes + label];
      if (!(score > score_thr)) continue;
      all.boxes.push_back(box_at(boxes + 4 * i));
      all.scores.push_back(score);
      all.labels.push_back(static_cast<std::int64_t>(label));
    }
  }
  found = suppress(best_candidates(std::move(all), kCandidatesPerLevel), kIouThr, kMostDetections);
  return true;
}

// One stride of RTMDet's head: logits and distances to the four sides of the box in each cell.
struct Level {
  const float* logits;
  const float* sides;
  std::size_t cells;
  std::size_t width;
  std::size_t classes;
  std::size_t cell_step;     // from one cell's value to the next cell's
  std::size_t channel_step;  // from one channel to the next
  int stride;
};

Candidates level_candidates(const Level& level, float score_thr) {
  // Compared as logits: the exponential is only taken of what counts.
  const float lowest = std::log(score_thr / (1 - score_thr)) - 1e-3f;
  Candidates all;
  for (std::size_t cell = 0; cell < level.cells; ++cell) {
    for (std::size_t label = 0; label < level.classes; ++label) {
      const float logit = level.logits[cell * level.cell_step + label * level.channel_step];
      if (!(logit > lowest)) continue;
      const float score = 1 / (1 + std::exp(-logit));
      if (!(score > score_thr)) continue;
      const float* sides = level.sides + cell * level.cell_step;
      const float x = static_cast<float>(cell % level.width) * static_cast<float>(level.stride);
      const float y = static_cast<float>(cell / level.width) * static_cast<float>(level.stride);
      all.boxes.push_back({x - sides[0], y - sides[level.channel_step],
                           x + sides[2 * level.channel_step], y + sides[3 * level.channel_step]});
      all.scores.push_back(score);
      all.labels.push_back(static_cast<std::int64_t>(label));
    }
  }
  return best_candidates(std::move(all), kCandidatesPerLevel);
}

// The head's maps for three strides: joined, channels last (1, H, W, C + 4), or apart (1, C, H, W)
// and (1, 4, H, W); empty where the outputs are neither.
std::vector<Level> head_levels(const Arrays& outputs) {
  std::vector<Level> levels;
  const bool maps = std::all_of(outputs.begin(), outputs.end(),
                                [](const Array& output) { return output.rank() == 4; });
  if (!maps || (outputs.size() != 3 && outputs.size() != 6)) return {};
  if (outputs.size() == 3) {
    for (std::size_t i = 0; i < 3; ++i) {
      const std::size_t channels = static_cast<std::size_t>(outputs[i].shape[3]);
      if (channels < 5) return {};
      const std::size_t width = static_cast<std::size_t>(outputs[i].shape[2]);
      const float* values = outputs[i].floats();
      levels.push_back({values, values + (channels - 4),
                        static_cast<std::size_t>(outputs[i].shape[1]) * width, width, channels - 4,
                        channels, 1, kStrides[i]});
    }
    return levels;
  }
  std::vector<const Array*> boxes;
  std::vector<const Array*> classes;
  for (const Array& output : outputs) (output.shape[1] == 4 ? boxes : classes).push_back(&output);
  if (boxes.size() != 3) return {};
  for (std::size_t i = 0; i < 3; ++i) {
    const std::size_t width = static_cast<std::size_t>(classes[i]->shape[3]);
    const std::size_t cells = static_cast<std::size_t>(classes[i]->shape[2]) * width;
    if (boxes[i]->shape[2] != classes[i]->shape[2] || boxes[i]->shape[3] != classes[i]->shape[3]) {
      return {};
    }
    levels.push_back({classes[i]->floats(), boxes[i]->floats(), cells, width,
                      static_cast<std::size_t>(classes[i]->shape[1]), 1, cells, kStrides[i]});
  }
  return levels;
}

bool read_head(const Arrays& outputs, float score_thr, Detections& found) {
  const std::vector<Level> levels = head_levels(outputs);
  if (levels.empty()) return false;
  Candidates all;
  for (const Level& level : levels) {
    Candidates part = level_candidates(level, score_thr);
    std::move(part.boxes.begin(), part.boxes.end(), std::back_inserter(all.boxes));
    std::move(part.scores.begin(), part.scores.end(), std::back_inserter(all.scores));
    std::move(part.labels.begin(), part.labels.end(), std::back_inserter(all.labels));
  }
  found = suppress(all, kIouThr, kMostDetections);
  return true;
}

}  // namespace

Candidates best_candidates(Candidates all, std::size_t most) {
  Rows order = rows_by_score(all.scores);
  if (order.size() > most) order.resize(most);
  Candidates best;
  for (const std::size_t row : order) {
    best.boxes.push_back(all.boxes[row]);
    best.scores.push_back(all.scores[row]);
    best.labels.push_back(all.labels[row]);
  }
  return best;
}

Detections suppress(const Candidates& all, float iou_thr, std::size_t most) {
  // Boxes of different classes do not suppress each other: each class is moved away from the rest.
  float farthest = 0;
  for (const Box& box : all.boxes) {
    farthest = std::max({farthest, box.x1, box.y1, box.x2, box.y2});
  }
  std::vector<Box> apart = all.boxes;
  for (std::size_t i = 0; i < apart.size(); ++i) {
    const float shift = static_cast<float>(all.labels[i]) * (farthest + 1);
    apart[i] = {apart[i].x1 + shift, apart[i].y1 + shift, apart[i].x2 + shift, apart[i].y2 + shift};
  }
  Detections found;
  for (const std::size_t row : nms(apart, all.scores, iou_thr, most)) {
    found.add(all.boxes[row], all.scores[row], all.labels[row]);
  }
  return found;
}

Detections read_detections(const Arrays& outputs, Size input, float score_thr,
                           const std::string& name) {
  const float thr = std::min(score_thr, kLowestThr);
  Detections found;
  if (read_suppressed(outputs, found) || read_apart(outputs, found) ||
      read_candidates(outputs, thr, found) || read_yolo(outputs, input, thr, found) ||
      read_head(outputs, thr, found)) {
    return found;
  }
  fail_model(name + " is not a detector of a known form: it returns arrays of shape " +
             shapes_text(outputs) +
             "; read are boxes (1, n, 5) with labels; boxes (1, n, 4), scores and labels;"
             " candidates (1, A, 4) with scores (1, A, C); RTMDet's maps for three strides; YOLO's"
             " (1, n, 6), (1, A, 5 + C) or (1, 4 + C, A)");
}

}  // namespace rtmpose::core
