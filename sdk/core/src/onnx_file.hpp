// Whether a file is a whole ONNX model, before the engine sees it.
#pragma once

#include <cstdint>
#include <istream>
#include <string>

namespace rtmpose::core {

// What keeps `size` bytes from being an ONNX file, in words; empty where nothing does. Only the
// outermost fields are looked at: a file that was cut short, or is something else, shows there.
std::string onnx_flaw(std::istream& content, std::uint64_t size);

// Throws a model error where a file is empty, cut short or something else.
void check_onnx_file(const std::string& path);

}  // namespace rtmpose::core
