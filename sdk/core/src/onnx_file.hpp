// Whether a file or bytes are a whole ONNX model, before the engine sees them.
#pragma once

#include <cstdint>
#include <istream>
#include <string>

namespace rtmpose::core {

// The content of an .onnx file in somebody else's memory.
struct ModelBytes {
  const void* data = nullptr;
  std::size_t size = 0;
};

// What keeps `size` bytes from being an ONNX file, in words; empty where nothing does. Only the
// outermost fields are looked at: a file that was cut short, or is something else, shows there.
std::string onnx_flaw(std::istream& content, std::uint64_t size);

// Throws a model error where a file is empty, cut short or something else.
void check_onnx_file(const std::string& path);

// The same for bytes, and where they name a file that holds weights. name: for errors.
void check_onnx_bytes(const ModelBytes& bytes, const std::string& name);

}  // namespace rtmpose::core
