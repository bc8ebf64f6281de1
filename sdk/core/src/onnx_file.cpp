#include "onnx_file.hpp"

#include <filesystem>
#include <fstream>

#include "types.hpp"

namespace rtmpose::core {
namespace {

namespace fs = std::filesystem;

// Fields of ModelProto. ONNX files are protobuf messages: fields with a number and a value.
constexpr std::uint64_t kGraphField = 7;
constexpr std::uint64_t kOpsetField = 8;

// A number of 64 bits takes ten bytes at most.
constexpr int kLongestNumber = 10;

// Walks over a message without reading its values.
class Fields {
 public:
  Fields(std::istream& content, std::uint64_t size) : content_(content), size_(size) {}

  // Goes to the next field; false at the end and where the bytes stop making sense.
  bool next() {
    std::uint64_t tag = 0;
    if (!number(tag)) return false;
    field_ = tag >> 3;
    std::uint64_t length = 0;
    switch (tag & 7) {
      case 0: return number(length) && reached(0);
      case 1: return reached(8);
      case 2: return number(length) && reached(length);
      case 5: return reached(4);
      default: return false;  // groups: not used by ONNX
    }
  }

  std::uint64_t field() const { return field_; }
  std::uint64_t length() const { return length_; }

  // Whether the last field ended where the content does.
  bool at_end() const { return last_ == size_; }

 private:
  bool number(std::uint64_t& value) {
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

  // Skips a value of that many bytes; one that ends after the content was cut short.
  bool reached(std::uint64_t length) {
    length_ = length;
    if (length > size_ - at_) {
      last_ = size_ + 1;
      at_ = size_;
      return true;
    }
    at_ += length;
    last_ = at_;
    content_.seekg(static_cast<std::streamoff>(at_));
    return true;
  }

  std::istream& content_;
  std::uint64_t size_;
  std::uint64_t at_ = 0;
  std::uint64_t last_ = 0;
  std::uint64_t field_ = 0;
  std::uint64_t length_ = 0;
};

}  // namespace

std::string onnx_flaw(std::istream& content, std::uint64_t size) {
  Fields fields(content, size);
  bool any = false;
  bool graph = false;
  bool opset = false;
  bool sense = true;
  while (fields.next()) {
    any = true;
    sense = sense && fields.field() != 0;
    graph = graph || fields.field() == kGraphField;
    opset = opset || fields.field() == kOpsetField;
    if (fields.field() == kGraphField && fields.length() == 0) return "it has no network inside";
  }
  if (!any || !sense) return "it is not an ONNX file";

  // The operator set comes behind the network in most files.
  if (!fields.at_end() || !graph || !opset) return "it is not a whole ONNX file";
  return {};
}

void check_onnx_file(const std::string& path) {
  const fs::path file = fs::u8path(path);
  std::error_code fault;
  if (!fs::is_regular_file(file, fault)) fail_model(path + " is not a file");
  const std::uintmax_t size = fs::file_size(file, fault);
  if (fault) fail_model(path + " cannot be read: " + fault.message());
  if (size == 0) fail_model(path + " is empty: an unfinished download or export?");

  // The engine's own format has no such fields.
  if (file.extension() == ".ort") return;
  std::ifstream content(file, std::ios::binary);
  if (!content) fail_model(path + " cannot be read");
  const std::string flaw = onnx_flaw(content, size);
  if (!flaw.empty()) {
    fail_model(path + " could not be opened as an ONNX model: " + flaw + "; it may be damaged");
  }
}

}  // namespace rtmpose::core
