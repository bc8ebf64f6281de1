// Fitting a frame into a network's input, as numbers the network takes, and the way back.
#pragma once

#include "card.hpp"

namespace rtmpose::core {

// From image to input pixels: times the factors, plus the offsets.
struct Placement {
  double factor_x = 1;
  double factor_y = 1;
  double offset_x = 0;
  double offset_y = 0;

  Point back(Point point) const;
  Box back(const Box& box) const;
};

// Shrinks or enlarges to fit, keeps the aspect, puts into the top left corner, fills with gray 114.
//
// fit: the size to fit into. canvas: the size of `out`, at most `fit`. truncate: cuts the new size
// to whole pixels and takes the nominal factor, as YOLOX does. out: (3, height, width).
Placement letterbox(const ImageView& image, Size fit, Size canvas, bool truncate,
                    const Normalization& normalization, float* out);

// The way back, in 32-bit floats as the Python package goes it.
Box unletterbox(const Box& box, const Placement& placement);

// The same into the middle, without rounding to whole pixels, as RTMO is evaluated.
Placement letterbox_centered(const ImageView& image, Size canvas,
                             const Normalization& normalization, float* out);

// The smallest input with sides of multiples of 32 that holds an image shrunk to fit.
Size rectangle(Size image, Size fit);

}  // namespace rtmpose::core
