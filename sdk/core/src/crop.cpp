#include "crop.hpp"

#include "warp.hpp"

namespace rtmpose::core {
namespace {

constexpr float kPadding = 1.25f;

// The way back along one axis; a map without extent leads to its only place.
AxisMap inverse(double scale, double offset) {
  if (scale == 0) return {0, 0};
  return {1 / scale, -offset / scale};
}

CropMap plain_map(Point center, float width, Size input) {
  // Three corresponding points in 32-bit floats, as the networks were trained: their rounding is
  // part of the map. The second lies left of the center, the third below the second.
  const float left = static_cast<float>(static_cast<double>(center.x) + width * -0.5);
  const float reach = center.x - left;
  const float below = center.y + reach;
  const double span_x = static_cast<double>(center.x) - left;
  const double span_y = static_cast<double>(below) - center.y;
  if (span_x == 0 || span_y == 0) return {};
  CropMap map;
  map.scale_x = input.width * 0.5 / span_x;
  map.offset_x = -map.scale_x * left;
  map.scale_y = input.width * 0.5 / span_y;
  map.offset_y = input.height * 0.5 - map.scale_y * center.y;
  return map;
}

CropMap udp_map(Point center, float width, float height, Size input) {
  CropMap map;
  map.scale_x = (input.width - 1) / static_cast<double>(width);
  map.scale_y = (input.height - 1) / static_cast<double>(height);
  map.offset_x = map.scale_x * (0.5 * width - center.x);
  map.offset_y = map.scale_y * (0.5 * height - center.y);
  return map;
}

}  // namespace

Point CropMap::back(Point point) const {
  const double x = point.x - offset_x;
  const double y = point.y - offset_y;
  return {static_cast<float>(scale_x == 0 ? 0 : 1 / scale_x * x),
          static_cast<float>(scale_y == 0 ? 0 : 1 / scale_y * y)};
}

CropMap crop_map(const Box& box, Size input, bool udp) {
  const Point center{(box.x1 + box.x2) * 0.5f, (box.y1 + box.y2) * 0.5f};
  const float width = (box.x2 - box.x1) * kPadding;
  const float height = (box.y2 - box.y1) * kPadding;

  // The shorter side grows until the box has the network's aspect ratio.
  const float aspect = static_cast<float>(static_cast<double>(input.width) / input.height);
  const bool wide = width > height * aspect;
  const float grown_width = wide ? width : height * aspect;
  const float grown_height = wide ? width / aspect : height;
  return udp ? udp_map(center, grown_width, grown_height, input)
             : plain_map(center, grown_width, input);
}

void crop_person(const ImageView& image, const CropMap& map, Size input,
                 const Normalization& normalization, float* out) {
  warp(image, inverse(map.scale_x, map.offset_x), inverse(map.scale_y, map.offset_y), input, 0,
       scaling_of(image, normalization), out);
}

}  // namespace rtmpose::core
