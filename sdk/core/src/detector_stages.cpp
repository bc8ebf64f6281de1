#include "detector_stages.hpp"

#include <algorithm>

#include "boxes.hpp"
#include "detector_decoding.hpp"

namespace rtmpose::core {
namespace {

// Without names the first class is the person.
int people_label_of(const Card& card) {
  if (card.classes.empty()) return 0;
  const auto found = std::find(card.classes.begin(), card.classes.end(), "person");
  return found == card.classes.end() ? kAnyLabel : static_cast<int>(found - card.classes.begin());
}

}  // namespace

Size detector_input(const ModelDescription& model, Size image) {
  return model.rectangular ? rectangle(image, model.card.input) : model.card.input;
}

Placement fill_detector_input(const ModelDescription& model, const ImageView& image, Size input,
                              float* out) {
  const Card& card = model.card;
  return letterbox(image, card.input, input, card.coding == Coding::kYolox, card.normalization,
                   out);
}

Detections detections_in_image(const ModelDescription& model, const Arrays& outputs, Size input,
                               const Placement& placement, float box_thr, int label, int limit) {
  const Detections found = read_detections(outputs, input, box_thr, model.path());

  // Exports pad their rows with empty boxes of score 0.
  const int wanted = label == kPeopleLabel ? people_label_of(model.card) : label;
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
