// Boxes of the people (or other things) in an image.
#pragma once

#include "detector_stages.hpp"
#include "model.hpp"

namespace rtmpose::core {

class Detector {
 public:
  // Throws Error where the model is of another kind.
  explicit Detector(std::shared_ptr<const Model> model);

  // Detections in image pixels, highest score first; boxes may reach past the border. limit: at
  // most this many; negative for any number.
  Detections detect(const ImageView& image, float box_thr, int label, int limit) const;

 private:
  std::shared_ptr<const Model> model_;
};

}  // namespace rtmpose::core
