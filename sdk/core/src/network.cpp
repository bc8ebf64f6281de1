#include "network.hpp"

#include <filesystem>

#include "device.hpp"
#include "onnx_file.hpp"
#include "types.hpp"

namespace rtmpose::core {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSpinMicroseconds = "20";

// How threads wait that have nothing to do: by sleeping, or for a short time awake.
void set_spinning(bool long_and_always, OrtSessionOptions* options) {
  const auto set = [options](const char* key, const char* value) {
    check_engine(engine().api->AddSessionConfigEntry(options, key, value), "spinning");
  };
  const bool brief = !long_and_always && engine().limits_spinning;
  set("session.intra_op.allow_spinning", long_and_always || brief ? "1" : "0");
  if (!brief) return;

  // From one operation to the next it is faster than to sleep. Longer, and between calls, threads
  // would take the cores from the other network and from other programs.
  set("session.intra_op.spin_duration_us", kSpinMicroseconds);
  set("session.force_spinning_stop", "1");
}

Owned<OrtSessionOptions> session_options(const EngineOptions& options) {
  const OrtApi* api = engine().api;
  OrtSessionOptions* raw = nullptr;
  check_engine(api->CreateSessionOptions(&raw), "session options");
  Owned<OrtSessionOptions> settings(raw, api->ReleaseSessionOptions);
  check_engine(api->SetIntraOpNumThreads(raw, options.threads), "threads");
  check_engine(api->SetInterOpNumThreads(raw, 1), "threads");
  set_spinning(options.allow_spinning, raw);
  use_device(options.device, options.threads, raw);
  return settings;
}

Element element_of(ONNXTensorElementDataType type) {
  switch (type) {
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT: return Element::kFloat;
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64: return Element::kInt64;
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32: return Element::kInt32;
    default: return Element::kOther;
  }
}

TensorSpec spec_from(const OrtTypeInfo* info, const std::string& name) {
  const OrtApi* api = engine().api;
  TensorSpec spec;
  spec.name = name;
  const OrtTensorTypeAndShapeInfo* tensor = nullptr;
  check_engine(api->CastTypeInfoToTensorInfo(info, &tensor), name);
  if (!tensor) return spec;  // a sequence or a map
  check_engine(api->GetTensorElementType(tensor, &spec.type), name);
  std::size_t rank = 0;
  check_engine(api->GetDimensionsCount(tensor, &rank), name);
  spec.shape.resize(rank);
  check_engine(api->GetDimensions(tensor, spec.shape.data(), rank), name);

  // A name and 0 mean the same: any size.
  for (std::int64_t& side : spec.shape) {
    if (side <= 0) side = -1;
  }
  return spec;
}

// What to do about a file that the engine does not open. Its own text names versions of formats and
// operators, not that of the library.
std::string why_not_opened(const std::string& path, OrtStatus* status) {
  const std::string text = engine().api->GetErrorMessage(status);
  const auto says = [&text](const char* words) { return text.find(words) != std::string::npos; };
  if (says("IR version") || says("opset ") || says("No Op registered") ||
      says("Could not find an implementation")) {
    return path + " needs a newer ONNX Runtime than " + engine().version +
           ", which is loaded, or a lower --opset when it is exported";
  }
  return path + " could not be opened as an ONNX model (it may be damaged)";
}

}  // namespace

// ---- outputs

void Outputs::Release::operator()(OrtValue* value) const { engine().api->ReleaseValue(value); }

Outputs::Outputs(const std::vector<OrtValue*>& values) {
  const OrtApi* api = engine().api;

  // Every value gets its owner before anything may throw.
  values_.reserve(values.size());
  for (OrtValue* value : values) values_.emplace_back(value);
  for (OrtValue* value : values) {
    OrtTensorTypeAndShapeInfo* raw = nullptr;
    check_engine(api->GetTensorTypeAndShape(value, &raw), "an output");
    const Owned<OrtTensorTypeAndShapeInfo> info(raw, api->ReleaseTensorTypeAndShapeInfo);
    ONNXTensorElementDataType type = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
    std::size_t rank = 0;
    Array array;
    void* data = nullptr;
    check_engine(api->GetTensorElementType(raw, &type), "an output");
    check_engine(api->GetDimensionsCount(raw, &rank), "an output");
    array.shape.resize(rank);
    check_engine(api->GetDimensions(raw, array.shape.data(), rank), "an output");
    check_engine(api->GetTensorMutableData(value, &data), "an output");
    array.element = element_of(type);
    array.data = data;
    arrays_.push_back(array);
  }
}

// ---- networks

Network::Network(const std::string& path, const EngineOptions& options) : path_(path) {
  check_onnx_file(path);
  const fs::path file = fs::u8path(path);
  open(options, [this, &file](const OrtSessionOptions* settings) {
    return engine().api->CreateSession(engine().environment, file.c_str(), settings, &session_);
  });
}

Network::Network(const std::string& name, const ModelBytes& bytes, const EngineOptions& options)
    : path_(name) {
  check_onnx_bytes(bytes, name);
  open(options, [this, &bytes](const OrtSessionOptions* settings) {
    return engine().api->CreateSessionFromArray(engine().environment, bytes.data, bytes.size,
                                                settings, &session_);
  });
}

void Network::open(const EngineOptions& options, const Create& create) {
  const DeviceChoice choice = devices_for(options.device);
  device_note_ = choice.note;
  for (const std::string& device : choice.names) {
    EngineOptions chosen = options;
    chosen.device = device;
    try {
      const Owned<OrtSessionOptions> settings = session_options(chosen);
      finish(create(settings.get()));
      device_ = device;
      serial_ = is_serial(device);
      return;
    } catch (const Error& error) {
      // The last one says what is wrong.
      if (device == choice.names.back()) throw;
      device_note_ = error.what();
    }
  }
}

void Network::finish(OrtStatus* opened) {
  const OrtApi* api = engine().api;
  const std::string& path = path_;
  if (opened) check_engine(opened, why_not_opened(path, opened), true);
  try {
    check_engine(api->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &memory_), path);
    std::size_t inputs = 0;
    std::size_t count = 0;
    check_engine(api->SessionGetInputCount(session_, &inputs), path);
    check_engine(api->SessionGetOutputCount(session_, &count), path);
    if (inputs == 1) input_ = spec_of(true, 0);
    const bool images = input_.shape.size() == 4 &&
                        (input_.shape[1] == 3 || input_.shape[1] == -1) &&
                        input_.type == ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT;
    if (inputs != 1 || !images) {
      fail_model(path + " does not take one batch (N, 3, H, W) of 32-bit floats: it has " +
                 std::to_string(inputs) + " inputs, the first of shape " +
                 shape_text(input_.shape));
    }
    for (std::size_t i = 0; i < count; ++i) outputs_.push_back(spec_of(false, i));
  } catch (...) {
    // Another device may be tried.
    if (memory_) api->ReleaseMemoryInfo(memory_);
    api->ReleaseSession(session_);
    memory_ = nullptr;
    session_ = nullptr;
    outputs_.clear();
    throw;
  }
}

Network::~Network() {
  const OrtApi* api = engine().api;
  api->ReleaseMemoryInfo(memory_);
  api->ReleaseSession(session_);
}

TensorSpec Network::spec_of(bool input, std::size_t index) const {
  const OrtApi* api = engine().api;
  OrtAllocator* allocator = nullptr;
  check_engine(api->GetAllocatorWithDefaultOptions(&allocator), path_);
  char* raw_name = nullptr;
  check_engine(input ? api->SessionGetInputName(session_, index, allocator, &raw_name)
                     : api->SessionGetOutputName(session_, index, allocator, &raw_name),
               path_);
  const std::string name = raw_name;
  allocator->Free(allocator, raw_name);
  OrtTypeInfo* raw = nullptr;
  check_engine(input ? api->SessionGetInputTypeInfo(session_, index, &raw)
                     : api->SessionGetOutputTypeInfo(session_, index, &raw),
               path_);
  const Owned<OrtTypeInfo> info(raw, api->ReleaseTypeInfo);
  return spec_from(raw, name);
}

std::string Network::metadata(const std::string& key) const {
  const OrtApi* api = engine().api;
  OrtModelMetadata* raw = nullptr;
  check_engine(api->SessionGetModelMetadata(session_, &raw), path_);
  const Owned<OrtModelMetadata> texts(raw, api->ReleaseModelMetadata);
  OrtAllocator* allocator = nullptr;
  check_engine(api->GetAllocatorWithDefaultOptions(&allocator), path_);
  char* value = nullptr;
  check_engine(api->ModelMetadataLookupCustomMetadataMap(raw, allocator, key.c_str(), &value),
               path_);
  if (!value) return {};
  const std::string text = value;
  allocator->Free(allocator, value);
  return text;
}

NetworkForm Network::form() const {
  NetworkForm form;
  form.path = path_;
  form.input = input_.shape;
  for (const TensorSpec& output : outputs_) {
    form.output_names.push_back(output.name);
    form.output_shapes.push_back(output.shape);
  }
  return form;
}

Outputs Network::run(const float* pixels, int n, Size size) const {
  const OrtApi* api = engine().api;
  const std::int64_t shape[4] = {n, 3, size.height, size.width};
  const std::size_t bytes = sizeof(float) * 3 * static_cast<std::size_t>(n) *
                            static_cast<std::size_t>(size.height) *
                            static_cast<std::size_t>(size.width);
  OrtValue* raw = nullptr;

  // The engine only reads it, although its interface has no const.
  check_engine(api->CreateTensorWithDataAsOrtValue(memory_, const_cast<float*>(pixels), bytes,
                                                   shape, 4, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT,
                                                   &raw),
               path_);
  const Owned<OrtValue> batch(raw, api->ReleaseValue);
  const char* in = input_.name.c_str();
  std::vector<const char*> names;
  for (const TensorSpec& output : outputs_) names.push_back(output.name.c_str());
  std::vector<OrtValue*> values(names.size(), nullptr);
  const OrtValue* feed = raw;
  std::unique_lock<std::mutex> alone(calls_, std::defer_lock);
  if (serial_) alone.lock();
  check_engine(
      api->Run(session_, nullptr, &in, &feed, 1, names.data(), names.size(), values.data()),
      path_ + " failed on a batch of shape " +
          shape_text(Shape(std::begin(shape), std::end(shape))));
  return Outputs(values);
}

}  // namespace rtmpose::core
