// libFuzzer: bytes of anybody as a model's file, as far as it is read before the engine.
#include <sstream>

#include "onnx_file.hpp"
#include "types.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::istringstream content(std::string(reinterpret_cast<const char*>(data), size));
  rtmpose::core::onnx_flaw(content, size);
  try {
    rtmpose::core::check_onnx_bytes({data, size}, "bytes");
  } catch (const rtmpose::core::Error&) {
    // What is wrong has a text.
  }
  return 0;
}
