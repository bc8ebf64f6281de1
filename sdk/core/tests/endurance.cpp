// Memory and handles over many opened models and many frames.
// usage: endurance [opens] [frames]    (1000 and 10000)
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "rtmpose.hpp"

namespace {

constexpr int kSide = 192;

const std::string kDetector = std::string(RTMPOSE_MODELS) + "/rtmdet-nano_finetuned_320x320.onnx";
const std::string kPose =
    std::string(RTMPOSE_MODELS) + "/rtmpose-s-pruned_finetuned-halpe26_192x144.onnx";

// Resident memory in megabytes, as Linux tells it.
double memory_mb() {
  std::ifstream file("/proc/self/statm");
  long total = 0;
  long resident = 0;
  file >> total >> resident;
  return static_cast<double>(resident) * 4096 / 1e6;
}

long open_files() {
  long count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    (void)entry;
    ++count;
  }
  return count;
}

void tell(const char* what, int done) {
  std::printf("%s %6d: %7.1f MB, %ld open files\n", what, done, memory_mb(), open_files());
  std::fflush(stdout);
}

void open_and_close(int count) {
  for (int i = 1; i <= count; ++i) {
    const rtmpose::Model detector(kDetector, 1);
    const rtmpose::Model pose(kPose, 1);
    const rtmpose::PoseTracker tracker(detector, pose);
    const rtmpose::Stream stream = tracker.create_stream();
    if (i == count / 10 || i % (count / 4) == 0) tell("opened", i);
  }
}

void follow(int count) {
  const rtmpose::Model pose(kPose, 1);
  const rtmpose::PoseTracker tracker(pose);
  rtmpose::Stream stream = tracker.create_stream();
  std::vector<std::uint8_t> pixels(3 * kSide * kSide);
  for (int i = 1; i <= count; ++i) {
    // People who come, move and go, so that tracks are made and forgotten.
    pixels[static_cast<std::size_t>(i) % pixels.size()] ^= 0xff;
    const float x = static_cast<float>(i % 100);
    std::vector<rtmpose::Box> boxes = {{x, 10, x + 60, 180}};
    if (i % 7 < 3) boxes.push_back({20, 20, 90, 150});
    tracker.apply(stream, rtmpose::Image(pixels.data(), kSide, kSide), boxes);
    if (i == count / 10 || i % (count / 4) == 0) tell("frames", i);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const int opens = argc > 1 ? std::atoi(argv[1]) : 1000;
  const int frames = argc > 2 ? std::atoi(argv[2]) : 10000;
  if (opens < 10 || frames < 10) {
    std::puts("usage: endurance [opens] [frames], 10 or more of each");
    return 2;
  }
  try {
    open_and_close(opens);
    follow(frames);
  } catch (const rtmpose::Error& error) {
    std::printf("%s\n", error.what());
    return 1;
  }
  return 0;
}
