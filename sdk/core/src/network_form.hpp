// What a model file declares of its network, whichever engine runs it.
#pragma once

#include <string>
#include <vector>

#include "array.hpp"
#include "types.hpp"

namespace rtmpose::core {

struct NetworkForm {
  std::string path;  // of the file, for errors
  Shape input;       // (N, 3, H, W); -1 marks a dimension that may vary
  std::vector<std::string> output_names;
  std::vector<Shape> output_shapes;

  // The size of the batch where the file fixes it, else 0.
  int fixed_batch() const { return side(0); }

  // Width and height where the file fixes them; 0 for each that may vary.
  Size declared_size() const { return {side(3), side(2)}; }

 private:
  int side(std::size_t axis) const {
    return input.size() > axis && input[axis] > 0 ? static_cast<int>(input[axis]) : 0;
  }
};

}  // namespace rtmpose::core
