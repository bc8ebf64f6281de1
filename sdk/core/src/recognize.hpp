// What a model file without a card is: by its layers' names, its file name and its outputs.
#pragma once

#include <functional>

#include "card.hpp"
#include "network_form.hpp"

namespace rtmpose::core {

// A card for the file. contains: whether a text stands anywhere in it. Throws Error where nothing
// tells what it is.
Card recognized_card(const NetworkForm& network,
                     const std::function<bool(const std::string&)>& contains);

// The card with what the file itself shows where the card leaves it open. Throws Error where the
// two do not agree.
Card completed_card(Card card, const NetworkForm& network);

}  // namespace rtmpose::core
