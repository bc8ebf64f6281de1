// The images of conformance cases: parts of photos, pasted onto black.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "rtmpose.hpp"

namespace conformance {

using Json = nlohmann::json;

// RGB, without gaps between rows.
struct Picture {
  int width = 0;
  int height = 0;
  std::vector<std::uint8_t> pixels;
};

// Photos as PPM files in a folder, each read once.
class Photos {
 public:
  explicit Photos(std::string folder) : folder_(std::move(folder)) {}
  const Picture& get(const std::string& name);

 private:
  std::string folder_;
  std::map<std::string, Picture> read_;
};

// The image that a recipe describes.
Picture make_picture(const Json& recipe, Photos& photos);

// Pixels in the order that a case names: bgr, rgb, bgra, rgba or gray.
struct Pixels {
  std::vector<std::uint8_t> bytes;
  rtmpose_pixels format = RTMPOSE_BGR;
};

Pixels ordered_pixels(const Picture& picture, const std::string& order);

}  // namespace conformance
