// Pixels in, normalized planes out: a bilinear map along both axes in one pass.
#pragma once

#include <cstddef>
#include <cstdint>

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

// Bytes of one row of the output, four for each pixel as they lie in the image, to numbers of the
// network. Channels of `target` are `plane` apart.
void write_scaled(const std::uint8_t* levels, std::size_t width, const Scaling& scaling,
                  float* target, std::size_t plane);

// How many of the first `count` pixels can be read as four bytes: those of three bytes only up to
// the last one of the row. places: the column of each, ascending.
std::size_t count_of_four_bytes(const ImageView& image, const int* places, std::size_t count);

// Bilinear samples, rounded to whole gray levels as images hold them; `border` lies around the
// image. out: (3, height, width).
void warp(const ImageView& image, AxisMap x, AxisMap y, Size size, float border,
          const Scaling& scaling, float* out);

}  // namespace rtmpose::core
