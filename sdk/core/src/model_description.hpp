// Everything that must be known of a model to run it, whichever engine does.
#pragma once

#include "card.hpp"
#include "keypoint_decoding.hpp"
#include "network_form.hpp"

namespace rtmpose::core {

struct ModelDescription {
  NetworkForm form;
  Card card;
  rtmpose_model_kind kind = RTMPOSE_KIND_POSE;
  Skeleton skeleton;                                // of detectors: empty
  KeypointForm keypoint_form = KeypointForm::kCoded;
  std::string device;       // where the network runs; empty where that is not known here
  std::string device_note;  // why it is not the best one
  bool rectangular = false;                         // frames are padded as little as possible

  // For the C interface: names as pointers that live as long as this.
  std::vector<const char*> keypoint_names;
  std::vector<std::int32_t> link_pairs;
  std::vector<const char*> class_names;

  const std::string& path() const { return form.path; }
};

// First half: what the file says. Throws Error where the card and the file do not agree.
void describe(ModelDescription& model, NetworkForm form, Card card);

// Second half: what the network really returns for one black image decides on the keypoint set.
// The description must stay where it is from here on. Throws Error where the outputs are of another
// kind than the card says.
void check_outputs(ModelDescription& model, const Arrays& outputs);

// Throws Error where a network returned nothing for the first image, whose rows decoders read.
void check_first_rows(const ModelDescription& model, const Arrays& outputs);

// For the C interface, without struct_size.
rtmpose_model_info info_of(const ModelDescription& model);

}  // namespace rtmpose::core
