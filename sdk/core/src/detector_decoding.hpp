// Whatever form a detector's outputs have, as detections in input pixels.
#pragma once

#include "array.hpp"
#include "types.hpp"

namespace rtmpose::core {

// Reads the first image of: boxes (1, n, 5) with labels; boxes (1, n, 4), scores and labels, with
// or without their number; candidates (1, A, 4) with scores (1, A, C); RTMDet's maps of three
// strides, joined or apart; and what the YOLO families return.
//
// score_thr: used where suppression happens here. Throws Error where the form is another.
Detections read_detections(const Arrays& outputs, Size input, float score_thr,
                           const std::string& name);

// A candidate that suppression has still to decide on.
struct Candidates {
  std::vector<Box> boxes;
  std::vector<float> scores;
  std::vector<std::int64_t> labels;
};

// The best `most` candidates, by their scores.
Candidates best_candidates(Candidates all, std::size_t most);

// Suppression within each class; the highest score first.
Detections suppress(const Candidates& all, float iou_thr, std::size_t most);

}  // namespace rtmpose::core
