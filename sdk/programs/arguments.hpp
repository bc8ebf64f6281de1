// Command lines of the programs: places first or between options, options as --name value.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace programs {

// What was wrong with a command line, or with a file.
struct UsageError {
  std::string text;
};

class Arguments {
 public:
  // program: its name. purpose: one line for --help.
  Arguments(std::string program, std::string purpose);

  // A value without a name, in the order in which they are added; all must be given.
  void place(std::string* value, const std::string& name, const std::string& help);

  // An option; *value is its default.
  void option(std::string* value, const std::string& name, const std::string& help);
  void option(int* value, const std::string& name, const std::string& help);
  void option(float* value, const std::string& name, const std::string& help);

  // Reads the command line into the values. False where --help was printed.
  // Throws UsageError for unknown options, missing values and texts that are no numbers.
  bool parse(int argc, char** argv) const;

 private:
  struct Entry {
    std::string name;
    std::string help;
    std::string shown_default;
    std::function<void(const std::string&)> set;
  };

  const Entry& find_option(const std::string& name) const;
  std::string usage() const;

  std::string program_;
  std::string purpose_;
  std::vector<Entry> places_;
  std::vector<Entry> options_;
};

// What programs end with, as shells expect it.
constexpr int kFailed = 1;
constexpr int kWrongCommand = 2;

// Reads the command line, then does the work; says what went wrong. Returns the exit status.
// parse: false where nothing is left to do.
int run_program(const char* name, const std::function<bool()>& parse,
                const std::function<int()>& run);

// Throws UsageError where a file of that name could not be written after all the work, or is the
// input. kind: image or video.
void check_output(const std::string& path, const std::string& kind, const std::string& input);

}  // namespace programs
