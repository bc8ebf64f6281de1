// Boxes of the people (or other things) in an image.
#pragma once

#include "model.hpp"

namespace rtmpose::core {

constexpr int kAnyLabel = -1;
constexpr int kPeopleLabel = -2;  // where the model knows which class is a person

class Detector {
 public:
  // Throws Error where the model is of another kind.
  explicit Detector(std::shared_ptr<const Model> model);

  // Detections in image pixels, highest score first; boxes may reach past the border. limit: at
  // most this many; negative for any number.
  Detections detect(const ImageView& image, float box_thr, int label, int limit) const;

 private:
  std::shared_ptr<const Model> model_;
  int people_label_ = 0;
};

}  // namespace rtmpose::core
