// Heat maps: a keypoint as a bump on a small map, its place refined to fractions of a map pixel.
#pragma once

#include "array.hpp"
#include "card.hpp"

namespace rtmpose::core {

// Points and scores of the first `n` crops, added to what is there. maps: (N, K, h, w).
void decode_heatmaps(const Array& maps, const Card& card, std::size_t n, std::vector<Point>& points,
                     std::vector<float>& scores);

}  // namespace rtmpose::core
