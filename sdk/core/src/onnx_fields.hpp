// ONNX files are protobuf messages: fields with a number and a value, which may be messages, too.
#pragma once

#include <cstdint>
#include <istream>

namespace rtmpose::core {

// Walks over the fields of a message without reading their values.
class OnnxFields {
 public:
  // start: where the message begins in the stream.
  OnnxFields(std::istream& content, std::uint64_t start, std::uint64_t size)
      : content_(content), start_(start), size_(size) {}

  // Goes to the next field; false at the end and where the bytes stop making sense.
  bool next();

  std::uint64_t field() const { return field_; }

  // Whether the value has bytes: a message, a text or an array.
  bool has_bytes() const { return wire_ == 2; }

  // Where they begin in the stream, and how many there are.
  std::uint64_t begin() const { return begin_; }
  std::uint64_t length() const { return length_; }

  // The value of a field that is a number.
  std::uint64_t number() const { return value_; }

  // Whether the last field ended where the message does.
  bool at_end() const { return last_ == size_; }

 private:
  bool read_number(std::uint64_t& value);
  bool reached(std::uint64_t length);

  std::istream& content_;
  std::uint64_t start_;
  std::uint64_t size_;
  std::uint64_t at_ = 0;
  std::uint64_t last_ = 0;
  std::uint64_t field_ = 0;
  std::uint64_t wire_ = 0;
  std::uint64_t begin_ = 0;
  std::uint64_t length_ = 0;
  std::uint64_t value_ = 0;
};

}  // namespace rtmpose::core
