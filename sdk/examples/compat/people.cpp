// A program written for the deployment SDK's C++ names; only the include path is another one.
//   people DET_MODEL POSE_MODEL IMAGE.ppm
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <mmdeploy/detector.hpp>
#include <mmdeploy/pose_detector.hpp>
#include <mmdeploy/pose_tracker.hpp>
#include <string>
#include <vector>

int main(int argc, char** argv) try {
  if (argc != 4) return std::fprintf(stderr, "usage: people DET_MODEL POSE_MODEL IMAGE.ppm\n"), 2;
  std::ifstream file(argv[3], std::ios::binary);
  std::string kind;
  int width = 0, height = 0, largest = 0;
  if (!(file >> kind >> width >> height >> largest) || kind != "P6" || largest != 255) {
    return std::fprintf(stderr, "%s is no PPM image\n", argv[3]), 1;
  }
  file.get();
  std::vector<uint8_t> pixels(static_cast<size_t>(width) * height * 3);
  file.read(reinterpret_cast<char*>(pixels.data()), static_cast<std::streamsize>(pixels.size()));
  mmdeploy::Mat image(height, width, 3, MMDEPLOY_PIXEL_FORMAT_RGB, MMDEPLOY_DATA_TYPE_UINT8,
                      pixels.data());

  // Boxes, then the poses in them; a model may also be bytes in memory.
  mmdeploy::Device device("cpu");
  std::ifstream model_file(argv[1], std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(model_file), {}};
  mmdeploy::Model det_model(bytes.data(), bytes.size()), pose_model(argv[2]);
  mmdeploy::Detector detector(det_model, device);
  mmdeploy::PoseDetector pose(pose_model, device);
  std::vector<mmdeploy_rect_t> boxes;
  for (const mmdeploy_detection_t& found : detector.Apply(image)) {
    if (found.label_id == 0 && found.score > 0.5f) boxes.push_back(found.bbox);
  }
  std::printf("%zu boxes\n", boxes.size());
  if (!boxes.empty()) {
    for (const mmdeploy_pose_detection_t& person : pose.Apply(image, boxes)) {
      std::printf("nose %.1f %.1f, score %.2f\n", person.point[0].x, person.point[0].y,
                  person.score[0]);
    }
  }

  // The same people with ids, as in a video.
  mmdeploy::PoseTracker tracker(det_model, pose_model, device);
  mmdeploy::PoseTracker::Params params;
  params->det_interval = 5;
  mmdeploy::PoseTracker::State state = tracker.CreateState(params);
  for (int frame = 0; frame < 3; ++frame) {
    mmdeploy::PoseTracker::Result people = tracker.Apply(state, image);
    std::printf("frame %d:", frame);
    for (const mmdeploy_pose_tracker_target_t& person : people) {
      std::printf(" id %u", person.target_id);
    }
    std::printf("\n");
  }
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
