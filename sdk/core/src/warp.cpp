#include "warp.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "four_bytes.hpp"

namespace rtmpose::core {
namespace {

#if !defined(RTMPOSE_FOUR_BYTES)
// Adding and subtracting it leaves the nearest whole number, ties to even; loops over it vectorize,
// which a call of the math library does not.
constexpr float kRounder = 12582912.0f;

float round_even(float value) { return (value + kRounder) - kRounder; }
#endif

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

// Bytes of each pixel of the output: those of the image, and room for a fourth.
constexpr std::size_t kLanes = 4;

// A row of the image as floats, at the columns that are needed.
struct Row {
  int index = -2;
  std::vector<float> values;  // (width, 4)
};

struct Scratch {
  Taps x;
  Taps y;
  Row rows[2];
  std::vector<std::uint8_t> levels;  // (width, 4)
};

Scratch& scratch() {
  thread_local Scratch memory;
  return memory;
}

// Interpolates one column of a row, where neighbors may be missing.
void fill_at(const ImageView& image, const std::uint8_t* pixels, const Taps& x, std::size_t at,
             float border, float* values) {
  const std::ptrdiff_t first = x.first[at];
  const std::ptrdiff_t second = x.second[at];
  const int bytes = std::min(image.step, static_cast<int>(kLanes));
  float* lanes = values + kLanes * at;
  for (int lane = 0; lane < bytes; ++lane) {
    const float a = first < 0 ? border : static_cast<float>(pixels[first * image.step + lane]);
    const float b = second < 0 ? border : static_cast<float>(pixels[second * image.step + lane]);
    lanes[lane] = a + x.weight[at] * (b - a);
  }
}

// The same for columns from x.begin on that have both neighbors, four bytes at a time; returns the
// first column that is left.
std::size_t fill_inside(const ImageView& image, const std::uint8_t* pixels, const Taps& x,
                        float* values) {
  std::size_t i = x.begin;
#if defined(RTMPOSE_FOUR_BYTES)
  const std::size_t end =
      x.begin + count_of_four_bytes(image, x.second.data() + x.begin, x.end - x.begin);
  const std::ptrdiff_t step = image.step;
  for (; i < end; ++i) {
    const std::uint8_t* pixel = pixels + x.first[i] * step;
    const __m128 a = floats_of(pixel);
    const __m128 b = floats_of(pixel + step);
    const __m128 weight = _mm_set1_ps(x.weight[i]);
    _mm_storeu_ps(values + kLanes * i, _mm_add_ps(a, _mm_mul_ps(weight, _mm_sub_ps(b, a))));
  }
#else
  const std::ptrdiff_t step = image.step;
  const int bytes = std::min(image.step, static_cast<int>(kLanes));
  for (; i < x.end; ++i) {
    const std::uint8_t* pixel = pixels + x.first[i] * step;
    const float weight = x.weight[i];
    for (int lane = 0; lane < bytes; ++lane) {
      const float a = static_cast<float>(pixel[lane]);
      const float b = static_cast<float>(pixel[lane + step]);
      values[kLanes * i + static_cast<std::size_t>(lane)] = a + weight * (b - a);
    }
  }
#endif
  return i;
}

// Interpolates one row of the image along x; `row` -1 is outside of the image.
void fill_row(const ImageView& image, int row, const Taps& x, float border, Row& out) {
  const std::size_t width = x.first.size();
  out.index = row;
  out.values.resize(kLanes * width);
  if (row == kOutside) {
    std::fill(out.values.begin(), out.values.end(), border);
    return;
  }
  const std::uint8_t* pixels = image.row(row);
  float* values = out.values.data();
  for (std::size_t i = 0; i < x.begin; ++i) fill_at(image, pixels, x, i, border, values);
  for (std::size_t i = fill_inside(image, pixels, x, values); i < width; ++i) {
    fill_at(image, pixels, x, i, border, values);
  }
}

// Interpolates between two rows and rounds to whole gray levels.
void join_rows(const float* above, const float* below, float weight, std::size_t width,
               std::uint8_t* levels) {
#if defined(RTMPOSE_FOUR_BYTES)
  const __m128 second = _mm_set1_ps(weight);
  for (std::size_t i = 0; i < width; ++i) {
    const __m128 a = _mm_loadu_ps(above + kLanes * i);
    const __m128 b = _mm_loadu_ps(below + kLanes * i);

    // To the nearest, ties to even.
    const __m128i rounded =
        _mm_cvtps_epi32(_mm_add_ps(a, _mm_mul_ps(second, _mm_sub_ps(b, a))));
    store_levels(_mm_packs_epi32(rounded, rounded), levels + kLanes * i);
  }
#else
  for (std::size_t i = 0; i < kLanes * width; ++i) {
    const float exact = above[i] + weight * (below[i] - above[i]);
    levels[i] = static_cast<std::uint8_t>(round_even(exact));
  }
#endif
}

}  // namespace

std::size_t count_of_four_bytes(const ImageView& image, const int* places, std::size_t count) {
  if (image.step >= static_cast<int>(kLanes)) return count;
  if (image.step < 3) return 0;
  while (count > 0 && places[count - 1] >= image.width - 1) --count;
  return count;
}

void write_scaled(const std::uint8_t* levels, std::size_t width, const Scaling& scaling,
                  float* target, std::size_t plane) {
  for (std::size_t channel = 0; channel < 3; ++channel) {
    const std::uint8_t* level = levels + scaling.bytes[channel];
    const float* values = scaling.values[channel];
    float* out = target + channel * plane;
    for (std::size_t i = 0; i < width; ++i) out[i] = values[level[kLanes * i]];
  }
}

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
  memory.levels.resize(kLanes * width);
  for (int line = 0; line < size.height; ++line) {
    const std::size_t at = static_cast<std::size_t>(line);
    const int first = memory.y.first[at];
    const int second = memory.y.second[at];

    // Rows are computed once where neighboring lines need the same ones.
    if (memory.rows[0].index != first) {
      if (memory.rows[1].index == first) std::swap(memory.rows[0], memory.rows[1]);
      else fill_row(image, first, memory.x, border, memory.rows[0]);
    }
    if (memory.rows[1].index != second) {
      fill_row(image, second, memory.x, border, memory.rows[1]);
    }
    join_rows(memory.rows[0].values.data(), memory.rows[1].values.data(), memory.y.weight[at],
              width, memory.levels.data());
    write_scaled(memory.levels.data(), width, scaling, out + at * width, plane);
  }
}

}  // namespace rtmpose::core
