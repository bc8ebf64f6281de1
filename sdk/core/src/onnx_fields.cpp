#include "onnx_fields.hpp"

namespace rtmpose::core {
namespace {

// A number of 64 bits takes ten bytes at most.
constexpr int kLongestNumber = 10;

}  // namespace

bool OnnxFields::next() {
  // Somebody may have read a value since.
  content_.seekg(static_cast<std::streamoff>(start_ + at_));
  std::uint64_t tag = 0;
  if (!read_number(tag)) return false;
  field_ = tag >> 3;
  wire_ = tag & 7;
  switch (wire_) {
    case 0: return read_number(value_) && reached(0);
    case 1: return reached(8);
    case 2: return read_number(value_) && reached(value_);
    case 5: return reached(4);
    default: return false;  // groups: not used by ONNX
  }
}

bool OnnxFields::read_number(std::uint64_t& value) {
  value = 0;
  for (int i = 0; i < kLongestNumber && at_ < size_; ++i) {
    const int byte = content_.get();
    if (byte < 0) return false;
    ++at_;
    value |= static_cast<std::uint64_t>(byte & 0x7f) << (7 * i);
    if (!(byte & 0x80)) return true;
  }
  return false;
}

// Skips a value of that many bytes; one that ends after the message was cut short.
bool OnnxFields::reached(std::uint64_t length) {
  begin_ = start_ + at_;
  length_ = length;
  if (length > size_ - at_) {
    last_ = size_ + 1;
    at_ = size_;
    length_ = 0;
    return true;
  }
  at_ += length;
  last_ = at_;
  return true;
}

}  // namespace rtmpose::core
