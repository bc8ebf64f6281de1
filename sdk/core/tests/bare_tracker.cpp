// The tracker without networks: ids of people who move, cross gaps and leave; and its errors.
#include <cmath>
#include <vector>

#include "check.hpp"
#include "rtmpose_core.h"

namespace {

constexpr int kWidth = 640;
constexpr int kHeight = 480;
constexpr std::size_t kPoints = 17;

struct BareTracker {
  explicit BareTracker(const rtmpose_tracker_params* params = nullptr) {
    rtmpose::check(rtmpose_tracker_create_bare("coco17", 0, 0, params, &tracker));
    rtmpose::check(rtmpose_stream_create(tracker, &stream));
  }
  ~BareTracker() {
    rtmpose_stream_destroy(stream);
    rtmpose_tracker_destroy(tracker);
  }
  BareTracker(const BareTracker&) = delete;
  BareTracker& operator=(const BareTracker&) = delete;

  rtmpose_tracker* tracker = nullptr;
  rtmpose_stream* stream = nullptr;
};

rtmpose_box person_at(float x) { return {x, 100, x + 80, 300}; }

// A pose whose points are spread over the box.
void add_pose(const rtmpose_box& box, std::vector<float>& keypoints, std::vector<float>& scores,
              float score = 0.9f) {
  for (std::size_t k = 0; k < kPoints; ++k) {
    const float part = static_cast<float>(k) / (kPoints - 1);
    keypoints.push_back(box.x1 + (box.x2 - box.x1) * std::fmod(part * 5, 1.0f));
    keypoints.push_back(box.y1 + (box.y2 - box.y1) * part);
    scores.push_back(score);
  }
}

// One frame: the ids of the people in it. boxes: what was detected; score: of all keypoints.
std::vector<std::int64_t> ids_in_frame(BareTracker& bare, const std::vector<rtmpose_box>& boxes,
                                       float score = 0.9f) {
  static const rtmpose_box nowhere{};
  const rtmpose_detections* wanted = nullptr;
  rtmpose::check(rtmpose_stream_begin(bare.stream, kWidth, kHeight, std::nan(""),
                                      boxes.empty() ? &nowhere : boxes.data(), nullptr, nullptr,
                                      static_cast<int>(boxes.size()), &wanted));
  std::vector<float> keypoints;
  std::vector<float> scores;
  for (int i = 0; i < wanted->count; ++i) add_pose(wanted->boxes[i], keypoints, scores, score);
  const int count = wanted->count;
  rtmpose_detections_release(wanted);
  const rtmpose_poses* poses = nullptr;
  rtmpose::check(
      rtmpose_stream_finish(bare.stream, keypoints.data(), scores.data(), count, &poses));
  const rtmpose::Poses people(poses);
  std::vector<std::int64_t> ids;
  for (const rtmpose::Person person : people) ids.push_back(person.id());
  return ids;
}

void ids_stay() {
  BareTracker bare;
  for (int i = 0; i < 20; ++i) {
    const float x = static_cast<float>(i) * 4;
    const auto ids = ids_in_frame(bare, {person_at(x), person_at(400 - x / 2)});
    checks::that(ids == std::vector<std::int64_t>{1, 2}, "two people keep their ids");
  }
}

void ids_return_and_are_not_used_twice() {
  rtmpose_tracker_params params = rtmpose::tracker_params();
  params.det_thr = 0.6f;
  BareTracker bare(&params);
  ids_in_frame(bare, {person_at(100)});
  for (int i = 0; i < 3; ++i) ids_in_frame(bare, {person_at(100)});
  rtmpose::check(rtmpose_stream_reset(bare.stream));
  const auto ids = ids_in_frame(bare, {person_at(100)});
  checks::that(ids == std::vector<std::int64_t>{2}, "after a reset ids go on");
}

void detection_interval() {
  rtmpose_tracker_params params = rtmpose::tracker_params();
  params.det_interval = 3;
  BareTracker bare(&params);
  std::vector<int> wants;
  for (int i = 0; i < 6; ++i) {
    wants.push_back(rtmpose_stream_wants_detection(bare.stream));
    ids_in_frame(bare, {person_at(100)});
  }
  checks::that(wants == std::vector<int>{1, 0, 0, 1, 0, 0}, "the detector runs every third frame");
}

void followed_people_are_wanted() {
  BareTracker bare;
  ids_in_frame(bare, {person_at(100)});
  const rtmpose_detections* wanted = nullptr;
  rtmpose::check(rtmpose_stream_begin(bare.stream, kWidth, kHeight, std::nan(""), nullptr, nullptr,
                                      nullptr, 0, &wanted));
  checks::that(wanted->count == 1 && wanted->labels[0] == -1, "a person is followed");
  rtmpose_detections_release(wanted);
}

void nobody_is_shown_in_black_frames() {
  BareTracker bare;
  for (int i = 0; i < 5; ++i) ids_in_frame(bare, {person_at(100)});
  for (int i = 0; i < 3; ++i) {
    checks::that(ids_in_frame(bare, {}, 0.1f).empty(), "nobody is shown where nothing is seen");
  }
  const auto ids = ids_in_frame(bare, {person_at(100)});
  checks::that(ids == std::vector<std::int64_t>{1}, "who comes back has the same id");
}

void nobody_is_an_empty_result() {
  BareTracker bare;
  const rtmpose_detections* wanted = nullptr;
  const rtmpose_poses* poses = nullptr;
  rtmpose::check(rtmpose_stream_begin(bare.stream, kWidth, kHeight, std::nan(""), nullptr, nullptr,
                                      nullptr, 0, &wanted));
  checks::that(wanted->count == 0 && wanted->boxes && wanted->scores && wanted->labels,
               "nobody is wanted, with arrays");
  rtmpose_detections_release(wanted);
  rtmpose::check(rtmpose_stream_finish(bare.stream, nullptr, nullptr, 0, &poses));
  checks::that(poses->count == 0 && poses->keypoint_count == kPoints, "nobody is in the frame");
  checks::that(poses->ids && poses->boxes && poses->box_scores && poses->keypoints && poses->scores,
               "arrays have an address where nobody is there");
  rtmpose_poses_release(poses);
}

void people_keep_their_ids() {
  BareTracker bare;
  ids_in_frame(bare, {person_at(100), person_at(400)});
  const rtmpose_detections* wanted = nullptr;
  const rtmpose_poses* poses = nullptr;
  const rtmpose_box boxes[] = {person_at(102), person_at(401)};
  rtmpose::check(rtmpose_stream_begin(bare.stream, kWidth, kHeight, std::nan(""), boxes, nullptr,
                                      nullptr, 2, &wanted));
  std::vector<float> keypoints;
  std::vector<float> scores;
  for (int i = 0; i < wanted->count; ++i) add_pose(wanted->boxes[i], keypoints, scores);
  rtmpose::check(rtmpose_stream_finish(bare.stream, keypoints.data(), scores.data(), wanted->count,
                                       &poses));
  rtmpose_detections_release(wanted);

  // All of them, and nobody.
  const rtmpose::Poses all(poses);
  const rtmpose::Poses same = all.people(0);
  checks::that(same.size() == 2 && same[1].id() == 2, "people of tracked poses keep their ids");
  const rtmpose::Poses nobody = all.people(1);
  checks::that(nobody.empty() && nobody.get()->ids, "nobody of tracked poses is tracked, too");
}

// Without a network: what the texts of a folder say is looked at first.
void wrong_folders() {
  const std::int64_t pixels[] = {1, 3, 64, 48};
  const rtmpose_tensor tensor{"input", RTMPOSE_FLOAT32, 4, pixels, nullptr};
  rtmpose_bare_model* model = nullptr;
  const auto fails = [&](const char* deploy, const char* pipeline, rtmpose_status status,
                         const char* words, const char* what) {
    checks::fails(rtmpose_bare_model_create_from_folder("a/folder/", deploy, pipeline, &tensor,
                                                        &tensor, 1, &model),
                  status, words, what);
    checks::that(model == nullptr, std::string(what) + " leaves no model");
  };
  const char* deploy = "{\"models\": [{\"net\": \"end2end.onnx\"}]}";
  fails(nullptr, "{}", RTMPOSE_ERROR_ARGUMENT, "deploy is NULL", "no deploy.json");
  fails(deploy, nullptr, RTMPOSE_ERROR_ARGUMENT, "pipeline is NULL", "no pipeline.json");
  fails(deploy, "[", RTMPOSE_ERROR_MODEL, "pipeline.json is not JSON", "a cut text");
  fails(deploy, "{}", RTMPOSE_ERROR_MODEL, "not a complete", "an empty pipeline");
  fails(deploy, "{\"pipeline\": {\"tasks\": []}}", RTMPOSE_ERROR_MODEL, "a transform is missing",
        "a pipeline without tasks");
}

void wrong_order_and_values() {
  BareTracker bare;
  const rtmpose_poses* poses = nullptr;
  const rtmpose_detections* wanted = nullptr;
  const rtmpose_box box = person_at(10);
  const double now = std::nan("");
  const auto begin = [&](const rtmpose_box* boxes, int count) {
    return rtmpose_stream_begin(bare.stream, kWidth, kHeight, now, boxes, nullptr, nullptr, count,
                                &wanted);
  };
  checks::fails(rtmpose_stream_finish(bare.stream, nullptr, nullptr, 0, &poses),
                RTMPOSE_ERROR_ARGUMENT, "rtmpose_stream_begin first", "finish before begin");
  const rtmpose_box wrong{std::nanf(""), 0, 10, 10};
  checks::fails(begin(&wrong, 1), RTMPOSE_ERROR_ARGUMENT, "box 0", "a box that is no number");
  checks::fails(begin(nullptr, 2), RTMPOSE_ERROR_ARGUMENT, "boxes is NULL", "boxes without memory");
  checks::fails(rtmpose_stream_begin(bare.stream, 0, kHeight, now, &box, nullptr, nullptr, 1,
                                     &wanted),
                RTMPOSE_ERROR_ARGUMENT, "0x480", "a frame without pixels");
  rtmpose::check(begin(&box, 1));
  rtmpose_detections_release(wanted);
  checks::fails(begin(&box, 1), RTMPOSE_ERROR_ARGUMENT, "rtmpose_stream_finish first",
                "begin twice");
  rtmpose::check(rtmpose_stream_reset(bare.stream));
  rtmpose::check(begin(&box, 1));  // allowed after a reset
  rtmpose_detections_release(wanted);
  checks::fails(rtmpose_stream_finish(bare.stream, nullptr, nullptr, 1, &poses),
                RTMPOSE_ERROR_ARGUMENT, "keypoints is NULL", "no keypoints");
  checks::fails(rtmpose_stream_finish(bare.stream, nullptr, nullptr, 3, &poses),
                RTMPOSE_ERROR_ARGUMENT, "1 boxes, but 3", "other keypoints than wanted");
  rtmpose_tracker* tracker = nullptr;
  checks::fails(rtmpose_tracker_create_bare("nobody", 0, 0, nullptr, &tracker),
                RTMPOSE_ERROR_MODEL, "nobody", "a skeleton that is not there");
  checks::fails(rtmpose_tracker_create_bare("{\"name\": 1}", 0, 0, nullptr, &tracker),
                RTMPOSE_ERROR_MODEL, "not valid", "a skeleton that is none");
  checks::fails(rtmpose_tracker_create_bare("coco17", 26, 0, nullptr, &tracker),
                RTMPOSE_ERROR_ARGUMENT, "has 17", "another number of keypoints");
  rtmpose_tracker_params params = rtmpose::tracker_params();
  params.det_interval = 0;
  checks::fails(rtmpose_tracker_create_bare("coco17", 0, 0, &params, &tracker),
                RTMPOSE_ERROR_ARGUMENT, "det_interval", "an interval of 0");
}

}  // namespace

int main() {
  ids_stay();
  ids_return_and_are_not_used_twice();
  detection_interval();
  followed_people_are_wanted();
  nobody_is_shown_in_black_frames();
  nobody_is_an_empty_result();
  people_keep_their_ids();
  wrong_order_and_values();
  wrong_folders();
  return checks::result();
}
