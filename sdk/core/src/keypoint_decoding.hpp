// Outputs of networks that see one person per crop, as keypoints in crop pixels.
#pragma once

#include "array.hpp"
#include "card.hpp"

namespace rtmpose::core {

enum class KeypointForm {
  kCoded,           // as the card says
  kDecoded,         // keypoints (N, K, 2) and scores (N, K)
  kDecodedTriples,  // (N, K, 3)
};

// The form that outputs of these names and shapes have.
KeypointForm keypoint_form(const std::vector<std::string>& names, const std::vector<Shape>& shapes);

// Whether crops are measured between pixel centers.
bool is_udp(const Card& card);

// The number of keypoints in outputs for `n` crops. Throws Error where they are of another form;
// `name` is the model's.
std::size_t check_keypoint_outputs(const Arrays& outputs, const Card& card, KeypointForm form,
                                   std::int64_t n, const std::string& name);

// Points and scores (n, K) of the first `n` crops, added to what is there.
void decode_keypoints(const Arrays& outputs, const Card& card, KeypointForm form, std::size_t n,
                      std::vector<Point>& points, std::vector<float>& scores);

}  // namespace rtmpose::core
