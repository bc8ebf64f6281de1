#include "heatmap.hpp"

#include <algorithm>
#include <cmath>

namespace rtmpose::core {
namespace {

// One map with its peak.
struct Peak {
  const float* map;
  int width;
  int height;
  int x;
  int y;
  float value;

  float at(int column, int row) const { return map[row * width + column]; }
};

Peak peak_of(const float* map, int width, int height) {
  const int best = static_cast<int>(std::max_element(map, map + width * height) - map);
  return {map, width, height, best % width, best / width, map[best]};
}

// The weights of OpenCV's Gaussian blur for a kernel of that size.
std::vector<float> gaussian(int size) {
  const double sigma = 0.3 * ((size - 1) * 0.5 - 1) + 0.8;
  std::vector<double> weights(static_cast<std::size_t>(size));
  double total = 0;
  for (int i = 0; i < size; ++i) {
    const double x = i - (size - 1) * 0.5;
    weights[static_cast<std::size_t>(i)] = std::exp(-x * x / (2 * sigma * sigma));
    total += weights[static_cast<std::size_t>(i)];
  }
  std::vector<float> kernel;
  for (const double weight : weights) kernel.push_back(static_cast<float>(weight / total));
  return kernel;
}

// The map blurred with zeros around it, of the same height as before.
class BlurredLog {
 public:
  BlurredLog(const Peak& peak, const std::vector<float>& kernel)
      : width_(peak.width), height_(peak.height) {
    const int reach = static_cast<int>(kernel.size()) / 2;
    std::vector<float> rows(static_cast<std::size_t>(width_ * height_));
    values_.resize(rows.size());
    blur(peak.map, rows.data(), kernel, reach, true);
    blur(rows.data(), values_.data(), kernel, reach, false);
    const float highest = *std::max_element(values_.begin(), values_.end());
    const float scale = highest > 0 ? peak.value / highest : 1.0f;
    for (float& value : values_) value *= scale;
  }

  // The logarithm; the edges are continued outward.
  double at(int x, int y) const {
    x = std::clamp(x, 0, width_ - 1);
    y = std::clamp(y, 0, height_ - 1);
    const float value = values_[static_cast<std::size_t>(y * width_ + x)];
    return static_cast<double>(std::log(std::clamp(value, 1e-3f, 50.0f)));
  }

 private:
  void blur(const float* in, float* out, const std::vector<float>& kernel, int reach,
            bool along_x) const {
    const int length = along_x ? width_ : height_;
    const int step = along_x ? 1 : width_;
    for (int y = 0; y < height_; ++y) {
      for (int x = 0; x < width_; ++x) {
        const int place = along_x ? x : y;
        const float* center = in + y * width_ + x;
        float sum = 0;
        const int last = std::min(reach, length - 1 - place);
        for (int d = std::max(-reach, -place); d <= last; ++d) {
          sum += kernel[static_cast<std::size_t>(d + reach)] * center[d * step];
        }
        out[y * width_ + x] = sum;
      }
    }
  }

  int width_;
  int height_;
  std::vector<float> values_;
};

// One Newton step on the logarithm of the blurred map (DARK, Zhang et al., CVPR 2020).
void refine(const BlurredLog& logs, double& x, double& y) {
  const int column = static_cast<int>(x);
  const int row = static_cast<int>(y);
  const auto at = [&](int dx, int dy) { return logs.at(column + dx, row + dy); };

  // The mixed derivative uses the published one-sided stencil, not the four corners.
  const double middle = at(0, 0);
  const double dx = 0.5 * (at(1, 0) - at(-1, 0));
  const double dy = 0.5 * (at(0, 1) - at(0, -1));
  const double xy = 0.5 * (at(1, 1) - at(1, 0) - at(0, 1) + 2 * middle - at(-1, 0) - at(0, -1) +
                           at(-1, -1));

  // The small diagonal keeps flat maps solvable.
  constexpr double kTiny = 1.1920928955078125e-07;
  const double xx = at(1, 0) - 2 * middle + at(-1, 0) + kTiny;
  const double yy = at(0, 1) - 2 * middle + at(0, -1) + kTiny;
  const double determinant = xx * yy - xy * xy;
  if (determinant == 0) return;
  x -= (yy * dx - xy * dy) / determinant;
  y -= (xx * dy - xy * dx) / determinant;
}

Point refined(const Peak& peak, const std::vector<float>& kernel, Size input) {
  // Without a positive peak the place is one map pixel before the first.
  double x = peak.value <= 0 ? -1 : peak.x;
  double y = peak.value <= 0 ? -1 : peak.y;
  refine(BlurredLog(peak, kernel), x, y);
  return {static_cast<float>(x * ((input.width - 1.0) / (peak.width - 1))),
          static_cast<float>(y * ((input.height - 1.0) / (peak.height - 1)))};
}

float sign(float value) { return static_cast<float>((value > 0) - (value < 0)); }

// A quarter of a map pixel toward the higher neighbor, where there are neighbors.
Point quarter_shifted(const Peak& peak, Size input) {
  float x = static_cast<float>(peak.x);
  float y = static_cast<float>(peak.y);
  if (peak.x > 1 && peak.x < peak.width - 1 && peak.y > 1 && peak.y < peak.height - 1) {
    x += 0.25f * sign(peak.at(peak.x + 1, peak.y) - peak.at(peak.x - 1, peak.y));
    y += 0.25f * sign(peak.at(peak.x, peak.y + 1) - peak.at(peak.x, peak.y - 1));
  }
  if (peak.value <= 0) x = y = -1;
  return {x * (static_cast<float>(input.width) / static_cast<float>(peak.width)),
          y * (static_cast<float>(input.height) / static_cast<float>(peak.height))};
}

}  // namespace

void decode_heatmaps(const Array& maps, const Card& card, std::size_t n, std::vector<Point>& points,
                     std::vector<float>& scores) {
  const int height = static_cast<int>(maps.shape[2]);
  const int width = static_cast<int>(maps.shape[3]);
  const std::size_t count = n * static_cast<std::size_t>(maps.shape[1]);
  const float* map = maps.floats();

  // The smoothing before the refinement belongs to the spread of the labels.
  const std::vector<float> kernel = gaussian(card.sigma >= 3 ? 17 : 11);
  for (std::size_t i = 0; i < count; ++i, map += width * height) {
    const Peak peak = peak_of(map, width, height);
    points.push_back(card.coding == Coding::kHeatmap ? refined(peak, kernel, card.input)
                                                     : quarter_shifted(peak, card.input));
    scores.push_back(peak.value);
  }
}

}  // namespace rtmpose::core
