#include "pose_estimator.hpp"

#include <algorithm>

namespace rtmpose::core {
namespace {

// The input of this thread, kept from frame to frame.
std::vector<float>& crop_memory(std::size_t needed) {
  thread_local std::vector<float> memory;
  if (memory.size() < needed) memory.resize(needed);
  return memory;
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
  const std::size_t most = most_per_call(*model_);
  for (std::size_t start = 0; start < tasks.size(); start += most) {
    estimate_part(tasks.data() + start, std::min(most, tasks.size() - start), poses);
  }
  return poses;
}

void PoseEstimator::estimate_part(const PoseTask* tasks, std::size_t count, Poses& poses) const {
  const Size input = model_->card.input;
  const std::size_t batch = batch_for(*model_, count);
  std::vector<float>& crops = crop_memory(batch * pixels_of(input));
  const std::vector<CropMap> maps = fill_crops(*model_, tasks, count, batch, crops.data());
  const Outputs outputs = model_->network->run(crops.data(), static_cast<int>(batch), input);
  add_poses(*model_, outputs.arrays(), tasks, maps, poses);
}

Poses PoseEstimator::find(const ImageView& image, float box_thr) const {
  const Size input = model_->card.input;
  std::vector<float>& canvas = crop_memory(pixels_of(input));
  const Placement placement = fill_one_stage_input(*model_, image, canvas.data());
  const Outputs outputs = run_single(*model_, canvas, input);
  return people_in_image(*model_, outputs.arrays(), placement, box_thr);
}

}  // namespace rtmpose::core
