// Where a network runs: the processor, or one of ONNX Runtime's execution providers.
#pragma once

#include <string>

#include "engine.hpp"

namespace rtmpose::core {

// What names are allowed, for errors and help.
constexpr const char* kDeviceNames =
    "cpu, openvino, openvino:gpu, openvino:npu, cuda, cuda:1, tensorrt, tensorrt:1, dml, dml:1 or"
    " coreml";

// Asks for a device by its name; an empty one is the CPU. Throws Error: the name is unknown, or the
// loaded engine was built without what it needs.
void use_device(const std::string& name, int threads, OrtSessionOptions* options);

// Whether the device allows one call of a network at a time only.
bool is_serial(const std::string& name);

}  // namespace rtmpose::core
