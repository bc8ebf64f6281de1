#include "onnx_file.hpp"

#include <filesystem>
#include <fstream>
#include <limits>
#include <streambuf>

#include "onnx_fields.hpp"
#include "types.hpp"

namespace rtmpose::core {
namespace {

namespace fs = std::filesystem;

// Fields of ModelProto.
constexpr std::uint64_t kGraphField = 7;
constexpr std::uint64_t kOpsetField = 8;
constexpr std::uint64_t kFunctionField = 25;

// Graphs lie inside of operations inside of graphs. The engine itself reads 100 levels.
constexpr int kDeepest = 128;

// Bytes as a stream, without a copy.
class MemoryBuffer : public std::streambuf {
 public:
  explicit MemoryBuffer(const ModelBytes& bytes) {
    // A stream that is only read has no const in its interface.
    char* begin = static_cast<char*>(const_cast<void*>(bytes.data));
    setg(begin, begin, begin + bytes.size);
  }

 protected:
  pos_type seekpos(pos_type place, std::ios_base::openmode) override {
    const std::streamoff offset = place;
    if (offset < 0 || offset > egptr() - eback()) return pos_type(off_type(-1));
    setg(eback(), eback() + offset, egptr());
    return place;
  }
};

// The kinds of messages that lead to weights.
enum class Message { kModel, kFunction, kGraph, kNode, kAttribute, kTensor, kSparse, kOther };

// What a field of a message holds.
Message inside(Message message, std::uint64_t field) {
  switch (message) {
    case Message::kModel:
      if (field == kGraphField) return Message::kGraph;
      return field == kFunctionField ? Message::kFunction : Message::kOther;
    case Message::kFunction: return field == 7 ? Message::kNode : Message::kOther;
    case Message::kGraph:
      if (field == 1) return Message::kNode;
      if (field == 5) return Message::kTensor;
      return field == 15 ? Message::kSparse : Message::kOther;
    case Message::kNode: return field == 5 ? Message::kAttribute : Message::kOther;
    case Message::kAttribute:
      if (field == 5 || field == 10) return Message::kTensor;
      if (field == 6 || field == 11) return Message::kGraph;
      return field == 22 || field == 23 ? Message::kSparse : Message::kOther;
    case Message::kSparse: return field == 1 || field == 2 ? Message::kTensor : Message::kOther;
    default: return Message::kOther;
  }
}

// Whether a message says of any weights that they lie in another file.
bool has_outside_weights(std::istream& content, Message message, std::uint64_t start,
                         std::uint64_t size, int depth) {
  constexpr std::uint64_t kExternalData = 13;
  constexpr std::uint64_t kDataLocation = 14;
  if (depth > kDeepest) return false;
  OnnxFields fields(content, start, size);
  while (fields.next()) {
    if (message == Message::kTensor) {
      if (fields.field() == kExternalData) return true;
      if (fields.field() == kDataLocation && fields.number() == 1) return true;
      continue;
    }
    const Message inner = inside(message, fields.field());
    if (inner == Message::kOther || !fields.has_bytes()) continue;
    if (has_outside_weights(content, inner, fields.begin(), fields.length(), depth + 1)) {
      return true;
    }
  }
  return false;
}

std::string not_a_model(const std::string& name, const std::string& flaw) {
  return name + " could not be opened as an ONNX model: " + flaw + "; it may be damaged";
}

}  // namespace

std::string onnx_flaw(std::istream& content, std::uint64_t size) {
  OnnxFields fields(content, 0, size);
  bool any = false;
  bool graph = false;
  bool opset = false;
  bool sense = true;
  bool empty = false;
  while (fields.next()) {
    any = true;
    sense = sense && fields.field() != 0;
    graph = graph || fields.field() == kGraphField;
    opset = opset || fields.field() == kOpsetField;
    empty = empty || (fields.field() == kGraphField && fields.number() == 0);
    if (empty) return "it has no network inside";
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
  if (!flaw.empty()) fail_model(not_a_model(path, flaw));
}

void check_onnx_bytes(const ModelBytes& bytes, const std::string& name) {
  if (bytes.size == 0) fail_model(name + " is empty: it has 0 bytes");

  // What one message of an ONNX file can hold.
  if (bytes.size > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max())) {
    fail_model(name + " is larger than 2 GB; open it as a file");
  }
  MemoryBuffer buffer(bytes);
  std::istream content(&buffer);
  const std::string flaw = onnx_flaw(content, bytes.size);
  if (!flaw.empty()) fail_model(not_a_model(name, flaw));

  // The engine would look for that file in the current folder.
  content.clear();
  if (has_outside_weights(content, Message::kModel, 0, bytes.size, 0)) {
    fail_model(name + " keeps weights in another file, which bytes in memory cannot lead to: open"
                      " the .onnx file by its path, or write one that holds its weights");
  }
}

}  // namespace rtmpose::core
