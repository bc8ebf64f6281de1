#include "detector.hpp"

namespace rtmpose::core {
namespace {

// The input of this thread, kept from frame to frame.
std::vector<float>& canvas_memory() {
  thread_local std::vector<float> memory;
  return memory;
}

}  // namespace

Detector::Detector(std::shared_ptr<const Model> model) : model_(std::move(model)) {
  if (model_->kind != RTMPOSE_KIND_DETECTOR) {
    fail_model(model_->path() + " is not a detector: it finds keypoints");
  }
}

Detections Detector::detect(const ImageView& image, float box_thr, int label, int limit) const {
  const Size size = detector_input(*model_, image.size());
  std::vector<float>& canvas = canvas_memory();
  const std::size_t needed = 3 * static_cast<std::size_t>(size.width) *
                             static_cast<std::size_t>(size.height);
  if (canvas.size() < needed) canvas.resize(needed);
  const Placement placement = fill_detector_input(*model_, image, size, canvas.data());
  const Outputs outputs = run_single(*model_, canvas, size);
  return detections_in_image(*model_, outputs.arrays(), size, placement, box_thr, label, limit);
}

}  // namespace rtmpose::core
