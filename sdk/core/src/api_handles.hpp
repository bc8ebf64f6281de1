// What the opaque handles of models hold.
#pragma once

#include "detector.hpp"
#include "pose_estimator.hpp"

struct rtmpose_model {
  std::shared_ptr<const rtmpose::core::Model> data;
};

struct rtmpose_detector {
  rtmpose::core::Detector data;
};

struct rtmpose_pose_detector {
  rtmpose::core::PoseEstimator data;
};
