#include "arguments.hpp"

#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <utility>

namespace programs {

namespace {

// The whole text as a number, or an exception.
template <typename Number, typename Convert>
Number number(const std::string& name, const std::string& text, Convert convert) {
  try {
    size_t used = 0;
    const Number value = convert(text, &used);
    if (used == text.size() && std::isfinite(static_cast<double>(value))) return value;
  } catch (const std::exception&) {
    // Said below.
  }
  const std::string kind = std::is_integral_v<Number> ? "a whole number" : "a number";
  throw UsageError{"--" + name + " needs " + kind + ", not \"" + text + "\""};
}

// "-device": an option with one dash, unless there is a file of that name.
void refuse_one_dash(const std::string& word) {
  std::error_code ignored;
  if (word.size() < 2 || word[0] != '-' || std::filesystem::exists(word, ignored)) return;
  throw UsageError{"there is no option " + word + ": options begin with two dashes; see --help"};
}

std::string shown(float value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%g", static_cast<double>(value));
  return text;
}

}  // namespace

Arguments::Arguments(std::string program, std::string purpose)
    : program_(std::move(program)), purpose_(std::move(purpose)) {}

void Arguments::place(std::string* value, const std::string& name, const std::string& help) {
  places_.push_back({name, help, "", [value](const std::string& text) { *value = text; }});
}

void Arguments::option(std::string* value, const std::string& name, const std::string& help) {
  options_.push_back({name, help, *value, [value](const std::string& text) { *value = text; }});
}

void Arguments::option(int* value, const std::string& name, const std::string& help) {
  options_.push_back({name, help, std::to_string(*value), [value, name](const std::string& text) {
                        *value = number<int>(
                            name, text, [](auto& t, auto* used) { return std::stoi(t, used); });
                      }});
}

void Arguments::option(float* value, const std::string& name, const std::string& help) {
  options_.push_back({name, help, shown(*value), [value, name](const std::string& text) {
                        *value = number<float>(
                            name, text, [](auto& t, auto* used) { return std::stof(t, used); });
                      }});
}

bool Arguments::parse(int argc, char** argv) const {
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words.empty()) throw UsageError{"two models and an input are needed\n\n" + usage()};
  size_t place = 0;
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (word == "--help" || word == "-h") {
      std::printf("%s", usage().c_str());
      return false;
    }

    // Values without a name.
    if (word.rfind("--", 0) != 0) {
      refuse_one_dash(word);
      if (place == places_.size()) {
        throw UsageError{"\"" + word + "\" is one argument too many; see --help"};
      }
      places_[place++].set(word);
      continue;
    }

    // --name value, or --name=value.
    const size_t equals = word.find('=');
    const std::string name =
        word.substr(2, equals == std::string::npos ? equals : equals - 2);
    const Entry& entry = find_option(name);
    if (equals != std::string::npos) {
      entry.set(word.substr(equals + 1));
    } else if (++i < words.size()) {
      entry.set(words[i]);
    } else {
      throw UsageError{"--" + name + " needs a value"};
    }
  }
  if (place < places_.size()) {
    throw UsageError{places_[place].name + " is missing: " + places_[place].help +
                     "; see --help"};
  }
  return true;
}

int run_program(const char* name, const std::function<bool()>& parse,
                const std::function<int()>& run) {
  int failed = kWrongCommand;
  try {
    if (!parse()) return 0;
    failed = kFailed;
    return run();
  } catch (const UsageError& error) {
    std::fprintf(stderr, "%s: %s\n", name, error.text.c_str());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", name, error.what());
  }
  return failed;
}

void check_output(const std::string& path, const std::string& kind, const std::string& input) {
  namespace fs = std::filesystem;
  const fs::path file = fs::u8path(path);
  if (!file.has_extension()) {
    throw UsageError{"cannot write the " + kind + " " + path +
                     ": its name has no ending such as " + (kind == "video" ? ".mp4" : ".jpg")};
  }
  const fs::path folder = file.parent_path();
  std::error_code ignored;
  if (!folder.empty() && !fs::is_directory(folder, ignored)) {
    throw UsageError{"cannot write the " + kind + " " + path + ": there is no folder " +
                     folder.u8string()};
  }
  if (fs::is_directory(file, ignored)) {
    throw UsageError{"cannot write the " + kind + " " + path + ": it is a folder"};
  }
  if (fs::equivalent(file, fs::u8path(input), ignored)) {
    throw UsageError{"the output " + path + " is the input itself; give another --output"};
  }

  // Whether it may be written shows when it is opened; what is there stays as it is.
  const bool there = fs::exists(file, ignored);
  if (there && !fs::is_regular_file(file, ignored)) return;
  std::FILE* opened = std::fopen(path.c_str(), "ab");
  if (!opened) {
    throw UsageError{"cannot write the " + kind + " " + path + ": " + std::strerror(errno)};
  }
  std::fclose(opened);
  if (!there) fs::remove(file, ignored);
}

const Arguments::Entry& Arguments::find_option(const std::string& name) const {
  for (const Entry& entry : options_) {
    if (entry.name == name) return entry;
  }
  throw UsageError{"there is no option --" + name + "; see --help"};
}

std::string Arguments::usage() const {
  std::string text = "usage: " + program_;
  for (const Entry& entry : places_) text += " " + entry.name;
  text += " [--option value ...]\n\n" + purpose_ + "\n\n";
  char line[256];
  for (const Entry& entry : places_) {
    std::snprintf(line, sizeof(line), "  %-22s %s\n", entry.name.c_str(), entry.help.c_str());
    text += line;
  }
  text += "\n";
  for (const Entry& entry : options_) {
    const std::string name = "--" + entry.name;
    std::snprintf(line, sizeof(line), "  %-22s %s [%s]\n", name.c_str(), entry.help.c_str(),
                  entry.shown_default.c_str());
    text += line;
  }
  return text;
}

}  // namespace programs
