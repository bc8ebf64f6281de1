#include "letterbox.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#include "four_bytes.hpp"
#include "warp.hpp"

namespace rtmpose::core {
namespace {

constexpr int kGray = 114;
constexpr int kCell = 32;  // the largest stride

// Weights are whole numbers of this many parts: the integer arithmetic that OpenCV resizes with.
constexpr int kParts = 2048;

// Bytes of each pixel of the output: those of the image, and room for a fourth.
constexpr std::size_t kLanes = 4;

// Two neighbors along an axis for each place.
struct Taps {
  std::vector<int> first;
  std::vector<int> second;
  std::vector<std::int16_t> weights;  // (count, 2)
};

// Pixel centers onto pixel centers; the edge pixels are continued outward.
//
// whole_edges: a place outside takes the edge pixel with all of the weight, as OpenCV resizes along
// x; without it the edge pixel twice, each with its part, which may round to another gray level.
void fill_taps(int count, int length, bool whole_edges, Taps& taps) {
  taps.first.resize(static_cast<std::size_t>(count));
  taps.second.resize(static_cast<std::size_t>(count));
  taps.weights.resize(2 * static_cast<std::size_t>(count));
  const double step = static_cast<double>(length) / count;
  for (int i = 0; i < count; ++i) {
    const float place = static_cast<float>((i + 0.5) * step - 0.5);
    const int index = static_cast<int>(std::floor(place));
    float weight = place - static_cast<float>(index);
    if (whole_edges && (index < 0 || index >= length - 1)) weight = 0;
    const std::size_t at = static_cast<std::size_t>(i);
    taps.first[at] = std::clamp(index, 0, length - 1);
    taps.second[at] = whole_edges ? std::min(taps.first[at] + 1, length - 1)
                                  : std::clamp(index + 1, 0, length - 1);
    taps.weights[2 * at] = static_cast<std::int16_t>(std::lrint((1 - weight) * kParts));
    taps.weights[2 * at + 1] = static_cast<std::int16_t>(std::lrint(weight * kParts));
  }
}

struct Scratch {
  Taps x;
  Taps y;
  std::vector<std::int16_t> rows[2];  // (width, 4)
  std::vector<std::uint8_t> levels;   // (width, 4)
};

Scratch& scratch() {
  thread_local Scratch memory;
  return memory;
}

// Interpolates a row of the image along x; the sums keep the bits that 16 have room for.
void fill_row(const ImageView& image, int row, const Taps& x, std::vector<std::int16_t>& out) {
  const std::size_t width = x.first.size();
  out.resize(kLanes * width);
  const std::uint8_t* pixels = image.row(row);
  const std::ptrdiff_t step = image.step;
  std::size_t i = 0;
#if defined(RTMPOSE_FOUR_BYTES)
  const std::size_t end = count_of_four_bytes(image, x.second.data(), width);
  for (; i < end; ++i) {
    const __m128i pairs = _mm_unpacklo_epi8(four_bytes(pixels + x.first[i] * step),
                                            four_bytes(pixels + x.second[i] * step));
    std::int32_t both;
    std::memcpy(&both, x.weights.data() + 2 * i, sizeof both);
    const __m128i words = _mm_unpacklo_epi8(pairs, _mm_setzero_si128());
    const __m128i sums = _mm_srli_epi32(_mm_madd_epi16(words, _mm_set1_epi32(both)), 4);
    _mm_storel_epi64(reinterpret_cast<__m128i*>(out.data() + kLanes * i),
                     _mm_packs_epi32(sums, sums));
  }
#endif
  const int bytes = std::min(image.step, static_cast<int>(kLanes));
  for (; i < width; ++i) {
    const std::uint8_t* first = pixels + x.first[i] * step;
    const std::uint8_t* second = pixels + x.second[i] * step;
    for (int lane = 0; lane < bytes; ++lane) {
      const int sum = first[lane] * x.weights[2 * i] + second[lane] * x.weights[2 * i + 1];
      out[kLanes * i + static_cast<std::size_t>(lane)] = static_cast<std::int16_t>(sum >> 4);
    }
  }
}

// Interpolates between two rows; the gray levels are those of OpenCV's integer arithmetic.
void join_rows(const std::int16_t* above, const std::int16_t* below, const std::int16_t* weights,
               std::size_t width, std::uint8_t* levels) {
  std::size_t i = 0;
#if defined(RTMPOSE_FOUR_BYTES)
  const __m128i first = _mm_set1_epi16(weights[0]);
  const __m128i second = _mm_set1_epi16(weights[1]);
  const auto load = [](const std::int16_t* words) {
    return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(words));
  };
  for (; i < kLanes * width; i += kLanes) {
    const __m128i sum = _mm_add_epi16(_mm_mulhi_epi16(load(above + i), first),
                                      _mm_mulhi_epi16(load(below + i), second));
    store_levels(_mm_srai_epi16(_mm_add_epi16(sum, _mm_set1_epi16(2)), 2), levels + i);
  }
#endif
  for (; i < kLanes * width; ++i) {
    const int sum = ((weights[0] * above[i]) >> 16) + ((weights[1] * below[i]) >> 16);
    levels[i] = static_cast<std::uint8_t>((sum + 2) >> 2);
  }
}

// Resizes into the top left corner of planes of the canvas's size.
void resize(const ImageView& image, Size size, Size canvas, const Scaling& scaling, float* out) {
  Scratch& memory = scratch();
  fill_taps(size.width, image.width, true, memory.x);
  fill_taps(size.height, image.height, false, memory.y);
  const std::size_t width = memory.x.first.size();
  const std::size_t canvas_width = static_cast<std::size_t>(canvas.width);
  const std::size_t plane = canvas_width * static_cast<std::size_t>(canvas.height);
  memory.levels.resize(kLanes * width);
  int held[2] = {-1, -1};  // rows of the image that are computed
  for (std::size_t line = 0; line < memory.y.first.size(); ++line) {
    const int needed[2] = {memory.y.first[line], memory.y.second[line]};
    if (held[0] != needed[0] && held[1] == needed[0]) {
      std::swap(memory.rows[0], memory.rows[1]);
      std::swap(held[0], held[1]);
    }
    for (int i = 0; i < 2; ++i) {
      if (held[i] == needed[i]) continue;
      fill_row(image, needed[i], memory.x, memory.rows[i]);
      held[i] = needed[i];
    }
    join_rows(memory.rows[0].data(), memory.rows[1].data(), memory.y.weights.data() + 2 * line,
              width, memory.levels.data());
    write_scaled(memory.levels.data(), width, scaling, out + line * canvas_width, plane);
  }
}

// Gray right of the image and below it.
void fill_rest(Size image, Size canvas, const Scaling& scaling, float* out) {
  const std::ptrdiff_t plane = static_cast<std::ptrdiff_t>(canvas.width) * canvas.height;
  for (int channel = 0; channel < 3; ++channel) {
    const float gray = scaling.values[channel][kGray];
    float* planes = out + channel * plane;
    for (int y = 0; y < image.height; ++y) {
      float* row = planes + static_cast<std::ptrdiff_t>(y) * canvas.width;
      std::fill(row + image.width, row + canvas.width, gray);
    }
    std::fill(planes + static_cast<std::ptrdiff_t>(image.height) * canvas.width, planes + plane,
              gray);
  }
}

double fitting_ratio(Size image, Size fit) {
  return std::min(static_cast<double>(fit.width) / image.width,
                  static_cast<double>(fit.height) / image.height);
}

}  // namespace

Point Placement::back(Point point) const {
  return {static_cast<float>((point.x - offset_x) / factor_x),
          static_cast<float>((point.y - offset_y) / factor_y)};
}

Box Placement::back(const Box& box) const {
  const Point first = back(Point{box.x1, box.y1});
  const Point second = back(Point{box.x2, box.y2});
  return {first.x, first.y, second.x, second.y};
}

Placement letterbox(const ImageView& image, Size fit, Size canvas, bool truncate,
                    const Normalization& normalization, float* out) {
  const double ratio = fitting_ratio(image.size(), fit);
  const double extra = truncate ? 0.0 : 0.5;

  // At least one pixel, never more than the canvas.
  const Size size{
      std::min(canvas.width, std::max(1, static_cast<int>(image.width * ratio + extra))),
      std::min(canvas.height, std::max(1, static_cast<int>(image.height * ratio + extra)))};
  const Scaling scaling = scaling_of(image, normalization);
  resize(image, size, canvas, scaling, out);
  fill_rest(size, canvas, scaling, out);
  if (truncate) return {ratio, ratio, 0, 0};
  return {static_cast<double>(size.width) / image.width,
          static_cast<double>(size.height) / image.height, 0, 0};
}

Box unletterbox(const Box& box, const Placement& placement) {
  const float x = static_cast<float>(placement.factor_x);
  const float y = static_cast<float>(placement.factor_y);
  return {box.x1 / x, box.y1 / y, box.x2 / x, box.y2 / y};
}

Placement letterbox_centered(const ImageView& image, Size canvas,
                             const Normalization& normalization, float* out) {
  const double ratio = fitting_ratio(image.size(), canvas);
  const double left = (canvas.width - image.width * ratio) / 2;
  const double top = (canvas.height - image.height * ratio) / 2;
  warp(image, {1 / ratio, -left / ratio}, {1 / ratio, -top / ratio}, canvas, kGray,
       scaling_of(image, normalization), out);
  return {ratio, ratio, left, top};
}

Size rectangle(Size image, Size fit) {
  const double ratio = fitting_ratio(image, fit);
  const auto cells = [ratio](int side, int longest) {
    const int shrunk = std::max(1, static_cast<int>(side * ratio + 0.5));
    return std::min(longest, (shrunk + kCell - 1) / kCell * kCell);
  };
  return {cells(image.width, fit.width), cells(image.height, fit.height)};
}

}  // namespace rtmpose::core
