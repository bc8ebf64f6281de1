#include "drawing.hpp"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <opencv2/imgproc.hpp>

#include "arguments.hpp"

namespace programs {

namespace {

// Left, right and middle of the body.
const cv::Scalar kLeft(80, 200, 60);
const cv::Scalar kRight(60, 130, 255);
const cv::Scalar kMiddle(230, 160, 40);
const cv::Scalar kBox(0, 255, 0);

cv::Scalar side_color(const char* name) {
  const std::string text = name ? name : "";
  if (text.rfind("left", 0) == 0) return kLeft;
  if (text.rfind("right", 0) == 0) return kRight;
  return kMiddle;
}

// Links and colors of the model itself, up to a number of keypoints.
Skeleton of_model(const rtmpose_model_info& model, int keypoints) {
  Skeleton skeleton;
  for (int k = 0; k < keypoints; ++k) {
    skeleton.point_colors.push_back(side_color(model.keypoint_names[k]));
  }
  for (int i = 0; i < model.links; ++i) {
    const int from = model.link_pairs[2 * i];
    const int to = model.link_pairs[2 * i + 1];
    if (from >= keypoints || to >= keypoints) continue;
    skeleton.links.emplace_back(from, to);

    // From one side to the other: the middle.
    const cv::Scalar a = skeleton.point_colors[static_cast<size_t>(from)];
    const cv::Scalar b = skeleton.point_colors[static_cast<size_t>(to)];
    skeleton.link_colors.push_back(a == b ? a : kMiddle);
  }
  return skeleton;
}

class SkeletonFile {
 public:
  explicit SkeletonFile(const std::string& path) : path_(path), file_(path) {
    if (!file_) throw UsageError{"cannot read the skeleton file " + path};
  }

  // A whole number within bounds.
  int number(int lowest, int highest) {
    int value = 0;
    if (!(file_ >> value) || value < lowest || value > highest) {
      throw UsageError{"the skeleton file " + path_ + " is damaged: a whole number from " +
                       std::to_string(lowest) + " to " + std::to_string(highest) +
                       " was expected"};
    }
    return value;
  }

 private:
  std::string path_;
  std::ifstream file_;
};

Skeleton of_file(const std::string& path, int keypoints) {
  constexpr int kMost = 10000;
  SkeletonFile file(path);
  Skeleton skeleton;
  for (int left = file.number(0, kMost); left > 0; --left) {
    const int from = file.number(0, keypoints - 1);
    const int to = file.number(0, keypoints - 1);
    skeleton.links.emplace_back(from, to);
  }

  std::vector<cv::Scalar> palette;
  for (int left = file.number(1, kMost); left > 0; --left) {
    const int blue = file.number(0, 255);
    const int green = file.number(0, 255);
    const int red = file.number(0, 255);
    palette.emplace_back(blue, green, red);
  }

  // A color for every link and every keypoint.
  const int links = static_cast<int>(skeleton.links.size());
  const int colors = static_cast<int>(palette.size());
  for (int left = file.number(links, links); left > 0; --left) {
    skeleton.link_colors.push_back(palette[static_cast<size_t>(file.number(0, colors - 1))]);
  }
  for (int left = file.number(keypoints, kMost); left > 0; --left) {
    skeleton.point_colors.push_back(palette[static_cast<size_t>(file.number(0, colors - 1))]);
  }
  return skeleton;
}

}  // namespace

Skeleton Skeleton::get(const std::string& choice, const rtmpose_model_info& model) {
  static const std::map<std::string, int> kNamed = {
      {"coco", 17}, {"coco-wholebody", 133}, {"coco-wholebody-hand", 21}};
  if (choice == "model") return of_model(model, model.keypoints);
  const auto named = kNamed.find(choice);
  if (named == kNamed.end()) return of_file(choice, model.keypoints);
  if (named->second > model.keypoints) {
    throw UsageError{"the model has " + std::to_string(model.keypoints) + " keypoints, " +
                     choice + " has " + std::to_string(named->second) +
                     "; take --skeleton model"};
  }
  return of_model(model, named->second);
}

rtmpose_image as_image(const cv::Mat& image) {
  rtmpose_image pixels;
  rtmpose_image_init(&pixels, sizeof(pixels));
  pixels.format = RTMPOSE_BGR;
  pixels.data = image.data;
  pixels.width = image.cols;
  pixels.height = image.rows;
  pixels.stride = static_cast<int64_t>(image.step[0]);
  return pixels;
}

void draw_box(cv::Mat& image, const rtmpose_box& box, float scale) {
  cv::rectangle(image, cv::Point2f(box.x1 * scale, box.y1 * scale),
                cv::Point2f(box.x2 * scale, box.y2 * scale), kBox);
}

void draw_pose(cv::Mat& image, const Skeleton& skeleton, const float* keypoints,
               const float* scores, int count, float threshold, float scale) {
  const int shown = std::min(count, static_cast<int>(skeleton.point_colors.size()));
  const auto place = [&](int k) {
    return cv::Point2f(keypoints[2 * k] * scale, keypoints[2 * k + 1] * scale);
  };
  const int size = std::max(1, static_cast<int>(std::lround(image.rows / 360.0)));
  for (size_t i = 0; i < skeleton.links.size(); ++i) {
    const auto [from, to] = skeleton.links[i];
    if (from >= shown || to >= shown) continue;
    if (scores[from] <= threshold || scores[to] <= threshold) continue;
    cv::line(image, place(from), place(to), skeleton.link_colors[i], size, cv::LINE_AA);
  }
  for (int k = 0; k < shown; ++k) {
    if (scores[k] <= threshold) continue;
    cv::circle(image, place(k), size + 1, skeleton.point_colors[static_cast<size_t>(k)], cv::FILLED,
               cv::LINE_AA);
  }
}

}  // namespace programs
