// Where a network runs: the processor, or one of ONNX Runtime's execution providers.
#pragma once

#include <string>
#include <vector>

#include "engine.hpp"

namespace rtmpose::core {

// What names are allowed, for errors and help.
constexpr const char* kDeviceNames =
    "auto, cpu, openvino, openvino:gpu, openvino:npu, cuda, cuda:1, tensorrt, tensorrt:1, dml, dml:1 or"
    " coreml";

// The devices to try for a name, one after the other.
struct DeviceChoice {
  std::vector<std::string> names;
  std::string note;  // why the best one is not among them; empty where it is
};

// For "auto" OpenVINO, where the loaded engine has it and the processor is one that it is made for,
// then the CPU; else the name itself.
DeviceChoice devices_for(const std::string& name);

// Asks for a device by its name; an empty one is the CPU. Throws Error: the name is unknown, or the
// loaded engine was built without what it needs.
void use_device(const std::string& name, int threads, OrtSessionOptions* options);

// Whether the device allows one call of a network at a time only.
bool is_serial(const std::string& name);

}  // namespace rtmpose::core
