// libFuzzer: bytes of anybody as a model's file, as far as it is read before the engine.
#include <sstream>

#include "onnx_file.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::istringstream content(std::string(reinterpret_cast<const char*>(data), size));
  rtmpose::core::onnx_flaw(content, size);
  return 0;
}
