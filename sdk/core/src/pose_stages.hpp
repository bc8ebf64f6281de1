// What comes before and after the networks that find keypoints.
#pragma once

#include "crop.hpp"
#include "letterbox.hpp"
#include "model_description.hpp"

namespace rtmpose::core {

// People per network call; more take several calls, so that a crowd does not exhaust the memory.
constexpr std::size_t kLargestBatch = 64;

// Whose pose is wanted: a box of one of several images.
struct PoseTask {
  const ImageView* image = nullptr;
  Box box{};
  float box_score = 1;
};

// The number of floats in one input.
std::size_t pixels_of(Size size);

// ---- top-down networks

// People per call.
std::size_t most_per_call(const ModelDescription& model);

// The batch that the network takes for so many people: larger where the file fixes it.
std::size_t batch_for(const ModelDescription& model, std::size_t count);

// One crop for each task, and the last one again up to `batch`. crops: (batch, 3, height, width).
std::vector<CropMap> fill_crops(const ModelDescription& model, const PoseTask* tasks,
                                std::size_t count, std::size_t batch, float* crops);

// What the network returned for these crops, added to poses in pixels of the images.
void add_poses(const ModelDescription& model, const Arrays& outputs, const PoseTask* tasks,
               const std::vector<CropMap>& maps, Poses& poses);

// ---- one-stage networks

// Fills an input with an image. out: (3, height, width).
Placement fill_one_stage_input(const ModelDescription& model, const ImageView& image, float* out);

// What the network returned, as people in image pixels, highest box score first.
Poses people_in_image(const ModelDescription& model, const Arrays& outputs,
                      const Placement& placement, float box_thr);

}  // namespace rtmpose::core
