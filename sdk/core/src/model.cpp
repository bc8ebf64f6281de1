#include "model.hpp"

#include <algorithm>
#include <filesystem>

#include "detector_decoding.hpp"
#include "one_stage_decoding.hpp"
#include "recognize.hpp"
#include "sdk_folder.hpp"
#include "yolo.hpp"

namespace rtmpose::core {
namespace {

namespace fs = std::filesystem;

constexpr const char* kCardKey = "rtmpose.card";

Card card_for(const Network& network, const std::string& path) {
  if (is_sdk_folder(path)) return sdk_card(path);

  // A card next to the file counts more than the one inside.
  const std::string beside = path + ".card.json";
  std::error_code ignored;
  if (fs::is_regular_file(fs::u8path(beside), ignored)) {
    return card_from_json(read_text(beside), beside);
  }
  const std::string inside = network.metadata(kCardKey);
  return inside.empty() ? recognized_card(network) : card_from_json(inside, path);
}

std::string network_file(const std::string& path) {
  std::error_code ignored;
  if (!fs::is_directory(fs::u8path(path), ignored)) return path;
  if (is_sdk_folder(path)) return sdk_network(path);
  fail_model(path + " is a folder without deploy.json and pipeline.json; name an .onnx file or a"
                    " folder of the deployment SDK");
}

rtmpose_model_kind kind_of(const Card& card) {
  if (card.is_detector()) return RTMPOSE_KIND_DETECTOR;
  return card.is_one_stage() ? RTMPOSE_KIND_ONE_STAGE : RTMPOSE_KIND_POSE;
}

// Runs one black image: the number of keypoints that come out, 0 for detectors.
std::size_t check_outputs(const Model& model) {
  const Card& card = model.card;
  std::vector<float> black(3 * static_cast<std::size_t>(card.input.width) *
                           static_cast<std::size_t>(card.input.height));
  const Outputs outputs = run_single(*model.network, black, card.input);
  const Arrays& arrays = outputs.arrays();
  if (model.kind == RTMPOSE_KIND_DETECTOR) {
    read_detections(arrays, card.input, 0.5f, model.path());
    return 0;
  }
  if (card.coding == Coding::kRtmo) return read_rtmo(arrays, 0, model.path()).keypoint_count;
  if (card.coding == Coding::kYoloPose) {
    return read_yolo_people(arrays, 0, model.path()).keypoint_count;
  }
  return check_keypoint_outputs(arrays, card, model.keypoint_form, 1, model.path());
}

void choose_skeleton(Model& model, std::size_t count) {
  model.skeleton = model.card.skeleton ? *model.card.skeleton : skeleton_for_count(count);
  if (model.skeleton.size() != count) {
    fail_model(model.path() + " returns " + std::to_string(count) + " keypoints, but " +
               model.skeleton.name + " has " + std::to_string(model.skeleton.size()));
  }
}

void fill_pointers(Model& model) {
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

std::shared_ptr<const Model> open_model(const std::string& path, const EngineOptions& options) {
  const auto model = std::make_shared<Model>();
  model->network = std::make_unique<Network>(network_file(path), options);
  model->card = completed_card(card_for(*model->network, path), *model->network);
  model->kind = kind_of(model->card);
  model->keypoint_form =
      keypoint_form(output_names(*model->network), output_shapes(*model->network));
  const Size declared = model->network->declared_size();
  model->rectangular = model->card.rectangular && !declared.width && !declared.height;
  const std::size_t count = check_outputs(*model);
  if (model->kind != RTMPOSE_KIND_DETECTOR) choose_skeleton(*model, count);
  fill_pointers(*model);
  return model;
}

Outputs run_single(const Network& network, std::vector<float>& pixels, Size size) {
  const int batch = std::max(1, network.fixed_batch());
  const std::size_t one = 3 * static_cast<std::size_t>(size.width) *
                          static_cast<std::size_t>(size.height);
  if (pixels.size() < one * static_cast<std::size_t>(batch)) {
    pixels.resize(one * static_cast<std::size_t>(batch));
  }
  for (int i = 1; i < batch; ++i) {
    std::copy_n(pixels.data(), one, pixels.data() + one * static_cast<std::size_t>(i));
  }
  Outputs outputs = network.run(pixels.data(), batch, size);

  // The decoders read the rows of the first image.
  for (const Array& output : outputs.arrays()) {
    if (output.rank() >= 3 && output.shape[0] < 1) {
      fail_model(network.path() + " returns nothing for an image: arrays of shape " +
                 shapes_text(outputs.arrays()));
    }
  }
  return outputs;
}

}  // namespace rtmpose::core
