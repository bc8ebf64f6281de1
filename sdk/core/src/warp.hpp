// Pixels in, normalized planes out: a bilinear map along both axes in one pass.
#pragma once

#include "card.hpp"

namespace rtmpose::core {

// From a pixel of the output to a place in the image: place = scale * pixel + offset.
struct AxisMap {
  double scale = 1;
  double offset = 0;
};

// From bytes to what the network takes, in the order of its channels.
struct Scaling {
  int bytes[3]{};         // where a channel's byte is in a pixel
  float values[3][256]{};  // of each gray level
};

Scaling scaling_of(const ImageView& image, const Normalization& normalization);

// Bilinear samples, rounded to whole gray levels as images hold them; `border` lies around the
// image. out: (3, height, width).
void warp(const ImageView& image, AxisMap x, AxisMap y, Size size, float border,
          const Scaling& scaling, float* out);

}  // namespace rtmpose::core
