#include "pose_stages.hpp"

#include <algorithm>

#include "boxes.hpp"
#include "one_stage_decoding.hpp"
#include "yolo.hpp"

namespace rtmpose::core {
namespace {

// Similarity above which the lower-scoring of two poses of a one-stage model is a duplicate.
constexpr float kSamePersonOks = 0.9f;

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

std::size_t pixels_of(Size size) {
  return 3 * static_cast<std::size_t>(size.width) * static_cast<std::size_t>(size.height);
}

// ---- top-down networks

std::size_t most_per_call(const ModelDescription& model) {
  const int fixed = model.form.fixed_batch();
  return fixed > 0 ? static_cast<std::size_t>(fixed) : kLargestBatch;
}

std::size_t batch_for(const ModelDescription& model, std::size_t count) {
  return std::max(count, static_cast<std::size_t>(model.form.fixed_batch()));
}

std::vector<CropMap> fill_crops(const ModelDescription& model, const PoseTask* tasks,
                                std::size_t count, std::size_t batch, float* crops) {
  const Card& card = model.card;
  const std::size_t one = pixels_of(card.input);
  std::vector<CropMap> maps(count);
  for (std::size_t i = 0; i < count; ++i) {
    maps[i] = crop_map(tasks[i].box, card.input, is_udp(card));
    crop_person(*tasks[i].image, maps[i], card.input, card.normalization, crops + i * one);
  }

  // Where the file fixes the batch, the rest repeats the last person.
  for (std::size_t i = count; i < batch; ++i) {
    std::copy_n(crops + (count - 1) * one, one, crops + i * one);
  }
  return maps;
}

void add_poses(const ModelDescription& model, const Arrays& outputs, const PoseTask* tasks,
               const std::vector<CropMap>& maps, Poses& poses) {
  const std::size_t count = maps.size();
  const std::size_t k =
      check_keypoint_outputs(outputs, model.card, model.keypoint_form,
                             static_cast<std::int64_t>(count), model.path());
  if (k != poses.keypoint_count) fail_model(model.path() + " changes its number of keypoints");
  decode_keypoints(outputs, model.card, model.keypoint_form, count, poses.points, poses.scores);
  Point* points = poses.points.data() + (poses.points.size() - count * k);
  for (std::size_t i = 0; i < count; ++i) {
    poses.boxes.push_back(tasks[i].box);
    poses.box_scores.push_back(tasks[i].box_score);
    for (std::size_t j = 0; j < k; ++j, ++points) *points = maps[i].back(*points);
  }
}

// ---- one-stage networks

Placement fill_one_stage_input(const ModelDescription& model, const ImageView& image, float* out) {
  return letterbox_centered(image, model.card.input, model.card.normalization, out);
}

Poses people_in_image(const ModelDescription& model, const Arrays& outputs,
                      const Placement& placement, float box_thr) {
  Poses people = model.card.coding == Coding::kRtmo
                     ? read_rtmo(outputs, box_thr, model.path())
                     : read_yolo_people(outputs, box_thr, model.path());
  if (people.keypoint_count != model.skeleton.size()) {
    fail_model(model.path() + " changes its number of keypoints");
  }
  if (people.size() > 1 && !model.skeleton.sigmas.empty()) {
    people = people.select(distinct_people(people, model.skeleton));
  }
  for (Box& box : people.boxes) box = placement.back(box);
  for (Point& point : people.points) point = placement.back(point);
  return people;
}

}  // namespace rtmpose::core
