// What a network returns: numbers with a shape, in somebody else's memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace rtmpose::core {

// -1 marks a dimension that may vary.
using Shape = std::vector<std::int64_t>;

enum class Element { kFloat, kInt64, kInt32, kOther };

struct Array {
  Shape shape;
  Element element = Element::kOther;
  const void* data = nullptr;

  std::size_t rank() const { return shape.size(); }
  std::size_t size() const;
  bool is_integer() const { return element == Element::kInt64 || element == Element::kInt32; }

  // Throws Error where the numbers are of another type.
  const float* floats() const;

  // One entry of an integer array, or of floats that hold whole numbers.
  std::int64_t integer(std::size_t index) const;
};

using Arrays = std::vector<Array>;

std::string shape_text(const Shape& shape);
std::string shapes_text(const Arrays& arrays);

// A number for errors, with a point whatever the program's locale is.
std::string number_text(double value);

}  // namespace rtmpose::core
