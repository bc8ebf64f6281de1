#include "conformance_images.hpp"

#include <fstream>
#include <stdexcept>

namespace conformance {
namespace {

Picture read_ppm(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string kind;
  int highest = 0;
  Picture picture;
  file >> kind >> picture.width >> picture.height >> highest;
  file.get();  // the one white space before the pixels
  if (!file || kind != "P6" || highest != 255) {
    throw std::runtime_error(path + " is not a PPM file; run sdk/conformance/unpack.py");
  }
  picture.pixels.resize(3 * static_cast<std::size_t>(picture.width) *
                        static_cast<std::size_t>(picture.height));
  file.read(reinterpret_cast<char*>(picture.pixels.data()),
            static_cast<std::streamsize>(picture.pixels.size()));
  if (!file) throw std::runtime_error(path + " is cut off");
  return picture;
}

std::size_t offset_of(const Picture& picture, int x, int y) {
  return 3 * (static_cast<std::size_t>(y) * static_cast<std::size_t>(picture.width) +
              static_cast<std::size_t>(x));
}

// Each pixel of a rectangle becomes a square; what lies outside of the image is left out.
void paste(const Json& part, const Picture& photo, Picture& out) {
  const std::vector<int> from = part.at("from");
  const std::vector<int> to = part.at("to");
  const int repeat = part.value("repeat", 1);
  for (int y = 0; y < from[3] * repeat; ++y) {
    for (int x = 0; x < from[2] * repeat; ++x) {
      const int target_x = to[0] + x;
      const int target_y = to[1] + y;
      if (target_x < 0 || target_y < 0 || target_x >= out.width || target_y >= out.height) continue;
      const std::size_t source = offset_of(photo, from[0] + x / repeat, from[1] + y / repeat);
      const std::size_t target = offset_of(out, target_x, target_y);
      for (std::size_t c = 0; c < 3; ++c) out.pixels[target + c] = photo.pixels.at(source + c);
    }
  }
}

}  // namespace

const Picture& Photos::get(const std::string& name) {
  const auto found = read_.find(name);
  if (found != read_.end()) return found->second;
  return read_.emplace(name, read_ppm(folder_ + "/" + name + ".ppm")).first->second;
}

Picture make_picture(const Json& recipe, Photos& photos) {
  Picture picture;
  picture.width = recipe.at("width");
  picture.height = recipe.at("height");
  picture.pixels.resize(3 * static_cast<std::size_t>(picture.width) *
                        static_cast<std::size_t>(picture.height));
  for (const Json& part : recipe.at("parts")) {
    paste(part, photos.get(part.at("photo").get<std::string>()), picture);
  }
  return picture;
}

Pixels ordered_pixels(const Picture& picture, const std::string& order) {
  // The channels of each pixel as indices into RGB; 3 is alpha.
  static const std::map<std::string, std::pair<rtmpose_pixels, std::vector<int>>> orders = {
      {"bgr", {RTMPOSE_BGR, {2, 1, 0}}},     {"rgb", {RTMPOSE_RGB, {0, 1, 2}}},
      {"bgra", {RTMPOSE_BGRA, {2, 1, 0, 3}}}, {"rgba", {RTMPOSE_RGBA, {0, 1, 2, 3}}},
      {"gray", {RTMPOSE_GRAY, {1}}},
  };
  const auto& [format, channels] = orders.at(order);
  Pixels result;
  result.format = format;
  result.bytes.reserve(picture.pixels.size() / 3 * channels.size());
  for (std::size_t i = 0; i < picture.pixels.size(); i += 3) {
    for (const int channel : channels) {
      constexpr std::uint8_t kAlpha = 128;
      result.bytes.push_back(
          channel == 3 ? kAlpha : picture.pixels[i + static_cast<std::size_t>(channel)]);
    }
  }
  return result;
}

}  // namespace conformance
