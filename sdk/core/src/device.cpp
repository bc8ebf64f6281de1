#include "device.hpp"

#include <algorithm>
#include <utility>

#include "types.hpp"

namespace rtmpose::core {
namespace {

using Settings = std::vector<std::pair<const char*, std::string>>;

// A kind of device, and the engine's provider for it.
struct Kind {
  const char* name;
  const char* provider;  // as the engine lists it
  const char* source;    // what has an engine with it
};

constexpr Kind kKinds[] = {  // OpenVINO is the first
    {"openvino", "OpenVINOExecutionProvider", "the Python package onnxruntime-openvino"},
    {"cuda", "CUDAExecutionProvider", "the Python package onnxruntime-gpu"},
    {"tensorrt", "TensorrtExecutionProvider", "the Python package onnxruntime-gpu"},
    {"dml", "DmlExecutionProvider", "the Python package onnxruntime-directml for Windows"},
    {"coreml", "CoreMLExecutionProvider", "the Python package onnxruntime for macOS"},
};

// A name such as cuda:1.
struct Device {
  const Kind* kind;
  std::string part;  // after the colon; empty without one
};

bool is_number(const std::string& text) {
  return !text.empty() && text.size() < 4 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

Device parsed(const std::string& name) {
  const std::size_t colon = name.find(':');
  Device device{nullptr, colon == std::string::npos ? "" : name.substr(colon + 1)};
  for (const Kind& kind : kKinds) {
    if (name.substr(0, colon) == kind.name) device.kind = &kind;
  }
  bool valid = device.kind != nullptr;
  if (valid && colon != std::string::npos) {
    const std::string kind = device.kind->name;
    const bool named = device.part == "cpu" || device.part == "gpu" || device.part == "npu";
    valid = kind == "openvino" ? named : kind != "coreml" && is_number(device.part);
  }
  if (!valid) {
    fail_argument("the device must be " + std::string(kDeviceNames) + ", not " + name);
  }
  return device;
}

std::vector<std::string> offered_providers() {
  const OrtApi* api = engine().api;
  char** names = nullptr;
  int count = 0;
  check_engine(api->GetAvailableProviders(&names, &count), "the engine's providers");
  const std::vector<std::string> offered(names, names + count);
  check_engine(api->ReleaseAvailableProviders(names, count), "the engine's providers");
  return offered;
}

bool is_offered(const Kind& kind) {
  const std::vector<std::string> offered = offered_providers();
  return std::find(offered.begin(), offered.end(), kind.provider) != offered.end();
}

// Throws where the engine was built without the provider.
void check_offered(const std::string& name, const Kind& kind) {
  if (is_offered(kind)) {
    const std::string other = providers_of_another();
    if (other.empty()) return;
    fail_engine("device " + name + " was asked for, but the process has loaded " + other +
                " of another ONNX Runtime: give both the same one, or run them in two processes");
  }
  std::string text;
  for (const std::string& provider : offered_providers()) {
    text += (text.empty() ? "" : ", ") + provider;
  }
  fail_engine("device " + name + " was asked for, but the loaded ONNX Runtime " +
              engine().version + " offers only " + text + "; " + kind.source + " has " +
              kind.provider + ": name its library in RTMPOSE_ONNXRUNTIME");
}

// What the user reads where the provider is there, but not the libraries or drivers that it needs.
std::string refusal(const std::string& name) {
  return "device " + name + " was asked for, but ONNX Runtime could not prepare it";
}

void append(const std::string& name, const char* provider, const Settings& settings,
            OrtSessionOptions* options) {
  std::vector<const char*> keys;
  std::vector<const char*> values;
  for (const auto& [key, value] : settings) {
    keys.push_back(key);
    values.push_back(value.c_str());
  }
  check_engine(engine().api->SessionOptionsAppendExecutionProvider(
                   options, provider, keys.data(), values.data(), keys.size()),
               refusal(name));
}

void use_openvino(const std::string& name, const std::string& part, int threads,
                  OrtSessionOptions* options) {
  Settings settings;
  settings.emplace_back("device_type", part == "gpu" ? "GPU" : part == "npu" ? "NPU" : "CPU");
  if (threads > 0) settings.emplace_back("num_of_threads", std::to_string(threads));

  // Processors with 16-bit arithmetic would use it, and lose accuracy.
  if (part != "npu") settings.emplace_back("precision", "FP32");
  append(name, "OpenVINO", settings, options);
}

void use_cuda(const std::string& name, const std::string& number, OrtSessionOptions* options) {
  OrtCUDAProviderOptions cuda{};
  cuda.device_id = std::stoi(number);
  check_engine(engine().api->SessionOptionsAppendExecutionProvider_CUDA(options, &cuda),
               refusal(name));
}

void use_tensorrt(const std::string& name, const std::string& number, OrtSessionOptions* options) {
  const OrtApi* api = engine().api;
  OrtTensorRTProviderOptionsV2* raw = nullptr;
  check_engine(api->CreateTensorRTProviderOptions(&raw), refusal(name));
  const Owned<OrtTensorRTProviderOptionsV2> settings(raw, api->ReleaseTensorRTProviderOptions);
  const char* key = "device_id";
  const char* value = number.c_str();
  check_engine(api->UpdateTensorRTProviderOptions(raw, &key, &value, 1), refusal(name));
  check_engine(api->SessionOptionsAppendExecutionProvider_TensorRT_V2(options, raw),
               refusal(name));

  // It leaves what it cannot build to CUDA.
  use_cuda(name, number, options);
}

// What OpenVINO's CPU plugin was measured to be faster on.
constexpr bool kIsX86 =
#if defined(__x86_64__) || defined(_M_X64)
    true;
#else
    false;
#endif

}  // namespace

DeviceChoice devices_for(const std::string& name) {
  if (name != "auto") return {{name.empty() ? "cpu" : name}, ""};
  if (!kIsX86) return {{"cpu"}, ""};
  const Kind& openvino = kKinds[0];
  if (is_offered(openvino)) return {{openvino.name, "cpu"}, ""};
  return {{"cpu"}, "the loaded ONNX Runtime " + engine().version + " was built without OpenVINO; " +
                       openvino.source + " has it"};
}

void use_device(const std::string& name, int threads, OrtSessionOptions* options) {
  if (name.empty() || name == "cpu") return;
  const Device device = parsed(name);
  check_offered(name, *device.kind);
  const std::string kind = device.kind->name;
  const std::string number = device.part.empty() ? "0" : device.part;
  if (kind == "openvino") use_openvino(name, device.part, threads, options);
  if (kind == "cuda") use_cuda(name, number, options);
  if (kind == "tensorrt") use_tensorrt(name, number, options);
  if (kind == "coreml") append(name, "CoreML", {}, options);
  if (kind == "dml") {
    // It works without plans of the memory only.
    check_engine(engine().api->DisableMemPattern(options), refusal(name));
    append(name, "DML", {{"device_id", number}}, options);
  }
}

bool is_serial(const std::string& name) { return name.substr(0, name.find(':')) == "dml"; }

}  // namespace rtmpose::core
