// libFuzzer: bytes of anybody as a model's card, keypoint set, and folder of the deployment SDK.
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "card.hpp"
#include "sdk_folder.hpp"

namespace {

namespace fs = std::filesystem;

void write(const fs::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

template <typename Function>
void expect_no_crash(Function&& function) {
  try {
    function();
  } catch (const rtmpose::core::Error&) {
    // A text that says what is wrong is what such input deserves.
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const fs::path folder = [] {
    const fs::path made = fs::temp_directory_path() / ("rtmpose_fuzz_" + std::to_string(getpid()));
    fs::create_directories(made);
    write(made / "end2end.onnx", "");
    return made;
  }();
  if (size == 0) return 0;
  const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] % 3 == 0) {
    expect_no_crash([&] { rtmpose::core::card_from_json(text, "the input"); });
  } else {
    // The other file is a good one.
    const bool pipeline = data[0] % 3 == 1;
    const std::string deploy = R"({"models":[{"net":"end2end.onnx","name":"rtmpose"}]})";
    write(folder / "deploy.json", pipeline ? deploy : text);
    write(folder / "pipeline.json", pipeline ? text : R"({"pipeline":{"tasks":[]}})");
    expect_no_crash([&] { rtmpose::core::sdk_card(folder.u8string()); });
    expect_no_crash([&] { rtmpose::core::sdk_network(folder.u8string()); });
  }
  return 0;
}
