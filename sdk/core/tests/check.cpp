#include "check.hpp"

#include <cstdio>

namespace checks {
namespace {

int g_count = 0;
int g_failed = 0;

}  // namespace

void that(bool holds, const std::string& what) {
  ++g_count;
  if (holds) return;
  ++g_failed;
  std::printf("FAILED: %s\n", what.c_str());
}

void fails(rtmpose_status got, rtmpose_status expected, const std::string& words,
           const std::string& what) {
  const std::string text = rtmpose_last_error();
  that(got == expected, what + ": status " + std::to_string(got) + " (" + text + "), not " +
                            std::to_string(expected));
  that(text.find(words) != std::string::npos, what + ": \"" + text + "\" lacks \"" + words + "\"");
}

int result() {
  std::printf("%d checks, %d failed\n", g_count, g_failed);
  return g_failed ? 1 : 0;
}

}  // namespace checks
