#include "json_file.hpp"

#include <filesystem>
#include <fstream>

#include "types.hpp"

namespace rtmpose::core {
namespace {

namespace fs = std::filesystem;

// Cards and pipelines are a few kilobytes.
constexpr std::uintmax_t kLargestText = 16u << 20;
constexpr std::size_t kDeepest = 64;

// Brackets within brackets; texts are skipped.
std::size_t nesting(const std::string& text) {
  std::size_t depth = 0;
  std::size_t deepest = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c == '\\') ++i;
      if (c == '"') quoted = false;
    } else if (c == '"') {
      quoted = true;
    } else if (c == '{' || c == '[') {
      deepest = std::max(deepest, ++depth);
    } else if ((c == '}' || c == ']') && depth) {
      --depth;
    }
  }
  return deepest;
}

}  // namespace

std::string read_text(const std::string& path) {
  const fs::path file = fs::u8path(path);
  std::error_code fault;
  if (!fs::is_regular_file(file, fault)) fail_model(path + " is not a file");
  const std::uintmax_t size = fs::file_size(file, fault);
  if (fault) fail_model(path + " cannot be read: " + fault.message());
  if (size > kLargestText) fail_model(path + " is too large for a description of a model");
  std::string text(static_cast<std::size_t>(size), '\0');
  std::ifstream stream(file, std::ios::binary);
  stream.read(text.data(), static_cast<std::streamsize>(size));
  if (stream.gcount() != static_cast<std::streamsize>(size)) fail_model(path + " cannot be read");
  return text;
}

Json parse_json(const std::string& text, const std::string& name) {
  if (nesting(text) > kDeepest) fail_model(name + " is nested too deeply");
  Json value = Json::parse(text, nullptr, false);
  if (value.is_discarded()) fail_model(name + " is not JSON");
  return value;
}

}  // namespace rtmpose::core
