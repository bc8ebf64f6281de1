// Pixels in, normalized planes out: a bilinear map along both axes in one pass.
#pragma once

#include "card.hpp"

namespace rtmpose::core {

// From a pixel of the output to a place in the image: place = scale * pixel + offset.
struct AxisMap {
  double scale = 1;
  double offset = 0;
};

// One channel of the output: where its bytes are in a pixel, and out = byte * factor + shift.
struct ChannelScaling {
  int byte = 0;
  float factor = 1;
  float shift = 0;
};

struct Scaling {
  ChannelScaling channels[3];  // in the order of the network

  float apply(int channel, float value) const {
    return value * channels[channel].factor + channels[channel].shift;
  }
};

Scaling scaling_of(const ImageView& image, const Normalization& normalization);

// Bilinear samples, rounded to whole gray levels as images hold them; `border` lies around the
// image. out: (3, height, width).
void warp(const ImageView& image, AxisMap x, AxisMap y, Size size, float border,
          const Scaling& scaling, float* out);

}  // namespace rtmpose::core
