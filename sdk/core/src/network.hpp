// One ONNX file, opened: its inputs and outputs, its texts, and running it.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "array.hpp"
#include "engine.hpp"
#include "network_form.hpp"
#include "onnx_file.hpp"
#include "types.hpp"

namespace rtmpose::core {

struct EngineOptions {
  int threads = 0;
  std::string device = "cpu";
  bool allow_spinning = false;
};

// A declared input or output; -1 marks a dimension that may vary.
struct TensorSpec {
  std::string name;
  Shape shape;
  ONNXTensorElementDataType type = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
};

// Computed outputs; the memory is the engine's, valid as long as this is.
class Outputs {
 public:
  explicit Outputs(const std::vector<OrtValue*>& values);

  const Arrays& arrays() const { return arrays_; }

 private:
  struct Release {
    void operator()(OrtValue* value) const;
  };
  std::vector<std::unique_ptr<OrtValue, Release>> values_;
  Arrays arrays_;
};

// May be run by several threads at the same time.
class Network {
 public:
  // Throws Error: the file cannot be opened, or takes anything but one image batch.
  Network(const std::string& path, const EngineOptions& options);

  // The same from memory, which is needed during this call only. name: for errors.
  Network(const std::string& name, const ModelBytes& bytes, const EngineOptions& options);
  ~Network();
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;

  const std::string& path() const { return path_; }

  // Where it runs, and why not on the device that "auto" would rather have.
  const std::string& device() const { return device_; }
  const std::string& device_note() const { return device_note_; }

  // What the file declares; the input is (N, 3, H, W), 32-bit floats.
  NetworkForm form() const;

  // A text from the file; empty where there is none of that key.
  std::string metadata(const std::string& key) const;

  // Pixels (n, 3, height, width) to outputs.
  Outputs run(const float* pixels, int n, Size size) const;

 private:
  // Opens it on the first device that works. create: makes the session.
  using Create = std::function<OrtStatus*(const OrtSessionOptions*)>;
  void open(const EngineOptions& options, const Create& create);

  // Takes what opening it returned, and what the network declares.
  void finish(OrtStatus* opened);
  TensorSpec spec_of(bool input, std::size_t index) const;

  std::string path_;
  std::string device_;
  std::string device_note_;
  bool serial_ = false;       // one call at a time
  mutable std::mutex calls_;
  OrtSession* session_ = nullptr;
  OrtMemoryInfo* memory_ = nullptr;
  TensorSpec input_;
  std::vector<TensorSpec> outputs_;
};

}  // namespace rtmpose::core
