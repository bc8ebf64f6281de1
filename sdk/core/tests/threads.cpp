// Eight threads with a tracker each, then eight on one tracker: the same people as one thread
// finds; and two calls at once on one stream, of which one is told that it is busy.
#include <atomic>
#include <thread>

#include "check.hpp"

namespace {

constexpr int kThreads = 8;
constexpr int kFrames = 6;
constexpr int kSide = 128;

const std::string kDetector = std::string(RTMPOSE_MODELS) + "/rtmdet-nano_finetuned_320x320.onnx";
const std::string kPose =
    std::string(RTMPOSE_MODELS) + "/rtmpose-s-pruned_finetuned-halpe26_192x144.onnx";

// A pattern that moves.
std::vector<std::uint8_t> frame_pixels(int frame) {
  std::vector<std::uint8_t> pixels(3 * kSide * kSide);
  for (std::size_t i = 0; i < pixels.size(); ++i) {
    pixels[i] = static_cast<std::uint8_t>((i * 7 + static_cast<std::size_t>(frame) * 13) % 251);
  }
  return pixels;
}

// All numbers of a few frames, one after the other; the boxes come with the frames.
std::vector<float> followed(const rtmpose::PoseTracker& tracker) {
  rtmpose::Stream stream = tracker.create_stream();
  const std::vector<rtmpose::Box> boxes = {{10, 10, 60, 110}, {50, 5, 120, 120}};
  std::vector<float> numbers;
  for (int i = 0; i < kFrames; ++i) {
    const std::vector<std::uint8_t> pixels = frame_pixels(i);
    const rtmpose::Image image(pixels.data(), kSide, kSide);
    for (const rtmpose::Person person : tracker.apply(stream, image, boxes)) {
      numbers.push_back(static_cast<float>(person.id()));
      numbers.insert(numbers.end(), person.keypoints().begin(), person.keypoints().end());
    }
  }
  return numbers;
}

rtmpose_tracker_params generous_params() {
  // Patterns are nobody; everything counts here.
  rtmpose_tracker_params params = rtmpose::tracker_params();
  params.pose_kpt_thr = 0;
  params.pose_min_keypoints = 0;
  params.person_thr = 0;
  params.pose_nms_thr = 1;
  return params;
}

void run_threads(const rtmpose::PoseTracker* shared, const rtmpose::Model& detector,
                 const rtmpose::Model& pose, const std::vector<float>& expected,
                 const char* what) {
  std::atomic<int> same{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      const rtmpose::PoseTracker own(detector, pose, generous_params());
      if (followed(shared ? *shared : own) == expected) ++same;
    });
  }
  for (std::thread& thread : threads) thread.join();
  checks::that(same == kThreads, std::string(what) + ": " + std::to_string(same) + " of " +
                                     std::to_string(kThreads) + " threads agree");
}

void busy_stream(const rtmpose::PoseTracker& tracker) {
  rtmpose::Stream stream = tracker.create_stream();
  std::atomic<int> busy{0};
  std::atomic<int> done{0};
  std::atomic<int> other{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      const std::vector<std::uint8_t> pixels = frame_pixels(0);
      for (int frame = 0; frame < kFrames; ++frame) {
        try {
          tracker.apply(stream, rtmpose::Image(pixels.data(), kSide, kSide));
          ++done;
        } catch (const rtmpose::Error& error) {
          ++(error.status() == RTMPOSE_ERROR_BUSY ? busy : other);
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  checks::that(other == 0 && done > 0, "calls on one stream succeed or are told it is busy");
  checks::that(busy > 0, "some call found the stream busy");
}

}  // namespace

int main() {
  try {
    const rtmpose::Model detector(kDetector, 1);
    const rtmpose::Model pose(kPose, 1);
    const rtmpose::PoseTracker tracker(detector, pose, generous_params());
    const std::vector<float> expected = followed(tracker);
    checks::that(!expected.empty(), "there are people to follow");
    run_threads(nullptr, detector, pose, expected, "a tracker for each thread");
    run_threads(&tracker, detector, pose, expected, "one tracker for all threads");
    busy_stream(tracker);
  } catch (const rtmpose::Error& error) {
    checks::that(false, error.what());
  }
  return checks::result();
}
