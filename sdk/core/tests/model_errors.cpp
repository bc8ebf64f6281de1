#include "model_errors.hpp"

#include <filesystem>
#include <fstream>

#include "check.hpp"

namespace {

namespace fs = std::filesystem;

const fs::path kModels = RTMPOSE_MODELS;
const char* const kPoseName = "rtmpose-s-pruned_finetuned-halpe26_192x144.onnx";

// A folder of this test, deleted at its end.
struct Folder {
  Folder() : path(fs::temp_directory_path() / "rtmpose_model_errors") {
    fs::remove_all(path);
    fs::create_directories(path);
  }
  ~Folder() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(path / name, std::ios::binary) << text;
    return (path / name).u8string();
  }

  fs::path path;
};

void fails(const std::string& path, rtmpose_status status, const char* words, const char* what,
           const rtmpose_options* options = nullptr) {
  rtmpose_model* model = nullptr;
  checks::fails(rtmpose_model_open(path.c_str(), options, &model), status, words, what);
  checks::that(model == nullptr, std::string(what) + " leaves no model");
}

void wrong_files(const Folder& folder) {
  fails("", RTMPOSE_ERROR_MODEL, "not a file", "an empty path");
  fails("/nowhere/at/all.onnx", RTMPOSE_ERROR_MODEL, "not a file", "a path that is not there");
  fails(folder.path.u8string(), RTMPOSE_ERROR_MODEL, "deploy.json", "an empty folder");
  fails(folder.write("empty.onnx", ""), RTMPOSE_ERROR_MODEL, "is empty",
        "an empty file");
  fails(folder.write("text.onnx", "no model at all"), RTMPOSE_ERROR_MODEL, "could not be opened",
        "a text");
  fails(folder.write("field.onnx", "\x0a\x01x"), RTMPOSE_ERROR_MODEL, "not a whole ONNX file",
        "a file without a network");
  fails(folder.write("graph.onnx", std::string("\x3a\x00\x42\x00", 4)), RTMPOSE_ERROR_MODEL,
        "no network inside", "an empty network");
  std::ifstream whole(kModels / kPoseName, std::ios::binary);
  std::string half(100000, '\0');
  whole.read(half.data(), static_cast<std::streamsize>(half.size()));
  fails(folder.write("half.onnx", half), RTMPOSE_ERROR_MODEL, "not a whole ONNX file",
        "an unfinished download");

  // The first field of a file is the version of its format.
  whole.seekg(0, std::ios::end);
  std::string newer(static_cast<std::size_t>(whole.tellg()), '\0');
  whole.seekg(0);
  whole.read(newer.data(), static_cast<std::streamsize>(newer.size()));
  checks::that(newer[0] == 8, "the version comes first");
  newer[1] = 99;
  fails(folder.write("newer.onnx", newer), RTMPOSE_ERROR_MODEL, "needs a newer ONNX Runtime than",
        "a file of a later format");
  rtmpose_model* model = nullptr;
  checks::fails(rtmpose_model_open(nullptr, nullptr, &model), RTMPOSE_ERROR_ARGUMENT,
                "path is NULL", "no path");
  const std::string pose = (kModels / kPoseName).u8string();
  checks::fails(rtmpose_model_open(pose.c_str(), nullptr, nullptr), RTMPOSE_ERROR_ARGUMENT,
                "model is NULL", "nowhere to put the model");
}

// A device that the engine was built without gives its name and what has it.
void missing_or_usable(const std::string& path, const rtmpose_options& options) {
  rtmpose_model* model = nullptr;
  const rtmpose_status status = rtmpose_model_open(path.c_str(), &options, &model);
  rtmpose_model_close(model);
  if (status == RTMPOSE_OK) return;
  const std::string text = rtmpose_last_error();
  checks::that(status == RTMPOSE_ERROR_ENGINE &&
                   text.find(std::string("device ") + options.device) != std::string::npos,
               "a missing device is named: " + text);
}

void wrong_options() {
  const std::string pose = (kModels / kPoseName).u8string();
  rtmpose_options options;
  rtmpose_options_init(&options, sizeof(options));
  options.threads = -1;
  fails(pose, RTMPOSE_ERROR_ARGUMENT, "threads", "a negative number of threads", &options);
  options.threads = 1;
  options.device = "abacus";
  fails(pose, RTMPOSE_ERROR_ARGUMENT, "abacus", "an unknown device", &options);
  options.device = "cuda:x";
  fails(pose, RTMPOSE_ERROR_ARGUMENT, "cuda:x", "a device without number", &options);
  for (const char* name : {"cuda:", ":1", "openvino:1", "openvino:fpga", "cpu:0", "coreml:0"}) {
    options.device = name;
    fails(pose, RTMPOSE_ERROR_ARGUMENT, name, "a device with a wrong part", &options);
  }
  for (const char* name : {"cuda", "tensorrt:1", "openvino", "openvino:gpu", "dml", "coreml"}) {
    options.device = name;
    missing_or_usable(pose, options);
  }
}

// A device is always found; the model says which, and why it is not the best one.
void automatic_device() {
  const rtmpose::Model model((kModels / kPoseName).u8string(), 1, "auto");
  const std::string device = model.info().device;
  const std::string note = model.info().device_note;
  checks::that(device == "openvino" || device == "cpu", "auto is OpenVINO or the CPU: " + device);
  checks::that(device != "openvino" || note.empty(), "OpenVINO needs no reason: " + note);
#if defined(__x86_64__)
  checks::that(device != "cpu" || note.find("penVINO") != std::string::npos,
               "the CPU has a reason: " + note);
#endif
  const rtmpose::Model plain((kModels / kPoseName).u8string(), 1);
  checks::that(std::string(plain.info().device) == "cpu" && !*plain.info().device_note,
               "without a word it is the CPU");
}

void wrong_cards(const Folder& folder) {
  const fs::path copy = folder.path / "pose.onnx";
  fs::copy_file(kModels / kPoseName, copy);
  const auto with_card = [&](const std::string& text, const char* words, const char* what) {
    folder.write("pose.onnx.card.json", text);
    fails(copy.u8string(), RTMPOSE_ERROR_MODEL, words, what);
  };
  const std::string pixels = R"("normalization":{"mean":[0,0,0],"std":[1,1,1],"color":"rgb"})";
  with_card("", "not JSON", "an empty card");
  with_card("[1, 2", "not JSON", "half a card");
  with_card("{}", "not valid", "a card without fields");
  with_card(std::string(100000, '['), "nested too deeply", "a card of brackets");
  with_card(R"({"id":"x","input_wh":[144,192],"codec":{"kind":"crystal"},)" + pixels + "}",
            "crystal", "an unknown coding");
  with_card(R"({"id":"x","input_wh":[144,100],"codec":{"kind":"simcc"},)" + pixels + "}",
            "its card says", "another input size");
  with_card(R"({"id":"x","input_wh":[144,192],"codec":{"kind":"heatmap"},)" + pixels + "}",
            "heat map", "another coding");
  with_card(R"({"id":"x","input_wh":[144,192],"codec":{"kind":"rtmdet"},)" + pixels + "}",
            "not a detector", "a card of a detector");
  with_card(R"({"id":"x","input_wh":[-4,192],"codec":{"kind":"simcc"},)" + pixels + "}",
            "-4x192", "a negative input size");
  with_card(R"({"id":"x","skeleton":"coco17","input_wh":[144,192],)"
            R"("codec":{"kind":"simcc","split_ratio":2.6666666666666665},)" +
                pixels + "}",
            "26 keypoints", "another keypoint set");
}

void wrong_folders(const Folder& folder) {
  const auto with_folder = [&](const std::string& deploy, const std::string& pipeline,
                               const char* words, const char* what) {
    folder.write("deploy.json", deploy);
    folder.write("pipeline.json", pipeline);
    fails(folder.path.u8string(), RTMPOSE_ERROR_MODEL, words, what);
  };
  with_folder("{}", "{}", "does not name", "no models in deploy.json");
  with_folder(R"({"models":[{"net":"../../etc/hosts"}]})", "{}", "outside of the folder",
              "a network outside of the folder");
  with_folder(R"({"models":[{"net":"missing.onnx"}]})", "{}", "not there",
              "a network that is missing");
  with_folder(R"({"models":[{"net":"pose.onnx"}]})", "{}", "not a complete",
              "a pipeline without tasks");
  with_folder(R"({"models":[{"net":"pose.onnx"}]})", R"({"pipeline":{"tasks":[1]}})",
              "not a complete", "a task that is a number");
}

}  // namespace

void wrong_model_files() {
  const Folder folder;
  wrong_files(folder);
  wrong_options();
  automatic_device();
  wrong_cards(folder);
  wrong_folders(folder);
}
