// The poses of people: in given boxes by a top-down network, or in whole images by a one-stage one.
#pragma once

#include "model.hpp"
#include "pose_stages.hpp"

namespace rtmpose::core {

class PoseEstimator {
 public:
  // Throws Error for a detector.
  explicit PoseEstimator(std::shared_ptr<const Model> model);

  bool is_one_stage() const { return model_->kind == RTMPOSE_KIND_ONE_STAGE; }
  const Skeleton& skeleton() const { return model_->skeleton; }

  // The same; keeps the model alive.
  std::shared_ptr<const Skeleton> shared_skeleton() const { return {model_, &model_->skeleton}; }

  // One pose for each task, in their order; all in one call of the network, up to 64 people. For
  // top-down networks.
  Poses estimate(const std::vector<PoseTask>& tasks) const;

  // The people of one image, highest box score first. For one-stage networks.
  Poses find(const ImageView& image, float box_thr) const;

 private:
  void estimate_part(const PoseTask* tasks, std::size_t count, Poses& poses) const;

  std::shared_ptr<const Model> model_;
};

}  // namespace rtmpose::core
