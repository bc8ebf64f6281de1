// JSON of anybody's files: read with a limit on the size, every fault an Error.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace rtmpose::core {

using Json = nlohmann::json;

// A whole text file. Throws Error where it cannot be read or is too large to be one of ours.
std::string read_text(const std::string& path);

// `name` is the text's name in errors.
Json parse_json(const std::string& text, const std::string& name);

}  // namespace rtmpose::core
