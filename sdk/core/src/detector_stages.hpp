// What comes before and after a detector's network.
#pragma once

#include "letterbox.hpp"
#include "model_description.hpp"

namespace rtmpose::core {

constexpr int kAnyLabel = -1;
constexpr int kPeopleLabel = -2;  // where the model knows which class is a person

// The size of the network's input for an image.
Size detector_input(const ModelDescription& model, Size image);

// Fills an input of that size. out: (3, height, width).
Placement fill_detector_input(const ModelDescription& model, const ImageView& image, Size input,
                              float* out);

// What the network returned, as detections in image pixels, highest score first; boxes may reach
// past the border. limit: at most this many; negative for any number.
Detections detections_in_image(const ModelDescription& model, const Arrays& outputs, Size input,
                               const Placement& placement, float box_thr, int label, int limit);

}  // namespace rtmpose::core
