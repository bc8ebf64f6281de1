#include "model_description.hpp"

#include <utility>

#include "detector_decoding.hpp"
#include "one_stage_decoding.hpp"
#include "recognize.hpp"
#include "yolo.hpp"

namespace rtmpose::core {
namespace {

rtmpose_model_kind kind_of(const Card& card) {
  if (card.is_detector()) return RTMPOSE_KIND_DETECTOR;
  return card.is_one_stage() ? RTMPOSE_KIND_ONE_STAGE : RTMPOSE_KIND_POSE;
}

// The number of keypoints that came out; 0 for detectors.
std::size_t keypoints_in(const ModelDescription& model, const Arrays& outputs) {
  const Card& card = model.card;
  if (model.kind == RTMPOSE_KIND_DETECTOR) {
    read_detections(outputs, card.input, 0.5f, model.path());
    return 0;
  }
  if (card.coding == Coding::kRtmo) return read_rtmo(outputs, 0, model.path()).keypoint_count;
  if (card.coding == Coding::kYoloPose) {
    return read_yolo_people(outputs, 0, model.path()).keypoint_count;
  }
  return check_keypoint_outputs(outputs, card, model.keypoint_form, 1, model.path());
}

void choose_skeleton(ModelDescription& model, std::size_t count) {
  model.skeleton = model.card.skeleton ? *model.card.skeleton : skeleton_for_count(count);
  if (model.skeleton.size() != count) {
    fail_model(model.path() + " returns " + std::to_string(count) + " keypoints, but " +
               model.skeleton.name + " has " + std::to_string(model.skeleton.size()));
  }
}

void fill_pointers(ModelDescription& model) {
  for (const std::string& name : model.skeleton.keypoints) {
    model.keypoint_names.push_back(name.c_str());
  }
  for (const auto& [from, to] : model.skeleton.links) {
    model.link_pairs.push_back(from);
    model.link_pairs.push_back(to);
  }
  for (const std::string& name : model.card.classes) model.class_names.push_back(name.c_str());
}

}  // namespace

void describe(ModelDescription& model, NetworkForm form, Card card) {
  model.form = std::move(form);
  model.card = completed_card(std::move(card), model.form);
  model.kind = kind_of(model.card);
  model.keypoint_form = keypoint_form(model.form.output_names, model.form.output_shapes);
  const Size declared = model.form.declared_size();
  model.rectangular = model.card.rectangular && !declared.width && !declared.height;
}

void check_outputs(ModelDescription& model, const Arrays& outputs) {
  check_first_rows(model, outputs);
  const std::size_t count = keypoints_in(model, outputs);
  if (model.kind != RTMPOSE_KIND_DETECTOR) choose_skeleton(model, count);
  fill_pointers(model);
}

void check_first_rows(const ModelDescription& model, const Arrays& outputs) {
  for (const Array& output : outputs) {
    if (output.rank() >= 3 && output.shape[0] < 1) {
      fail_model(model.path() + " returns nothing for an image: arrays of shape " +
                 shapes_text(outputs));
    }
  }
}

rtmpose_model_info info_of(const ModelDescription& model) {
  rtmpose_model_info info{};
  info.kind = model.kind;
  info.input_width = model.card.input.width;
  info.input_height = model.card.input.height;
  info.keypoints = static_cast<std::int32_t>(model.skeleton.size());
  info.links = static_cast<std::int32_t>(model.skeleton.links.size());
  info.id = model.card.id.c_str();
  info.skeleton = model.skeleton.name.c_str();
  info.keypoint_names = model.keypoint_names.data();
  info.link_pairs = model.link_pairs.data();
  info.classes = static_cast<std::int32_t>(model.class_names.size());
  info.class_names = model.class_names.data();
  info.device = model.device.c_str();
  info.device_note = model.device_note.c_str();
  return info;
}

}  // namespace rtmpose::core
