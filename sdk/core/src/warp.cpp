#include "warp.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

namespace rtmpose::core {
namespace {

// Adding and subtracting it leaves the nearest whole number, ties to even; loops over it vectorize,
// which a call of the math library does not.
constexpr float kRounder = 12582912.0f;

float round_even(float value) { return (value + kRounder) - kRounder; }

// Two neighbors along an axis; the weight is that of the second.
struct Taps {
  std::vector<int> first;
  std::vector<int> second;
  std::vector<float> weight;

  // Places from begin to end have both neighbors; the others may lack one.
  std::size_t begin = 0;
  std::size_t end = 0;
};

constexpr int kOutside = -1;

// fused: the product is not rounded before the sum.
void fill_taps(AxisMap map, bool fused, int count, int length, Taps& taps) {
  taps.first.resize(static_cast<std::size_t>(count));
  taps.second.resize(static_cast<std::size_t>(count));
  taps.weight.resize(static_cast<std::size_t>(count));

  // In 32-bit floats, the arithmetic that OpenCV warps with.
  const float scale = static_cast<float>(map.scale);
  const float offset = static_cast<float>(map.offset);
  for (int i = 0; i < count; ++i) {
    const float step = scale * static_cast<float>(i);
    const double exact = fused ? static_cast<double>(scale) * i + static_cast<double>(offset)
                               : static_cast<double>(step + offset);

    // Written so that a place that is no number lies outside.
    const float place = static_cast<float>(exact > -2 ? std::min(exact, length + 1.0) : -2.0);
    const float below = std::floor(place);
    const int index = static_cast<int>(below);
    const std::size_t at = static_cast<std::size_t>(i);
    taps.weight[at] = place - below;
    taps.first[at] = index >= 0 && index < length ? index : kOutside;
    taps.second[at] = index + 1 >= 0 && index + 1 < length ? index + 1 : kOutside;
  }
  const auto has_both = [&taps](std::size_t at) {
    return taps.first[at] != kOutside && taps.second[at] != kOutside;
  };
  const std::size_t all = taps.first.size();
  taps.begin = 0;
  while (taps.begin < all && !has_both(taps.begin)) ++taps.begin;
  taps.end = taps.begin;
  while (taps.end < all && has_both(taps.end)) ++taps.end;
}

// A row of the image as three planes of floats, at the columns that are needed.
struct Row {
  int index = -2;
  std::vector<float> values;  // (3, width)
};

struct Scratch {
  Taps x;
  Taps y;
  Row rows[2];
};

Scratch& scratch() {
  thread_local Scratch memory;
  return memory;
}

// Interpolates one column of a row, where neighbors may be missing.
void fill_at(const ImageView& image, const std::uint8_t* pixels, const Taps& x, std::size_t at,
             float border, const Scaling& scaling, float* values) {
  const std::ptrdiff_t first = x.first[at];
  const std::ptrdiff_t second = x.second[at];
  const std::size_t width = x.first.size();
  for (std::size_t channel = 0; channel < 3; ++channel) {
    const std::uint8_t* bytes = pixels + scaling.bytes[channel];
    const float a = first < 0 ? border : static_cast<float>(bytes[first * image.step]);
    const float b = second < 0 ? border : static_cast<float>(bytes[second * image.step]);
    values[channel * width + at] = a + x.weight[at] * (b - a);
  }
}

// Interpolates the columns that have both neighbors, which lie next to each other.
void fill_inside(const ImageView& image, const std::uint8_t* pixels, const Taps& x,
                 const Scaling& scaling, float* values) {
  const std::size_t width = x.first.size();
  const std::ptrdiff_t step = image.step;
  const std::ptrdiff_t places[3] = {scaling.bytes[0], scaling.bytes[1], scaling.bytes[2]};
  float* const planes[3] = {values, values + width, values + 2 * width};
  for (std::size_t i = x.begin; i < x.end; ++i) {
    const std::uint8_t* pixel = pixels + x.first[i] * step;
    const float weight = x.weight[i];
    for (int channel = 0; channel < 3; ++channel) {
      const float a = static_cast<float>(pixel[places[channel]]);
      const float b = static_cast<float>(pixel[places[channel] + step]);
      planes[channel][i] = a + weight * (b - a);
    }
  }
}

// Interpolates one row of the image along x; `row` -1 is outside of the image.
void fill_row(const ImageView& image, int row, const Taps& x, float border, const Scaling& scaling,
              Row& out) {
  const std::size_t width = x.first.size();
  out.index = row;
  out.values.resize(3 * width);
  if (row == kOutside) {
    std::fill(out.values.begin(), out.values.end(), border);
    return;
  }
  const std::uint8_t* pixels = image.row(row);
  float* values = out.values.data();
  fill_inside(image, pixels, x, scaling, values);
  for (std::size_t i = 0; i < width; ++i) {
    if (i == x.begin) i = x.end;
    if (i < width) fill_at(image, pixels, x, i, border, scaling, values);
  }
}

}  // namespace

Scaling scaling_of(const ImageView& image, const Normalization& normalization) {
  Scaling scaling;
  for (std::size_t i = 0; i < 3; ++i) {
    scaling.bytes[i] = image.channels[normalization.rgb ? 2 - i : i];
    for (int level = 0; level < 256; ++level) {
      scaling.values[i][level] =
          static_cast<float>((level - normalization.mean[i]) / normalization.std[i]);
    }
  }
  return scaling;
}

void warp(const ImageView& image, AxisMap x, AxisMap y, Size size, float border,
          const Scaling& scaling, float* out) {
  Scratch& memory = scratch();
  // OpenCV fuses multiplication and addition along x only.
  fill_taps(x, true, size.width, image.width, memory.x);
  fill_taps(y, false, size.height, image.height, memory.y);
  memory.rows[0].index = memory.rows[1].index = -2;
  const std::size_t width = static_cast<std::size_t>(size.width);
  const std::size_t plane = width * static_cast<std::size_t>(size.height);
  for (int line = 0; line < size.height; ++line) {
    const std::size_t at = static_cast<std::size_t>(line);
    const int first = memory.y.first[at];
    const int second = memory.y.second[at];

    // Rows are computed once where neighboring lines need the same ones.
    if (memory.rows[0].index != first) {
      if (memory.rows[1].index == first) std::swap(memory.rows[0], memory.rows[1]);
      else fill_row(image, first, memory.x, border, scaling, memory.rows[0]);
    }
    if (memory.rows[1].index != second) {
      fill_row(image, second, memory.x, border, scaling, memory.rows[1]);
    }
    const float weight = memory.y.weight[at];
    for (std::size_t channel = 0; channel < 3; ++channel) {
      const float* above = memory.rows[0].values.data() + channel * width;
      const float* below = memory.rows[1].values.data() + channel * width;
      float* target = out + channel * plane + at * width;
      const float* values = scaling.values[channel];
      for (std::size_t i = 0; i < width; ++i) {
        const float exact = above[i] + weight * (below[i] - above[i]);
        target[i] = values[static_cast<int>(round_even(exact))];
      }
    }
  }
}

}  // namespace rtmpose::core
