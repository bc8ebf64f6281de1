// What a model file without a card is: by its layers' names, its file name and its outputs.
#pragma once

#include "card.hpp"
#include "network.hpp"

namespace rtmpose::core {

// A card for the file. Throws Error where nothing tells what it is.
Card recognized_card(const Network& network);

// The card with what the file itself shows where the card leaves it open. Throws Error where the
// two do not agree.
Card completed_card(Card card, const Network& network);

std::vector<std::string> output_names(const Network& network);
std::vector<Shape> output_shapes(const Network& network);

}  // namespace rtmpose::core
