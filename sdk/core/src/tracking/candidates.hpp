// Where poses are estimated: detections that count, merged with the boxes of people who are
// followed.
#pragma once

#include "tracking/state.hpp"

namespace rtmpose::core {

// Detections down to this score count where a tracked person is expected.
constexpr float kDoubtfulThr = 0.1f;

// Rows of the detections that count: the confident ones, and doubtful ones of tracked people.
Rows accepted_rows(const Detections& found, const std::vector<std::unique_ptr<Track>>& tracks,
                   const TrackerParams& params);

// Detected boxes that count, and those of followed people whom the detector does not see. found:
// nothing where the detector did not run. Labels of the result: the index among `found`, -1 for
// somebody who is followed.
Detections merged_boxes(const Detections& found, const Rows& accepted,
                        const std::vector<std::unique_ptr<Track>>& tracks,
                        const TrackerParams& params);

// Whether a box and one of the others lie mostly one in the other, whichever is the larger.
bool is_nested(const Box& box, const std::vector<Box>& others);

}  // namespace rtmpose::core
