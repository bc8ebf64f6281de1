#include "detector.hpp"

#include <algorithm>

#include "boxes.hpp"
#include "detector_decoding.hpp"
#include "letterbox.hpp"

namespace rtmpose::core {
namespace {

// Without names the first class is the person.
int people_label_of(const Card& card) {
  if (card.classes.empty()) return 0;
  const auto found = std::find(card.classes.begin(), card.classes.end(), "person");
  return found == card.classes.end() ? kAnyLabel : static_cast<int>(found - card.classes.begin());
}

// The input of this thread, kept from frame to frame.
std::vector<float>& canvas_memory() {
  thread_local std::vector<float> memory;
  return memory;
}

}  // namespace

Detector::Detector(std::shared_ptr<const Model> model) : model_(std::move(model)) {
  if (model_->kind != RTMPOSE_KIND_DETECTOR) {
    fail_model(model_->path() + " is not a detector: it finds keypoints");
  }
  people_label_ = people_label_of(model_->card);
}

Detections Detector::detect(const ImageView& image, float box_thr, int label, int limit) const {
  const Card& card = model_->card;
  const Size size = model_->rectangular ? rectangle(image.size(), card.input) : card.input;
  std::vector<float>& canvas = canvas_memory();
  const std::size_t needed = 3 * static_cast<std::size_t>(size.width) *
                             static_cast<std::size_t>(size.height);
  if (canvas.size() < needed) canvas.resize(needed);
  const Placement placement = letterbox(image, card.input, size, card.coding == Coding::kYolox,
                                        card.normalization, canvas.data());
  const Outputs outputs = run_single(*model_->network, canvas, size);
  const Detections found = read_detections(outputs.arrays(), size, box_thr, model_->path());

  // Exports pad their rows with empty boxes of score 0.
  const int wanted = label == kPeopleLabel ? people_label_ : label;
  Detections kept;
  for (std::size_t row = 0; row < found.size(); ++row) {
    const Box& box = found.boxes[row];
    const bool right_class = wanted < 0 || found.labels[row] == wanted;
    if (!(found.scores[row] >= box_thr) || !has_extent(box) || !right_class) continue;
    const Box placed = unletterbox(box, placement);
    if (is_near(placed)) kept.add(placed, found.scores[row], found.labels[row]);
  }
  Detections result;
  for (const std::size_t row : rows_by_score(kept.scores)) {
    if (limit >= 0 && result.size() >= static_cast<std::size_t>(limit)) break;
    result.add(kept.boxes[row], kept.scores[row], kept.labels[row]);
  }
  return result;
}

}  // namespace rtmpose::core
