// By hand: opens every model in a folder and, where that works, uses it in all ways that its kind
// has. Anything but a status with a text is a fault, which sanitizers or valgrind show.
// usage: open_networks FOLDER    (sdk/core/tools/make_odd_networks.py writes one)
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <map>

#include "rtmpose.hpp"

namespace {

constexpr int kWidth = 70;
constexpr int kHeight = 50;

// How many calls ended with which status.
std::map<rtmpose_status, int> g_counts;

template <typename Function>
void try_it(Function&& function) {
  rtmpose_status status = RTMPOSE_OK;
  try {
    function();
  } catch (const rtmpose::Error& error) {
    status = error.status();
    if (status == RTMPOSE_ERROR_INTERNAL) std::printf("%s\n", error.what());
  }
  ++g_counts[status];
}

// All numbers of a result, so that tools see whether somebody wrote them.
double sum_of(const rtmpose::Poses& poses) {
  double sum = 0;
  for (const rtmpose::Person person : poses) {
    sum += static_cast<double>(person.box_score()) + static_cast<double>(person.box().x1);
    for (const float value : person.keypoints()) sum += static_cast<double>(value);
    for (const float value : person.scores()) sum += static_cast<double>(value);
  }
  return sum;
}

void use(const rtmpose::Model& model) {
  const std::vector<std::uint8_t> pixels(3 * kWidth * kHeight, 120);
  const rtmpose::Image image(pixels.data(), kWidth, kHeight);
  volatile double sum = 0;
  if (model.info().kind == RTMPOSE_KIND_DETECTOR) {
    try_it([&] {
      for (const float score : rtmpose::Detector(model).apply(image).scores()) sum = sum + score;
    });
    return;
  }
  const rtmpose::PoseDetector pose(model);
  const std::vector<rtmpose::Box> boxes = {{5, 5, 40, 45}, {-20, 10, 90, 30}};
  if (model.info().kind == RTMPOSE_KIND_POSE) {
    try_it([&] { sum = sum + sum_of(pose.apply(image, boxes)); });
  }
  try_it([&] { sum = sum + sum_of(pose.apply(image).people()); });

  // Three frames: people are new, followed, and lost.
  try_it([&] {
    const rtmpose::PoseTracker tracker(model);
    rtmpose::Stream stream = tracker.create_stream();
    const bool given = model.info().kind == RTMPOSE_KIND_POSE;
    sum = sum + sum_of(given ? tracker.apply(stream, image, boxes) : tracker.apply(stream, image));
    sum = sum + sum_of(tracker.apply(stream, image));
    sum = sum + sum_of(tracker.apply(stream, image));
  });
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return std::puts("usage: open_networks FOLDER"), 2;
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::directory_iterator(argv[1])) {
    if (entry.path().extension() == ".onnx") paths.push_back(entry.path().u8string());
  }
  std::sort(paths.begin(), paths.end());
  int opened = 0;
  for (const std::string& path : paths) {
    // The last line before a crash is the file.
    std::fprintf(stderr, "%s\n", path.c_str());
    try_it([&] {
      const rtmpose::Model model(path, 1);
      ++opened;
      use(model);
    });
  }
  std::printf("%zu models, %d opened\n", paths.size(), opened);
  for (const auto& [status, count] : g_counts) std::printf("status %d: %d calls\n", status, count);
  return g_counts.count(RTMPOSE_ERROR_INTERNAL) ? 1 : 0;
}
