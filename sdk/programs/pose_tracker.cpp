// Follows people through a video and draws their poses.
#include <cmath>
#include <csignal>
#include <cstdio>
#include <opencv2/imgproc.hpp>

#include "arguments.hpp"
#include "drawing.hpp"
#include "handles.hpp"
#include "media.hpp"

namespace {

// Ctrl-C and termination end the work after the current frame; a second one ends the program.
volatile std::sig_atomic_t stopped_by = 0;

extern "C" void stop(int signal) {
  stopped_by = signal;
  std::signal(signal, SIG_DFL);
}

struct Settings {
  std::string det_model;
  std::string pose_model;
  std::string input;
  std::string device = "cpu";
  std::string output;
  int output_size = 0;
  int flip = 0;
  int show = 1;
  std::string skeleton = "model";
  std::string background = "default";
  rtmpose_tracker_params tracker;
};

void add_tracker_options(programs::Arguments* arguments, rtmpose_tracker_params* p) {
  arguments->option(&p->det_interval, "det_interval", "frames from one detection to the next");
  arguments->option(&p->det_label, "det_label", "class of a person");
  arguments->option(&p->det_thr, "det_thr", "lowest score of a box");
  arguments->option(&p->det_min_bbox_size, "det_min_bbox_size",
                    "smallest detected box: root of its area; -1 for any");
  arguments->option(&p->det_nms_thr, "det_nms_thr",
                    "overlap of a followed and a detected box of one person");
  arguments->option(&p->pose_max_num_bboxes, "pose_max_num_bboxes",
                    "at most this many people per frame; -1 for any number");
  arguments->option(&p->pose_kpt_thr, "pose_kpt_thr", "lowest score of a keypoint that is seen");
  arguments->option(&p->pose_min_keypoints, "pose_min_keypoints",
                    "fewest seen keypoints of a person; -1 for half of all");
  arguments->option(&p->pose_bbox_scale, "pose_bbox_scale",
                    "from the keypoints' extent to the followed box");
  arguments->option(&p->pose_min_bbox_size, "pose_min_bbox_size",
                    "smallest followed box; -1 for any");
  arguments->option(&p->pose_nms_thr, "pose_nms_thr",
                    "similarity above which two poses are one");
  arguments->option(&p->track_iou_thr, "track_iou_thr", "lowest overlap with the predicted box");
  arguments->option(&p->track_max_missing, "track_max_missing",
                    "frames that a lost person is remembered");
}

bool parse(int argc, char** argv, Settings* s) {
  rtmpose_tracker_params_init(&s->tracker, sizeof(s->tracker));
  s->tracker.det_thr = 0.5f;  // the published default, as in det_pose
  programs::Arguments arguments("pose_tracker",
                                "Follows people through a video and draws their poses.");
  arguments.place(&s->det_model, "DET_MODEL", "detector: .onnx file or model folder");
  arguments.place(&s->pose_model, "POSE_MODEL", "pose network: .onnx file or model folder");
  arguments.place(&s->input, "INPUT",
                  "video, image, list of images (.txt), %04d.jpg or camera number");
  arguments.option(&s->device, "device", "cpu, auto, openvino, cuda, cuda:1, tensorrt, dml or coreml");
  arguments.option(&s->output, "output", "video, image, or numbered images (%04d.jpg)");
  arguments.option(&s->output_size, "output_size", "long side of the output; 0 as the input");
  arguments.option(&s->flip, "flip", "1 mirrors the frames");
  arguments.option(&s->show, "show", "ms per frame in a window; 0 waits for a key; -1: no window");
  arguments.option(&s->skeleton, "skeleton",
                   "model, coco, coco-wholebody, coco-wholebody-hand, or a skeleton file");
  arguments.option(&s->background, "background", "default: the frame; black");
  add_tracker_options(&arguments, &s->tracker);
  if (!arguments.parse(argc, argv)) return false;
  if (s->background != "default" && s->background != "black") {
    throw programs::UsageError{"--background is default or black, not \"" + s->background + "\""};
  }
  if (s->output_size < 0 || s->output_size > 16384) {
    throw programs::UsageError{"--output_size is a number of pixels from 0 to 16384"};
  }
  return true;
}

// The frame, or black, at the size of the output.
cv::Mat canvas_of(const cv::Mat& frame, const Settings& s, float* scale) {
  *scale = s.output_size == 0 ? 1.0f
                              : static_cast<float>(s.output_size) /
                                    static_cast<float>(std::max(frame.cols, frame.rows));
  const cv::Size size(std::max(1, static_cast<int>(std::lround(frame.cols * *scale))),
                      std::max(1, static_cast<int>(std::lround(frame.rows * *scale))));
  if (s.background == "black") return cv::Mat::zeros(size, CV_8UC3);
  cv::Mat canvas;
  if (size == frame.size()) return frame.clone();
  cv::resize(frame, canvas, size);
  return canvas;
}

void draw(cv::Mat& canvas, const rtmpose_poses& people, const programs::Skeleton& skeleton,
          float threshold, float scale) {
  const int k = people.keypoint_count;
  for (int i = 0; i < people.count; ++i) {
    programs::draw_pose(canvas, skeleton, people.keypoints + 2 * i * k, people.scores + i * k, k,
                        threshold, scale);
    const cv::Point2f corner(people.boxes[i].x1 * scale, people.boxes[i].y1 * scale + 14);
    cv::putText(canvas, std::to_string(people.ids[i]), corner, cv::FONT_HERSHEY_SIMPLEX, 0.5,
                cv::Scalar::all(255), 1, cv::LINE_AA);
  }
}

// "1 frame, ids up to 2"; an error where there was none to read.
int report(int frames, int64_t highest_id, const std::string& input) {
  if (frames == 0 && stopped_by == 0) {
    throw programs::UsageError{"there is no frame that can be read in " + input};
  }
  std::printf("%d %s, ids up to %lld\n", frames, frames == 1 ? "frame" : "frames",
              static_cast<long long>(highest_id));
  if (stopped_by == 0) return 0;
  std::fprintf(stderr, "pose_tracker: stopped; what was done until here is written\n");
  return 128 + stopped_by;
}

int run(const Settings& s) {
  programs::Input input(s.input, s.flip != 0);
  programs::Output output(s.output, s.input, s.show, input.frame_rate());
  const programs::Model detector = programs::open_model(s.det_model, s.device);
  const programs::Model pose = programs::open_model(s.pose_model, s.device);
  const programs::Skeleton skeleton =
      programs::Skeleton::get(s.skeleton, programs::info_of(pose.get()));
  programs::check_label(s.tracker.det_label, detector.get());
  rtmpose_tracker* made = nullptr;
  programs::check(rtmpose_tracker_create(detector.get(), pose.get(), &s.tracker, &made));
  const programs::Tracker tracker(made);
  rtmpose_stream* opened = nullptr;
  programs::check(rtmpose_stream_create(tracker.get(), &opened));
  const programs::Stream stream(opened);

  cv::Mat frame;
  int frames = 0;
  int64_t highest_id = 0;
  rtmpose_frame next;
  rtmpose_frame_init(&next, sizeof(next));
  next.stream = stream.get();
  std::signal(SIGINT, stop);
  std::signal(SIGTERM, stop);
  while (stopped_by == 0 && input.read(&frame, &next.time_s)) {
    const rtmpose_image pixels = programs::as_image(frame);
    next.image = &pixels;
    const rtmpose_poses* result = nullptr;
    programs::check(rtmpose_tracker_apply(tracker.get(), &next, &result));
    const programs::Poses people(result);
    ++frames;
    for (int i = 0; i < people->count; ++i) highest_id = std::max(highest_id, people->ids[i]);

    float scale = 1;
    cv::Mat canvas = canvas_of(frame, s, &scale);
    draw(canvas, *people, skeleton, s.tracker.pose_kpt_thr, scale);
    if (!output.write(canvas)) break;
  }
  return report(frames, highest_id, s.input);
}

}  // namespace

int main(int argc, char** argv) {
  Settings settings;
  return programs::run_program(
      "pose_tracker", [&] { return parse(argc, argv, &settings); }, [&] { return run(settings); });
}
