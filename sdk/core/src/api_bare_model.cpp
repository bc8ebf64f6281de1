// The C interface: models whose networks are run elsewhere.
#include <algorithm>
#include <cmath>

#include "api_support.hpp"
#include "detector_stages.hpp"
#include "people.hpp"
#include "recognize.hpp"
#include "rtmpose_core.h"
#include "sdk_folder.hpp"

using namespace rtmpose::core;

struct rtmpose_bare_model {
  std::shared_ptr<ModelDescription> data;
  bool checked = false;
};

namespace {

constexpr std::int32_t kMostTensors = 64;
constexpr std::int32_t kMostAxes = 8;
constexpr std::int64_t kLargestAxis = std::int64_t{1} << 31;

// An input with all that leads back into the image.
struct BareInput : rtmpose_bare_input {
  std::shared_ptr<const ModelDescription> model;
  std::vector<float> memory;
  Placement placement;             // of whole images
  std::vector<PoseTask> tasks;     // of boxes; without their image
  std::vector<CropMap> maps;
};

// ---- tensors of the caller

Shape shape_of(const rtmpose_tensor& tensor, const std::string& name) {
  if (tensor.rank < 0 || tensor.rank > kMostAxes) {
    fail_argument(name + " has " + std::to_string(tensor.rank) + " dimensions");
  }
  if (tensor.rank > 0) check_given(tensor.shape, "a shape");
  Shape shape;
  for (std::int32_t i = 0; i < tensor.rank; ++i) {
    const std::int64_t side = tensor.shape[i];
    if (side > kLargestAxis) fail_argument(name + " has a side of " + std::to_string(side));
    shape.push_back(side < 0 ? -1 : side);
  }
  return shape;
}

Element element_of(std::int32_t element) {
  switch (element) {
    case RTMPOSE_FLOAT32: return Element::kFloat;
    case RTMPOSE_INT64: return Element::kInt64;
    case RTMPOSE_INT32: return Element::kInt32;
    default: return Element::kOther;
  }
}

void check_tensors(const rtmpose_tensor* tensors, std::int32_t count) {
  if (count < 1 || count > kMostTensors) {
    fail_argument("the number of outputs is " + std::to_string(count));
  }
  check_given(tensors, "outputs");
}

Arrays arrays_of(const rtmpose_tensor* tensors, std::int32_t count) {
  check_tensors(tensors, count);
  Arrays arrays;
  for (std::int32_t i = 0; i < count; ++i) {
    const std::string name = "output " + std::to_string(i);
    Array array;
    array.shape = shape_of(tensors[i], name);
    array.element = element_of(tensors[i].element);
    array.data = tensors[i].data;
    const bool open = std::count(array.shape.begin(), array.shape.end(), -1) > 0;
    if (open) fail_argument(name + " has the shape " + shape_text(array.shape));
    if (array.size() > 0) check_given(array.data, "the numbers of an output");
    arrays.push_back(std::move(array));
  }
  return arrays;
}

NetworkForm form_of(const char* path, const rtmpose_tensor& input, const rtmpose_tensor* outputs,
                    std::int32_t count) {
  NetworkForm form;
  form.path = path;

  // A name and 0 mean the same in declarations: any size.
  const auto declared = [](Shape shape) {
    std::replace(shape.begin(), shape.end(), std::int64_t{0}, std::int64_t{-1});
    return shape;
  };
  form.input = declared(shape_of(input, "the input"));
  const bool images = form.input.size() == 4 && (form.input[1] == 3 || form.input[1] == -1) &&
                      input.element == RTMPOSE_FLOAT32;
  if (!images) {
    fail_model(form.path + " does not take one batch (N, 3, H, W) of 32-bit floats, but " +
               shape_text(form.input));
  }
  check_tensors(outputs, count);
  for (std::int32_t i = 0; i < count; ++i) {
    form.output_names.emplace_back(outputs[i].name ? outputs[i].name : "");
    form.output_shapes.push_back(declared(shape_of(outputs[i], "output " + std::to_string(i))));
  }
  return form;
}

// ---- models and inputs

std::unique_ptr<rtmpose_bare_model> described_model(const NetworkForm& form, const Card& card) {
  auto made = std::make_unique<rtmpose_bare_model>();
  made->data = std::make_shared<ModelDescription>();
  describe(*made->data, form, card);
  return made;
}

const ModelDescription& usable(const rtmpose_bare_model* model) {
  check_given(model, "model");
  if (!model->checked) {
    fail_argument("the model was not checked: call rtmpose_bare_model_check first");
  }
  return *model->data;
}

std::unique_ptr<BareInput> new_input(const rtmpose_bare_model* model, std::size_t count,
                                     Size size) {
  auto input = std::make_unique<BareInput>();
  input->model = model->data;
  input->memory.resize(count * pixels_of(size));
  input->count = static_cast<std::int32_t>(count);
  input->height = size.height;
  input->width = size.width;
  input->pixels = input->memory.data();
  return input;
}

const BareInput& given_input(const rtmpose_bare_input* input) {
  check_given(input, "input");
  return *static_cast<const BareInput*>(input);
}

Poses given_poses(const ModelDescription& model, const rtmpose_box* boxes,
                  const float* box_scores, const float* keypoints, const float* scores,
                  std::int32_t count) {
  Poses poses;
  poses.keypoint_count = model.skeleton.size();
  const std::size_t k = poses.keypoint_count;
  std::vector<Point> points(k);
  for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
    for (std::size_t j = 0; j < k; ++j) {
      points[j] = {keypoints[2 * (i * k + j)], keypoints[2 * (i * k + j) + 1]};
    }
    poses.add(boxes[i], box_scores[i], points.data(), scores + i * k);
  }
  return poses;
}

}  // namespace

// ---- models

rtmpose_status rtmpose_bare_model_create(const char* path, const char* card, const char* layers,
                                         const rtmpose_tensor* input,
                                         const rtmpose_tensor* outputs, std::int32_t output_count,
                                         rtmpose_bare_model** model) {
  return guarded([&] {
    check_given(model, "model");
    *model = nullptr;
    check_given(path, "path");
    check_given(input, "input");
    const NetworkForm form = form_of(path, *input, outputs, output_count);
    const std::string names = layers ? layers : "";
    const auto contains = [&names](const std::string& text) {
      return names.find(text) != std::string::npos;
    };
    const Card said = card ? card_from_json(card, path) : recognized_card(form, contains);
    *model = described_model(form, said).release();
  });
}

rtmpose_status rtmpose_bare_model_create_from_folder(
    const char* folder, const char* deploy, const char* pipeline, const rtmpose_tensor* input,
    const rtmpose_tensor* outputs, std::int32_t output_count, rtmpose_bare_model** model) {
  return guarded([&] {
    check_given(model, "model");
    *model = nullptr;
    check_given(folder, "folder");
    check_given(deploy, "deploy");
    check_given(pipeline, "pipeline");
    check_given(input, "input");
    const Card card = sdk_card(SdkTexts{folder, deploy, pipeline});
    *model = described_model(form_of(folder, *input, outputs, output_count), card).release();
  });
}

std::int32_t rtmpose_bare_model_batch(const rtmpose_bare_model* model) {
  return model ? model->data->form.fixed_batch() : 0;
}

rtmpose_status rtmpose_bare_model_check(rtmpose_bare_model* model, const rtmpose_tensor* outputs,
                                        std::int32_t output_count) {
  return guarded([&] {
    check_given(model, "model");
    if (model->checked) fail_argument("the model was checked already");
    check_outputs(*model->data, arrays_of(outputs, output_count));
    model->checked = true;
  });
}

rtmpose_status rtmpose_bare_model_get_info(const rtmpose_bare_model* model,
                                           rtmpose_model_info* info) {
  return guarded([&] {
    check_given(model, "model");
    give_info(*model->data, info);
  });
}

void rtmpose_bare_model_close(rtmpose_bare_model* model) { delete model; }

// ---- inputs

rtmpose_status rtmpose_bare_input_of_image(const rtmpose_bare_model* model,
                                           const rtmpose_image* image,
                                           const rtmpose_bare_input** input) {
  return guarded([&] {
    check_given(input, "input");
    *input = nullptr;
    const ModelDescription& data = usable(model);
    const ImageView view = image_view(image);
    if (data.kind == RTMPOSE_KIND_POSE) {
      fail_model(data.path() + " looks at people in boxes, not at whole images");
    }
    const bool detects = data.kind == RTMPOSE_KIND_DETECTOR;
    const Size size = detects ? detector_input(data, view.size()) : data.card.input;
    const std::size_t batch = batch_for(data, 1);
    auto made = new_input(model, batch, size);
    float* pixels = made->memory.data();
    made->placement = detects ? fill_detector_input(data, view, size, pixels)
                              : fill_one_stage_input(data, view, pixels);
    for (std::size_t i = 1; i < batch; ++i) {
      std::copy_n(pixels, pixels_of(size), pixels + i * pixels_of(size));
    }
    *input = made.release();
  });
}

rtmpose_status rtmpose_bare_input_of_boxes(const rtmpose_bare_model* model,
                                           const rtmpose_image* image, const rtmpose_box* boxes,
                                           const float* box_scores, std::int32_t box_count,
                                           const rtmpose_bare_input** input) {
  return guarded([&] {
    check_given(input, "input");
    *input = nullptr;
    const ModelDescription& data = usable(model);
    const ImageView view = image_view(image);
    if (data.kind != RTMPOSE_KIND_POSE) {
      fail_model(data.path() + " looks at whole images, not at people in boxes");
    }
    std::vector<PoseTask> tasks = tasks_of(view, boxes, box_scores, box_count);
    const std::size_t most = most_per_call(data);
    if (tasks.empty() || tasks.size() > most) {
      fail_argument("the number of boxes is " + std::to_string(tasks.size()) + ", not in 1.." +
                    std::to_string(most));
    }
    const std::size_t batch = batch_for(data, tasks.size());
    auto made = new_input(model, batch, data.card.input);
    made->maps = fill_crops(data, tasks.data(), tasks.size(), batch, made->memory.data());

    // The image is the caller's, and only there during this call.
    for (PoseTask& task : tasks) task.image = nullptr;
    made->tasks = std::move(tasks);
    *input = made.release();
  });
}

void rtmpose_bare_input_release(const rtmpose_bare_input* input) {
  delete static_cast<const BareInput*>(input);
}

// ---- outputs

rtmpose_status rtmpose_bare_detections(const rtmpose_bare_input* input,
                                       const rtmpose_tensor* outputs, std::int32_t output_count,
                                       const rtmpose_detect_params* params,
                                       const rtmpose_detections** detections) {
  return guarded([&] {
    check_given(detections, "detections");
    *detections = nullptr;
    const BareInput& given = given_input(input);
    const rtmpose_detect_params settings = checked_detect_params(params);
    const ModelDescription& model = *given.model;
    if (model.kind != RTMPOSE_KIND_DETECTOR) {
      fail_model(model.path() + " is not a detector: it finds keypoints");
    }
    const Arrays arrays = arrays_of(outputs, output_count);
    check_first_rows(model, arrays);
    *detections = new DetectionsResult(detections_in_image(
        model, arrays, {given.width, given.height}, given.placement, settings.box_thr,
        settings.label, settings.max_people));
  });
}

rtmpose_status rtmpose_bare_poses(const rtmpose_bare_input* input, const rtmpose_tensor* outputs,
                                  std::int32_t output_count, float box_thr,
                                  const rtmpose_poses** poses) {
  return guarded([&] {
    check_given(poses, "poses");
    *poses = nullptr;
    const BareInput& given = given_input(input);
    const ModelDescription& model = *given.model;
    if (model.kind == RTMPOSE_KIND_DETECTOR) {
      fail_model(model.path() + " is a detector, not a pose model");
    }
    const Arrays arrays = arrays_of(outputs, output_count);
    check_first_rows(model, arrays);
    Poses found;
    found.keypoint_count = model.skeleton.size();
    if (model.kind == RTMPOSE_KIND_ONE_STAGE) {
      found = people_in_image(model, arrays, given.placement, person_box_thr(box_thr));
    } else {
      add_poses(model, arrays, given.tasks.data(), given.maps, found);
    }
    *poses = new PosesResult(std::move(found), {}, false, {given.model, &model.skeleton});
  });
}

rtmpose_status rtmpose_bare_people(const rtmpose_bare_model* model, const rtmpose_box* boxes,
                                   const float* box_scores, const float* keypoints,
                                   const float* scores, std::int32_t count, float person_thr,
                                   const rtmpose_poses** people) {
  return guarded([&] {
    check_given(people, "people");
    *people = nullptr;
    const ModelDescription& data = usable(model);
    if (std::isnan(person_thr)) fail_argument("person_thr is not a number");
    if (count < 0) fail_argument("the number of people is " + std::to_string(count));
    if (count > 0) {
      check_given(boxes, "boxes");
      check_given(box_scores, "box_scores");
      check_given(keypoints, "keypoints");
      check_given(scores, "scores");
    }
    const Poses found = given_poses(data, boxes, box_scores, keypoints, scores, count);
    const Rows rows = people_rows(found, data.skeleton, person_thr_for(data.skeleton, person_thr));
    *people = new PosesResult(found.select(rows), {}, false, {model->data, &data.skeleton});
  });
}
