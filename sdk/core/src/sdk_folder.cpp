#include "sdk_folder.hpp"

#include <algorithm>
#include <filesystem>
#include <map>

namespace rtmpose::core {
namespace {

namespace fs = std::filesystem;

std::string inside(const std::string& folder, const std::string& name) {
  return (fs::u8path(folder) / name).u8string();
}

// Without a separator at its end, which would leave no name.
std::string name_of(const std::string& folder) {
  const fs::path path = fs::u8path(folder);
  return (path.has_filename() ? path : path.parent_path()).filename().u8string();
}

Json first_model(const std::string& deploy, const std::string& folder) {
  return parse_json(deploy, inside(folder, "deploy.json")).at("models").at(0);
}

// A side, or width and height.
Size size_of(const Json& value) {
  if (value.is_number()) return {value.get<int>(), value.get<int>()};
  return {value.at(0).get<int>(), value.at(1).get<int>()};
}

Size detector_size(const std::map<std::string, Json>& transforms) {
  const auto pad = transforms.find("Pad");
  if (pad != transforms.end() && pad->second.contains("size")) {
    return size_of(pad->second.at("size"));
  }
  return size_of(transforms.at("Resize").at("size"));
}

void read_pose(const Json& affine, const Json& decode, Card& card) {
  card.input = size_of(affine.at("image_size"));
  const Json params = decode.value("params", Json::object());
  const std::string component = decode.value("component", std::string());
  if (component == "SimCCLabelDecode") {
    card.coding = Coding::kSimcc;
    card.split_ratio = params.value("simcc_split_ratio", 2.0);
  } else if (params.value("type", std::string()) == "UDPHeatmap" ||
             affine.value("use_udp", false)) {
    card.coding = Coding::kHeatmap;
    card.sigma = params.value("sigma", 2.0);
  } else {
    fail_model(card.id + " has the decoder " + component + ", which is not one that is read");
  }
}

Card read_card(const SdkTexts& texts) {
  const Json tasks = parse_json(texts.pipeline, inside(texts.folder, "pipeline.json"))
                         .at("pipeline")
                         .at("tasks");

  // Preprocessing and decoding are tasks; the last transform of a type counts.
  std::map<std::string, Json> transforms;
  Json decode = Json::object();
  for (const Json& task : tasks) {
    for (const Json& transform : task.value("transforms", Json::array())) {
      const std::string type = transform.at("type").get<std::string>();
      // A second Pad only says a divisor; it must not hide the one with the size.
      if (type == "Pad" && transforms.count(type) && !transform.contains("size")) continue;
      transforms[type] = transform;
    }
    if (decode.empty() && task.contains("component")) decode = task;
  }
  Card card;
  card.id = name_of(texts.folder);
  const Json& pixels = transforms.at("Normalize");
  card.normalization.mean = pixels.at("mean").get<std::array<double, 3>>();
  card.normalization.std = pixels.at("std").get<std::array<double, 3>>();
  card.normalization.rgb = pixels.value("to_rgb", true);
  if (decode.value("component", std::string()) != "ResizeBBox") {
    read_pose(transforms.at("TopDownAffine"), decode, card);
    return card;
  }

  // YOLOX takes plain pixels; RTMDet normalizes.
  card.input = detector_size(transforms);
  const Json model = first_model(texts.deploy, texts.folder);
  const std::string name = lowercase(model.value("name", std::string()));
  const bool plain = card.normalization.std == std::array<double, 3>{1, 1, 1};
  card.coding = plain || name.find("yolox") != std::string::npos ? Coding::kYolox : Coding::kRtmdet;
  return card;
}

}  // namespace

bool is_sdk_folder(const std::string& path) {
  std::error_code ignored;
  return fs::is_regular_file(fs::u8path(inside(path, "deploy.json")), ignored) &&
         fs::is_regular_file(fs::u8path(inside(path, "pipeline.json")), ignored);
}

std::string sdk_network(const std::string& folder) {
  std::string name;
  try {
    name = first_model(read_text(inside(folder, "deploy.json")), folder)
               .at("net")
               .get<std::string>();
  } catch (const Json::exception& error) {
    fail_model(inside(folder, "deploy.json") +
               " does not name the network's file: " + error.what());
  }

  // The folder may come from anybody: neither the name nor a link may lead out of it.
  if (name.empty() || name.size() > 255 || name.find('\0') != std::string::npos) {
    fail_model(inside(folder, "deploy.json") + " does not name the network's file");
  }
  std::error_code fault;
  const fs::path root = fs::weakly_canonical(fs::u8path(folder), fault);
  const fs::path file = fault ? root : fs::weakly_canonical(root / fs::u8path(name), fault);
  if (fault) fail_model(name + " in " + folder + " cannot be followed: " + fault.message());
  const auto [mismatch, rest] = std::mismatch(root.begin(), root.end(), file.begin(), file.end());
  if (mismatch != root.end() || rest == file.end()) {
    fail_model(inside(folder, "deploy.json") + " names " + name +
               " as the network, which lies outside of the folder; put the file into the folder");
  }
  if (!fs::is_regular_file(file, fault)) {
    fail_model(folder + " names " + name + ", which is not there");
  }
  return file.u8string();
}

Card sdk_card(const std::string& folder) {
  return sdk_card(SdkTexts{folder, read_text(inside(folder, "deploy.json")),
                           read_text(inside(folder, "pipeline.json"))});
}

Card sdk_card(const SdkTexts& texts) {
  try {
    Card card = read_card(texts);
    check_card(card, texts.folder);
    return card;
  } catch (const Json::exception& error) {
    fail_model(texts.folder + " is not a complete deployment SDK folder: " + error.what());
  } catch (const std::out_of_range&) {
    fail_model(texts.folder +
               " is not a complete deployment SDK folder: a transform is missing");
  }
}

}  // namespace rtmpose::core
