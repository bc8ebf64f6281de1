#include "letterbox.hpp"

#include <algorithm>
#include <cmath>

#include "warp.hpp"

namespace rtmpose::core {
namespace {

constexpr int kGray = 114;
constexpr int kCell = 32;  // the largest stride

// Weights are whole numbers of this many parts: the integer arithmetic that OpenCV resizes with.
constexpr int kParts = 2048;

struct Tap {
  int first;
  int second;
  int weights[2];
};

// Pixel centers onto pixel centers; the edge pixels are continued outward.
void fill_taps(int count, int length, std::vector<Tap>& taps) {
  taps.resize(static_cast<std::size_t>(count));
  const double step = static_cast<double>(length) / count;
  for (int i = 0; i < count; ++i) {
    const float place = static_cast<float>((i + 0.5) * step - 0.5);
    int index = static_cast<int>(std::floor(place));
    float weight = place - static_cast<float>(index);
    if (index < 0 || index >= length - 1) {
      index = std::clamp(index, 0, length - 1);
      weight = 0;
    }
    Tap& tap = taps[static_cast<std::size_t>(i)];
    tap.first = index;
    tap.second = std::min(index + 1, length - 1);
    tap.weights[0] = static_cast<int>(std::lrint((1 - weight) * kParts));
    tap.weights[1] = static_cast<int>(std::lrint(weight * kParts));
  }
}

struct Scratch {
  std::vector<Tap> x;
  std::vector<Tap> y;
  std::vector<int> rows[2];
};

Scratch& scratch() {
  thread_local Scratch memory;
  return memory;
}

void fill_row(const ImageView& image, int row, const std::vector<Tap>& x, const Scaling& scaling,
              std::vector<int>& out) {
  const std::size_t width = x.size();
  out.resize(3 * width);
  const std::uint8_t* pixels = image.row(row);
  const std::ptrdiff_t step = image.step;
  const std::ptrdiff_t places[3] = {scaling.bytes[0], scaling.bytes[1], scaling.bytes[2]};
  int* const planes[3] = {out.data(), out.data() + width, out.data() + 2 * width};
  for (std::size_t i = 0; i < width; ++i) {
    const Tap& tap = x[i];
    const std::uint8_t* first = pixels + tap.first * step;
    const std::uint8_t* second = pixels + tap.second * step;
    for (int channel = 0; channel < 3; ++channel) {
      const std::ptrdiff_t place = places[channel];
      planes[channel][i] = (first[place] * tap.weights[0] + second[place] * tap.weights[1]) >> 4;
    }
  }
}

// Resizes into the top left corner of planes of the canvas's size.
void resize(const ImageView& image, Size size, Size canvas, const Scaling& scaling, float* out) {
  Scratch& memory = scratch();
  fill_taps(size.width, image.width, memory.x);
  fill_taps(size.height, image.height, memory.y);
  const std::size_t width = memory.x.size();
  const std::size_t plane = static_cast<std::size_t>(canvas.width) *
                            static_cast<std::size_t>(canvas.height);
  int held[2] = {-1, -1};  // rows of the image that are computed
  for (std::size_t line = 0; line < memory.y.size(); ++line) {
    const Tap& tap = memory.y[line];
    if (held[0] != tap.first && held[1] == tap.first) {
      std::swap(memory.rows[0], memory.rows[1]);
      std::swap(held[0], held[1]);
    }
    const int needed[2] = {tap.first, tap.second};
    for (int i = 0; i < 2; ++i) {
      if (held[i] == needed[i]) continue;
      fill_row(image, needed[i], memory.x, scaling, memory.rows[i]);
      held[i] = needed[i];
    }
    for (std::size_t channel = 0; channel < 3; ++channel) {
      const int* above = memory.rows[0].data() + channel * width;
      const int* below = memory.rows[1].data() + channel * width;
      float* target = out + channel * plane + line * static_cast<std::size_t>(canvas.width);
      const float* values = scaling.values[channel];
      for (std::size_t i = 0; i < width; ++i) {
        const int value = (((tap.weights[0] * above[i]) >> 16) +
                           ((tap.weights[1] * below[i]) >> 16) + 2) >> 2;
        target[i] = values[value];
      }
    }
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
