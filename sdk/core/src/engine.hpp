// ONNX Runtime, loaded when it is first needed rather than linked: one build runs with any version
// from 1.16 on, CPU or GPU package.
#pragma once

// Words of Microsoft's compiler that the header uses on Windows and MinGW lacks.
#if defined(__MINGW32__)
#define _stdcall __stdcall
#define _Return_type_success_(expression)
#endif
#include <onnxruntime_c_api.h>

#include <memory>
#include <string>

namespace rtmpose::core {

struct Engine {
  const OrtApi* api = nullptr;
  OrtEnv* environment = nullptr;
  std::string version;
  bool limits_spinning = false;  // it can limit for how long waiting threads spin
};

// A pointer of the engine with the function that releases it.
template <typename T>
using Owned = std::unique_ptr<T, void(ORT_API_CALL*)(T*)>;

// The engine of this process; loads it in the first call. Throws Error.
const Engine& engine();

// The same from a named library. Throws Error where another one is loaded already.
void load_engine(const std::string& path);

// Empty before the engine is loaded.
const char* loaded_engine_version();

// The part for devices of another ONNX Runtime in this process, which would be taken for that of the
// loaded engine; empty where there is none.
std::string providers_of_another();

// Throws the text of a failed call, after the words of `what`; releases the status.
void check_engine(OrtStatus* status, const std::string& what, bool model_fault = false);

}  // namespace rtmpose::core
