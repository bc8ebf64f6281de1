// Checks that count what failed and go on.
#pragma once

#include <string>

#include "rtmpose.hpp"

namespace checks {

// Prints `what` where it is not so.
void that(bool holds, const std::string& what);

// A call that has to fail with a status, and with a text that holds `words`.
void fails(rtmpose_status got, rtmpose_status expected, const std::string& words,
           const std::string& what);

// The status to end the program with: 0 where everything held.
int result();

}  // namespace checks
