#include "skeleton.hpp"

#include "types.hpp"

namespace rtmpose::core {
namespace {

constexpr const char* kSkeletons[] = {
#include "skeletons.inc"
};

constexpr std::size_t kMostKeypoints = 10000;

int index_below(const Json& value, std::size_t count) {
  const int index = value.get<int>();
  if (index < 0 || static_cast<std::size_t>(index) >= count) {
    fail_model("a keypoint set has the index " + std::to_string(index) + " among " +
               std::to_string(count) + " keypoints");
  }
  return index;
}

Skeleton generic_skeleton(std::size_t count) {
  Skeleton skeleton;
  skeleton.name = "generic" + std::to_string(count);
  for (std::size_t i = 0; i < count; ++i) {
    skeleton.keypoints.push_back("keypoint_" + std::to_string(i));
    skeleton.flip_indices.push_back(static_cast<int>(i));
    skeleton.is_left.push_back(false);
  }
  return skeleton;
}

}  // namespace

Skeleton skeleton_from_json(const Json& table) {
  try {
    Skeleton skeleton;
    skeleton.name = table.at("name").get<std::string>();
    skeleton.keypoints = table.at("keypoints").get<std::vector<std::string>>();
    const std::size_t count = skeleton.size();
    if (count == 0 || count > kMostKeypoints) {
      fail_model("a keypoint set has " + std::to_string(count) + " keypoints");
    }
    for (const Json& index : table.at("flip_indices")) {
      skeleton.flip_indices.push_back(index_below(index, count));
    }
    for (const Json& side : table.at("sides")) {
      skeleton.is_left.push_back(side.get<std::string>() == "left");
    }
    for (const Json& link : table.value("links", Json::array())) {
      skeleton.links.emplace_back(index_below(link.at(0), count), index_below(link.at(1), count));
    }
    skeleton.sigmas = table.value("sigmas", std::vector<double>());
    if (skeleton.flip_indices.size() != count || skeleton.is_left.size() != count ||
        (!skeleton.sigmas.empty() && skeleton.sigmas.size() != count)) {
      fail_model("the parts of the keypoint set " + skeleton.name + " do not fit together");
    }
    for (const double sigma : skeleton.sigmas) {
      if (!(sigma > 0)) fail_model("a sigma of the keypoint set is not positive");
    }
    return skeleton;
  } catch (const Json::exception& error) {
    fail_model(std::string("the keypoint set in the model's card is not valid: ") + error.what());
  }
}

Skeleton skeleton_by_name(const std::string& name) {
  for (const char* text : kSkeletons) {
    const Json table = Json::parse(text);
    if (table.at("name") == name) return skeleton_from_json(table);
  }
  fail_model("there is no keypoint set named " + name);
}

Skeleton skeleton_for_count(std::size_t count) {
  // 17 points are taken for a person, not an animal.
  switch (count) {
    case 17: return skeleton_by_name("coco17");
    case 21: return skeleton_by_name("hand21");
    case 26: return skeleton_by_name("halpe26");
    case 106: return skeleton_by_name("lapa106");
    case 133: return skeleton_by_name("coco-wholebody133");
    default: return generic_skeleton(count);
  }
}

}  // namespace rtmpose::core
