// One ONNX file, opened: its inputs and outputs, its texts, and running it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine.hpp"

namespace rtmpose::core {

using Shape = std::vector<std::int64_t>;

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

// One computed output; the memory is the engine's, valid as long as this is.
class Tensor {
 public:
  explicit Tensor(OrtValue* value);

  const Shape& shape() const { return shape_; }
  std::size_t rank() const { return shape_.size(); }
  std::size_t size() const { return size_; }
  bool is_float() const { return type_ == ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT; }
  bool is_integer() const;

  // Throws Error where the numbers are of another type.
  const float* floats() const;

  // One entry of an integer output.
  std::int64_t integer(std::size_t index) const;

 private:
  struct Release {
    void operator()(OrtValue* value) const;
  };
  std::unique_ptr<OrtValue, Release> value_;
  Shape shape_;
  std::size_t size_ = 0;
  ONNXTensorElementDataType type_ = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
  void* data_ = nullptr;
};

using Tensors = std::vector<Tensor>;

std::string shape_text(const Shape& shape);
std::string shapes_text(const Tensors& tensors);

// May be run by several threads at the same time.
class Network {
 public:
  // Throws Error: the file cannot be opened, or takes anything but one image batch.
  Network(const std::string& path, const EngineOptions& options);
  ~Network();
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;

  const std::string& path() const { return path_; }

  // (N, 3, H, W), 32-bit floats.
  const TensorSpec& input() const { return input_; }
  const std::vector<TensorSpec>& outputs() const { return outputs_; }

  // A text from the file; empty where there is none of that key.
  std::string metadata(const std::string& key) const;

  // Pixels (n, 3, height, width) to outputs.
  Tensors run(const float* pixels, int n, int height, int width) const;

 private:
  TensorSpec spec_of(bool input, std::size_t index) const;

  std::string path_;
  OrtSession* session_ = nullptr;
  OrtMemoryInfo* memory_ = nullptr;
  TensorSpec input_;
  std::vector<TensorSpec> outputs_;
};

}  // namespace rtmpose::core
