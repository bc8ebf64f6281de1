// Differences between results and recorded ones, and the bars they must meet.
#pragma once

#include <string>
#include <vector>

#include "conformance_images.hpp"

namespace conformance {

// All differences of one kind of case.
class Differences {
 public:
  explicit Differences(std::string kind) : kind_(std::move(kind)) {}

  // Distances of the case are divided by it (large images of repeated pixels).
  void start_case(const std::string& name, double scale);

  void add_detections(const rtmpose::Detections& found, const Json& expected);
  void add_poses(const rtmpose::Poses& found, const Json& expected, const Json& ties);

  // Prints one line; false where a bar is not met.
  bool report() const;

 private:
  void fault(const std::string& text);
  void add_box(const rtmpose::Box& box, const Json& expected);
  void add_keypoints(const rtmpose::Person& person, std::size_t row, const Json& expected,
                     const Json& ties);

  std::string kind_;
  std::string case_;
  double scale_ = 1;
  int cases_ = 0;
  std::size_t people_ = 0;
  std::size_t jumps_ = 0;       // keypoints that are half a pixel or more away
  std::size_t known_jumps_ = 0;  // of these, those that are listed as ties
  bool same_people_ = true;
  std::vector<double> boxes_;
  std::vector<double> keypoints_;
  std::vector<double> box_scores_;
  std::vector<double> scores_;
};

}  // namespace conformance
