// What programs in C++ write: lists in braces, frames with all their fields, several streams.
#include "check.hpp"

namespace {

constexpr int kSide = 64;

void check_boxes(const rtmpose::PoseDetector& pose, const rtmpose::Image& image) {
  checks::that(pose.apply(image).size() == 1, "without boxes the whole image is one person");
  checks::that(pose.apply(image, {}).empty(), "an empty list in braces is nobody");
  checks::that(pose.apply(image, {{1, 2, 30, 40}}).size() == 1, "one box in braces");
  checks::that(pose.apply(image, {{1, 2, 30, 40}, {5, 5, 60, 60}}).size() == 2, "two boxes in braces");
  const std::vector<rtmpose::Box> none;
  checks::that(pose.apply(image, none).empty(), "an empty vector is nobody");
}

void check_frames(const rtmpose::PoseTracker& tracker, const rtmpose::Image& image) {
  rtmpose::Stream one = tracker.create_stream();
  rtmpose::Stream other = tracker.create_stream();
  const rtmpose::Box box{1, 2, 60, 60};
  const float score = 0.5f;
  checks::that(tracker.apply(one, image, {}, 0.0).empty(), "a frame without boxes");
  checks::that(tracker.apply(one, image, {box}, 0.1).size() == 1, "a frame with a box in braces");

  rtmpose_frame scored = rtmpose::PoseTracker::frame_of(one, image, 0.2);
  scored.boxes = &box;
  scored.box_scores = &score;
  scored.box_count = 1;
  const rtmpose::Poses people = tracker.apply(scored);
  checks::that(people.size() == 1, "a frame with scores of its boxes");

  rtmpose_frame second = rtmpose::PoseTracker::frame_of(other, image);
  second.detect = 0;
  scored.time_s = 0.3;
  const std::vector<rtmpose::Poses> both = tracker.apply({scored, second});
  checks::that(both.size() == 2 && both[0].size() == 1 && both[1].empty(), "frames of two streams");
  checks::that(both[0][0].id() == people[0].id(), "the same person in the next frame");
}

}  // namespace

int main() {
  try {
    const rtmpose::Model model(
        std::string(RTMPOSE_MODELS) + "/rtmpose-s-pruned_finetuned-halpe26_192x144.onnx", 1);
    const std::vector<std::uint8_t> pixels(3 * kSide * kSide, 128);
    const rtmpose::Image image(pixels.data(), kSide, kSide);
    check_boxes(rtmpose::PoseDetector(model), image);

    // A gray image shows nobody; everything counts here.
    rtmpose_tracker_params params = rtmpose::tracker_params();
    params.pose_kpt_thr = 0;
    params.pose_min_keypoints = 0;
    params.person_thr = 0;
    params.confirm = 1;
    check_frames(rtmpose::PoseTracker(model, params), image);
  } catch (const rtmpose::Error& error) {
    checks::that(false, error.what());
  }
  return checks::result();
}
