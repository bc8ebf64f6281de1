// What the opaque handles of trackers and streams hold.
#pragma once

#include <atomic>
#include <memory>

#include "tracking/tracker.hpp"

namespace rtmpose::core {

// The networks of a tracker; only known where there is an engine.
struct TrackerNetworks;

}  // namespace rtmpose::core

struct rtmpose_tracker {
  std::shared_ptr<const rtmpose::core::Tracker> data;
  std::shared_ptr<const rtmpose::core::TrackerNetworks> networks;  // none in a bare tracker
};

struct rtmpose_stream {
  std::shared_ptr<const rtmpose::core::Tracker> tracker;
  rtmpose::core::TrackState state;
  mutable std::atomic<bool> busy{false};  // a call has it
};

namespace rtmpose::core {

// Holds a stream for one call; throws where another call has it.
class StreamLock {
 public:
  explicit StreamLock(const rtmpose_stream* stream) : stream_(stream) {
    if (stream_->busy.exchange(true)) {
      throw Error(RTMPOSE_ERROR_BUSY, "the stream is in use by another call");
    }
  }
  ~StreamLock() {
    if (stream_) stream_->busy = false;
  }
  StreamLock(StreamLock&& other) noexcept : stream_(other.stream_) { other.stream_ = nullptr; }
  StreamLock(const StreamLock&) = delete;
  StreamLock& operator=(const StreamLock&) = delete;

 private:
  const rtmpose_stream* stream_;
};

// Throws where it is infinite; no number stands for a stream without a clock.
void check_time(double time_s);

// Boxes from elsewhere as detections. scores: NULL: all 1. labels: NULL: all are people.
Detections given_detections(const rtmpose_box* boxes, const float* scores,
                            const std::int32_t* labels, std::int32_t count,
                            const TrackerParams& params);

}  // namespace rtmpose::core
