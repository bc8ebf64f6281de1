// People cut out of an image as network input, and points mapped back.
#pragma once

#include "card.hpp"

namespace rtmpose::core {

// From image to crop pixels along both axes: crop = scale * image + offset.
struct CropMap {
  double scale_x = 0;
  double offset_x = 0;
  double scale_y = 0;
  double offset_y = 0;

  Point back(Point point) const;
};

// The map for a box: grown by a quarter, then to the input's aspect ratio. udp: sizes are measured
// between pixel centers.
CropMap crop_map(const Box& box, Size input, bool udp);

// One crop, black outside of the image. out: (3, height, width).
void crop_person(const ImageView& image, const CropMap& map, Size input,
                 const Normalization& normalization, float* out);

}  // namespace rtmpose::core
