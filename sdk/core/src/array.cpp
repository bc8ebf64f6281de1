#include "array.hpp"

#include <locale>
#include <sstream>

#include "types.hpp"

namespace rtmpose::core {

std::size_t Array::size() const {
  std::size_t count = 1;
  for (const std::int64_t side : shape) count *= static_cast<std::size_t>(side);
  return count;
}

const float* Array::floats() const {
  if (element != Element::kFloat) {
    fail_model("an output of shape " + shape_text(shape) +
               " does not hold 32-bit floats, which are all that is read");
  }
  return static_cast<const float*>(data);
}

std::int64_t Array::integer(std::size_t index) const {
  if (element == Element::kInt64) return static_cast<const std::int64_t*>(data)[index];
  if (element == Element::kInt32) return static_cast<const std::int32_t*>(data)[index];
  const float value = floats()[index];

  // Out of range, the conversion would be undefined.
  return value > -1e9f && value < 1e9f ? static_cast<std::int64_t>(value) : -1;
}

std::string shape_text(const Shape& shape) {
  std::string text = "(";
  for (std::size_t i = 0; i < shape.size(); ++i) {
    text += (i ? ", " : "") + (shape[i] < 0 ? std::string("?") : std::to_string(shape[i]));
  }
  return text + ")";
}

std::string shapes_text(const Arrays& arrays) {
  std::string text;
  for (const Array& array : arrays) text += (text.empty() ? "" : ", ") + shape_text(array.shape);
  return text.empty() ? "nothing" : text;
}

std::string number_text(double value) {
  std::ostringstream text;
  text.imbue(std::locale::classic());
  text.precision(7);  // what a float holds
  text << value;
  return text.str();
}

}  // namespace rtmpose::core
