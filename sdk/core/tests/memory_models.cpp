// Models from the bytes of their files: the same results, and errors in place of other files.
#include <cstring>
#include <fstream>
#include <iterator>

#include "check.hpp"

namespace {

constexpr int kSide = 128;

const std::string kDetector = std::string(RTMPOSE_MODELS) + "/rtmdet-nano_finetuned_320x320.onnx";
const std::string kPose =
    std::string(RTMPOSE_MODELS) + "/rtmpose-s-pruned_finetuned-halpe26_192x144.onnx";

using Bytes = std::vector<std::uint8_t>;

Bytes bytes_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return Bytes(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
}

std::vector<std::uint8_t> pattern() {
  std::vector<std::uint8_t> pixels(3 * kSide * kSide);
  for (std::size_t i = 0; i < pixels.size(); ++i) {
    pixels[i] = static_cast<std::uint8_t>(i * 7 % 251);
  }
  return pixels;
}

void same_results() {
  Bytes bytes = bytes_of(kPose);
  rtmpose_options options;
  rtmpose_options_init(&options, sizeof(options));
  options.threads = 1;
  const rtmpose::Model from_memory = rtmpose::Model::from_memory(bytes, &options);

  // The bytes belong to the caller, who may write over them.
  std::memset(bytes.data(), 0, bytes.size());
  bytes = Bytes();
  const rtmpose::Model from_file(kPose, 1);
  checks::that(from_memory.info().keypoints == 26, "the card is read from memory");
  checks::that(std::string(from_memory.info().id) == from_file.info().id, "the id is the card's");

  const std::vector<std::uint8_t> pixels = pattern();
  const rtmpose::Image image(pixels.data(), kSide, kSide);
  const rtmpose::Poses one = rtmpose::PoseDetector(from_memory).apply(image, {{10, 10, 60, 110}});
  const rtmpose::Poses other = rtmpose::PoseDetector(from_file).apply(image, {{10, 10, 60, 110}});
  const rtmpose::Span<float> points = one[0].keypoints();
  checks::that(std::equal(points.begin(), points.end(), other[0].keypoints().begin()),
               "the same keypoints as by the file");
  rtmpose::PoseTracker(rtmpose::Model::from_memory(bytes_of(kDetector)), from_memory);
}

void fails(const Bytes& bytes, const char* name, const std::string& words, const char* what) {
  rtmpose_model* model = nullptr;
  checks::fails(rtmpose_model_open_memory(bytes.data(), bytes.size(), name, nullptr, &model),
                RTMPOSE_ERROR_MODEL, words, what);
  checks::that(model == nullptr, std::string(what) + " leaves no model");
}

void wrong_bytes() {
  const Bytes whole = bytes_of(kPose);
  const char* const damaged = "the model in memory could not be opened as an ONNX model";
  fails(Bytes(whole.begin(), whole.begin() + 100000), nullptr, damaged, "the first part of a file");
  fails(Bytes(whole.begin(), whole.end() - 1), nullptr, "not a whole ONNX file",
        "all but one byte");
  fails(Bytes(whole.begin() + 1, whole.end()), nullptr, damaged, "all but the first byte");
  fails(Bytes(5000, 0), nullptr, "not an ONNX file", "zeros");
  fails(Bytes(5000, 0xff), "", "the model in memory", "ones");
  const std::string text = "<?xml version=\"1.0\"?><net name=\"Model0\"/>";
  fails(Bytes(text.begin(), text.end()), "the asset pose.xml", "the asset pose.xml could not be",
        "a file of another kind");
}

void wrong_arguments() {
  const Bytes whole = bytes_of(kPose);
  rtmpose_model* model = nullptr;
  checks::fails(rtmpose_model_open_memory(whole.data(), 0, nullptr, nullptr, &model),
                RTMPOSE_ERROR_MODEL, "0 bytes", "no bytes");
  checks::fails(rtmpose_model_open_memory(nullptr, 100, nullptr, nullptr, &model),
                RTMPOSE_ERROR_ARGUMENT, "data is NULL", "nowhere to read from");
  checks::fails(rtmpose_model_open_memory(whole.data(), whole.size(), nullptr, nullptr, nullptr),
                RTMPOSE_ERROR_ARGUMENT, "model is NULL", "nowhere to put the model");
}

// A message of protobuf around a shorter one.
Bytes wrapped(std::uint8_t field, const Bytes& inner) {
  const std::uint8_t tag = static_cast<std::uint8_t>(field << 3 | 2);
  Bytes outer = {tag, static_cast<std::uint8_t>(inner.size())};
  for (const std::uint8_t byte : inner) outer.push_back(byte);
  return outer;
}

// Weights in another file, wherever a network may have them.
void weights_elsewhere() {
  const Bytes outside = {14 << 3, 1};          // TensorProto.data_location = EXTERNAL
  const Bytes named = wrapped(13, Bytes());    // TensorProto.external_data
  const Bytes constant = wrapped(1, wrapped(5, wrapped(5, outside)));
  const Bytes branch = wrapped(1, wrapped(5, wrapped(6, wrapped(5, named))));
  for (const Bytes& graph : {wrapped(5, outside), wrapped(5, named), constant, branch}) {
    // What is written twice counts as one: the network and these weights.
    Bytes bytes = bytes_of(kPose);
    const Bytes addition = wrapped(7, graph);
    bytes.insert(bytes.end(), addition.begin(), addition.end());
    fails(bytes, "pose.onnx", "pose.onnx keeps weights in another file", "weights elsewhere");
  }
}

}  // namespace

int main() {
  try {
    same_results();
    wrong_bytes();
    wrong_arguments();
    weights_elsewhere();
  } catch (const rtmpose::Error& error) {
    checks::that(false, error.what());
  }
  return checks::result();
}
