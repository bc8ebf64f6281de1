#include "pose_estimator.hpp"

#include <algorithm>

#include "boxes.hpp"
#include "crop.hpp"
#include "letterbox.hpp"
#include "one_stage_decoding.hpp"
#include "yolo.hpp"

namespace rtmpose::core {
namespace {

// People per network call; more take several calls, so that a crowd does not exhaust the memory.
constexpr std::size_t kLargestBatch = 64;

// Similarity above which the lower-scoring of two poses of a one-stage model is a duplicate.
constexpr float kSamePersonOks = 0.9f;

// The input of this thread, kept from frame to frame.
std::vector<float>& crop_memory() {
  thread_local std::vector<float> memory;
  return memory;
}

std::size_t pixels_of(Size size) {
  return 3 * static_cast<std::size_t>(size.width) * static_cast<std::size_t>(size.height);
}

// Two poses of one person may differ in their boxes.
Rows distinct_people(const Poses& people, const Skeleton& skeleton) {
  std::vector<PoseRef> refs;
  for (std::size_t row = 0; row < people.size(); ++row) {
    refs.push_back({people.points_of(row), people.scores_of(row), box_area(people.boxes[row]),
                    {0, 0}});
  }
  Rows rows = oks_nms(refs, people.box_scores, skeleton.sigmas, kSamePersonOks);
  std::sort(rows.begin(), rows.end());
  return rows;
}

}  // namespace

PoseEstimator::PoseEstimator(std::shared_ptr<const Model> model) : model_(std::move(model)) {
  if (model_->kind == RTMPOSE_KIND_DETECTOR) {
    fail_model(model_->path() + " is a detector, not a pose model");
  }
}

Poses PoseEstimator::estimate(const std::vector<PoseTask>& tasks) const {
  Poses poses;
  poses.keypoint_count = skeleton().size();
  const int fixed = model_->network->fixed_batch();
  const std::size_t most = fixed > 0 ? static_cast<std::size_t>(fixed) : kLargestBatch;
  for (std::size_t start = 0; start < tasks.size(); start += most) {
    estimate_part(tasks.data() + start, std::min(most, tasks.size() - start), poses);
  }
  return poses;
}

void PoseEstimator::estimate_part(const PoseTask* tasks, std::size_t count, Poses& poses) const {
  const Card& card = model_->card;
  const std::size_t fixed = static_cast<std::size_t>(model_->network->fixed_batch());
  const std::size_t batch = std::max(count, fixed);
  const std::size_t one = pixels_of(card.input);
  std::vector<float>& crops = crop_memory();
  if (crops.size() < batch * one) crops.resize(batch * one);
  std::vector<CropMap> maps(count);
  for (std::size_t i = 0; i < count; ++i) {
    maps[i] = crop_map(tasks[i].box, card.input, is_udp(card));
    crop_person(*tasks[i].image, maps[i], card.input, card.normalization, crops.data() + i * one);
  }

  // Where the file fixes the batch, the rest repeats the last person.
  for (std::size_t i = count; i < batch; ++i) {
    std::copy_n(crops.data() + (count - 1) * one, one, crops.data() + i * one);
  }
  const Outputs outputs = model_->network->run(crops.data(), static_cast<int>(batch), card.input);
  const std::size_t k = check_keypoint_outputs(outputs.arrays(), card, model_->keypoint_form,
                                               static_cast<std::int64_t>(count), model_->path());
  if (k != poses.keypoint_count) fail_model(model_->path() + " changes its number of keypoints");
  decode_keypoints(outputs.arrays(), card, model_->keypoint_form, count, poses.points,
                   poses.scores);
  Point* points = poses.points.data() + (poses.points.size() - count * k);
  for (std::size_t i = 0; i < count; ++i) {
    poses.boxes.push_back(tasks[i].box);
    poses.box_scores.push_back(tasks[i].box_score);
    for (std::size_t j = 0; j < k; ++j, ++points) *points = maps[i].back(*points);
  }
}

Poses PoseEstimator::find(const ImageView& image, float box_thr) const {
  const Card& card = model_->card;
  std::vector<float>& canvas = crop_memory();
  if (canvas.size() < pixels_of(card.input)) canvas.resize(pixels_of(card.input));
  const Placement placement =
      letterbox_centered(image, card.input, card.normalization, canvas.data());
  const Outputs outputs = run_single(*model_->network, canvas, card.input);
  Poses people = card.coding == Coding::kRtmo
                     ? read_rtmo(outputs.arrays(), box_thr, model_->path())
                     : read_yolo_people(outputs.arrays(), box_thr, model_->path());
  if (people.keypoint_count != skeleton().size()) {
    fail_model(model_->path() + " changes its number of keypoints");
  }
  if (people.size() > 1 && !skeleton().sigmas.empty()) {
    people = people.select(distinct_people(people, skeleton()));
  }
  for (Box& box : people.boxes) box = placement.back(box);
  for (Point& point : people.points) point = placement.back(point);
  return people;
}

}  // namespace rtmpose::core
