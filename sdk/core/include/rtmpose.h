/* rtmpose: people, their keypoints and their ids from C.
 *
 * Five calls lead to a result: open two models, make a tracker of them, apply it to a frame,
 * release what it returns. Every function that can fail returns an rtmpose_status; on anything but
 * RTMPOSE_OK, rtmpose_last_error() has the reason as text, for the calling thread.
 *
 * Growth: structs that the caller fills start with struct_size, set by the matching *_init
 * function. Fields are only ever appended, so that programs built with an older header keep
 * working. Structs that the library returns are read through pointers and grow the same way.
 *
 * Threads: models, detectors, pose detectors and trackers may be used by several threads at the
 * same time; they do not change after they are made. A stream (rtmpose_stream) belongs to one call
 * at a time; two calls at once return RTMPOSE_ERROR_BUSY. A result belongs to whoever got it and
 * may be released by any thread. No handle may be destroyed while a call uses it.
 *
 * Lifetime: a detector, pose detector or tracker keeps its models alive; closing a model handle
 * right after they are made is allowed. A stream keeps its tracker's settings alive.
 *
 * Coordinates are pixels of the image, boxes are x1, y1, x2, y2 (corners).
 */
#ifndef RTMPOSE_H_
#define RTMPOSE_H_

#include <stddef.h>
#include <stdint.h>

#if defined(RTMPOSE_STATIC)
#define RTMPOSE_API
#elif defined(_WIN32)
#if defined(RTMPOSE_BUILDING)
#define RTMPOSE_API __declspec(dllexport)
#else
#define RTMPOSE_API __declspec(dllimport)
#endif
#else
#define RTMPOSE_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- version and errors */

#define RTMPOSE_VERSION_MAJOR 0
#define RTMPOSE_VERSION_MINOR 1
#define RTMPOSE_VERSION_PATCH 0

typedef enum rtmpose_status {
  RTMPOSE_OK = 0,
  RTMPOSE_ERROR_ARGUMENT = 1, /* a pointer, size, number or box makes no sense */
  RTMPOSE_ERROR_MODEL = 2,    /* a model is missing, damaged or of another kind */
  RTMPOSE_ERROR_ENGINE = 3,   /* ONNX Runtime is missing, or failed */
  RTMPOSE_ERROR_BUSY = 4,     /* a stream is in use by another call */
  RTMPOSE_ERROR_MEMORY = 5,   /* not enough memory */
  RTMPOSE_ERROR_INTERNAL = 6  /* a fault of this library */
} rtmpose_status;

/* Version of the library as 10000 * major + 100 * minor + patch. */
RTMPOSE_API int32_t rtmpose_version_number(void);

/* The same as text, such as "0.1.0". */
RTMPOSE_API const char* rtmpose_version(void);

/* Why the last call of this thread failed; valid until this thread's next call. Never NULL. */
RTMPOSE_API const char* rtmpose_last_error(void);

/* ---- the engine */

/* Loads ONNX Runtime 1.16 or newer. Optional: opening a model does it where nobody has.
 *
 * path: the library's file; NULL looks at the environment variable RTMPOSE_ONNXRUNTIME, then for
 * the Python package onnxruntime of an active virtual or Conda environment, then for the system's
 * library. The engine is loaded once for the process: a second call with another path is an error.
 */
RTMPOSE_API rtmpose_status rtmpose_load_engine(const char* path);

/* Version of the loaded engine, such as "1.20.1"; an empty text before it is loaded. */
RTMPOSE_API const char* rtmpose_engine_version(void);

/* ---- images and boxes */

typedef enum rtmpose_pixels {
  RTMPOSE_BGR = 0, /* as OpenCV reads */
  RTMPOSE_RGB = 1,
  RTMPOSE_BGRA = 2, /* alpha is ignored */
  RTMPOSE_RGBA = 3,
  RTMPOSE_GRAY = 4
} rtmpose_pixels;

/* 8-bit pixels, row by row from the top; only read, during the call that gets it. */
typedef struct rtmpose_image {
  uint32_t struct_size;
  int32_t format; /* rtmpose_pixels */
  const uint8_t* data;
  int32_t width;
  int32_t height;
  int64_t stride; /* bytes from one row to the next; 0 for rows without gaps */
} rtmpose_image;

RTMPOSE_API void rtmpose_image_init(rtmpose_image* image, uint32_t struct_size);

typedef struct rtmpose_box {
  float x1, y1, x2, y2;
} rtmpose_box;

/* ---- models */

typedef struct rtmpose_model rtmpose_model;

/* Devices: "cpu"; "openvino" (the CPU by OpenVINO), "openvino:gpu", "openvino:npu"; "cuda",
 * "tensorrt", "dml" (DirectML), each also with a number such as "cuda:1"; "coreml". All but the
 * first need an ONNX Runtime that was built with them; without, opening a model is an error that
 * says so. "auto" is "openvino" where the loaded ONNX Runtime has it, the processor is an x86, and
 * the model opens with it, else "cpu": rtmpose_model_info says which, and why not "openvino".
 */
typedef struct rtmpose_options {
  uint32_t struct_size;
  int32_t threads;        /* CPU threads; 0: one per physical core */
  const char* device;     /* where the network runs, see above; NULL: "cpu" */
  int32_t allow_spinning; /* 1: threads burn CPU between calls, too; slower with two networks */
} rtmpose_options;

RTMPOSE_API void rtmpose_options_init(rtmpose_options* options, uint32_t struct_size);

typedef enum rtmpose_model_kind {
  RTMPOSE_KIND_DETECTOR = 1,  /* boxes in images */
  RTMPOSE_KIND_POSE = 2,      /* keypoints of one person in a box */
  RTMPOSE_KIND_ONE_STAGE = 3  /* people with boxes and keypoints in images */
} rtmpose_model_kind;

typedef struct rtmpose_model_info {
  uint32_t struct_size;
  int32_t kind; /* rtmpose_model_kind */
  int32_t input_width;
  int32_t input_height;
  int32_t keypoints;    /* 0 for detectors */
  int32_t links;        /* number of pairs in link_pairs */
  const char* id;       /* from the model's card */
  const char* skeleton; /* name of the keypoint set; empty for detectors */
  const char* const* keypoint_names;
  const int32_t* link_pairs; /* keypoints that are drawn connected, two indices for each link */
  int32_t classes;           /* number of names in class_names; 0 where a detector has none */
  const char* const* class_names;
  const char* device;        /* where it runs, such as "cpu" or "openvino" */
  const char* device_note;   /* why "auto" did not take OpenVINO; empty else */
} rtmpose_model_info;

/* Opens an .onnx file that holds a model card, or a folder with deploy.json and pipeline.json.
 *
 * path: UTF-8. options: NULL for the defaults.
 */
RTMPOSE_API rtmpose_status rtmpose_model_open(const char* path, const rtmpose_options* options,
                                              rtmpose_model** model);

/* The same from the bytes of an .onnx file, such as a resource of the program: they are copied, and
 * may be freed after the call. Weights must be inside; those in a file beside it are an error.
 *
 * name: what errors call it, and what stands for the file's name where the model holds no card;
 * UTF-8. NULL: "the model in memory".
 */
RTMPOSE_API rtmpose_status rtmpose_model_open_memory(const void* data, size_t size,
                                                     const char* name,
                                                     const rtmpose_options* options,
                                                     rtmpose_model** model);

/* What the model is; texts and arrays are valid while the handle is. Set struct_size first. */
RTMPOSE_API rtmpose_status rtmpose_model_get_info(const rtmpose_model* model,
                                                  rtmpose_model_info* info);

RTMPOSE_API void rtmpose_model_close(rtmpose_model* model); /* NULL is allowed */

/* ---- detector */

typedef struct rtmpose_detector rtmpose_detector;

typedef struct rtmpose_detect_params {
  uint32_t struct_size;
  float box_thr;      /* lowest score of a box, 0.3 */
  int32_t label;      /* class to keep; -1 keeps all; -2 people, where the model knows them */
  int32_t max_people; /* at most this many boxes; -1 for any number */
} rtmpose_detect_params;

RTMPOSE_API void rtmpose_detect_params_init(rtmpose_detect_params* params, uint32_t struct_size);

/* Highest score first. The arrays are never NULL, also where count is 0. */
typedef struct rtmpose_detections {
  int32_t count;
  const rtmpose_box* boxes; /* count; they may reach past the image */
  const float* scores;      /* count */
  const int32_t* labels;    /* count */
} rtmpose_detections;

RTMPOSE_API rtmpose_status rtmpose_detector_create(const rtmpose_model* model,
                                                   rtmpose_detector** detector);
RTMPOSE_API void rtmpose_detector_destroy(rtmpose_detector* detector);

/* params: NULL for the defaults. */
RTMPOSE_API rtmpose_status rtmpose_detector_apply(const rtmpose_detector* detector,
                                                  const rtmpose_image* image,
                                                  const rtmpose_detect_params* params,
                                                  const rtmpose_detections** detections);
RTMPOSE_API void rtmpose_detections_release(const rtmpose_detections* detections);

/* ---- pose detector */

typedef struct rtmpose_pose_detector rtmpose_pose_detector;

/* N people with K keypoints each, as arrays without gaps; of these only ids may be NULL. */
typedef struct rtmpose_poses {
  int32_t count;            /* N */
  int32_t keypoint_count;   /* K, also where nobody is there */
  const rtmpose_box* boxes; /* N */
  const float* box_scores;  /* N */
  const float* keypoints;   /* N * K * 2: x, y */
  const float* scores;      /* N * K */
  const int64_t* ids;       /* N, from 1; NULL where people are not tracked */
} rtmpose_poses;

/* model: a pose network or a one-stage model. */
RTMPOSE_API rtmpose_status rtmpose_pose_detector_create(const rtmpose_model* model,
                                                        rtmpose_pose_detector** pose);
RTMPOSE_API void rtmpose_pose_detector_destroy(rtmpose_pose_detector* pose);

/* The pose in each box, up to 64 in one call of the network; results in the order of the boxes.
 *
 * boxes: with box_count 0 and boxes NULL, the whole image is the box of one person; with box_count
 * 0 and boxes not NULL there is nobody. One-stage models find people themselves: boxes must be
 * NULL, box_thr is the lowest score of a person (a negative number: 0.3).
 */
RTMPOSE_API rtmpose_status rtmpose_pose_detector_apply(const rtmpose_pose_detector* pose,
                                                       const rtmpose_image* image,
                                                       const rtmpose_box* boxes, int32_t box_count,
                                                       float box_thr, const rtmpose_poses** poses);
RTMPOSE_API void rtmpose_poses_release(const rtmpose_poses* poses);

/* The people of an image in one call: boxes by the detector, the pose in each of them, each person
 * once, and nobody who is too doubtful. Box scores of the result are the detector's.
 *
 * detector: one-stage models ignore it; NULL is allowed there. params: NULL for the defaults.
 * person_thr: as below.
 */
RTMPOSE_API rtmpose_status rtmpose_find_people(const rtmpose_detector* detector,
                                               const rtmpose_pose_detector* pose,
                                               const rtmpose_image* image,
                                               const rtmpose_detect_params* params,
                                               float person_thr, const rtmpose_poses** people);

/* Each person once, and nobody who is too doubtful: for poses in detected boxes, not in given ones.
 * The score of given boxes is 1; rtmpose_find_people counts the detector's scores, too.
 *
 * person_thr: lowest person score (box score times the mean of the keypoint scores above 0.2); 0
 * keeps everything; a negative number: 0.12 where the keypoints are those of whole people, and 0
 * for hands, faces, animals and unknown sets. people: a new result, in the same order, with the
 * ids of tracked people.
 */
RTMPOSE_API rtmpose_status rtmpose_poses_people(const rtmpose_poses* poses, float person_thr,
                                                const rtmpose_poses** people);

/* ---- pose tracker */

typedef struct rtmpose_tracker rtmpose_tracker;
typedef struct rtmpose_stream rtmpose_stream;

/* Names, meaning and defaults of the published tracker's settings, but for det_thr, which is that
 * of images and 0.5 there; the last six are additions.
 */
typedef struct rtmpose_tracker_params {
  uint32_t struct_size;
  int32_t det_interval;       /* frames from one detection to the next, 1 */
  int32_t det_label;          /* class of a person, 0; -1 for any */
  float det_thr;              /* lowest score of a detected box, 0.3 */
  float det_min_bbox_size;    /* smallest detected box: root of its area; -1 for any */
  float det_nms_thr;          /* overlap of a followed and a detected box of one person, 0.7 */
  int32_t pose_max_num_bboxes; /* at most this many people per frame; -1 for any number */
  float pose_kpt_thr;         /* lowest score of a keypoint that counts as seen, 0.5 */
  int32_t pose_min_keypoints; /* fewest seen keypoints of a followed person; -1 for half of all */
  float pose_bbox_scale;      /* from the keypoints' extent to the followed box, 1.25 */
  float pose_min_bbox_size;   /* smallest followed box; -1 for any */
  float pose_nms_thr;         /* similarity above which two poses are one, 0.5 */
  float track_iou_thr;        /* lowest overlap with the predicted box, 0.4 */
  int32_t track_max_missing;  /* frames a lost person is remembered, 10 */
  int32_t track_history_size; /* accepted for compatibility, 1; poses of the past are not kept */
  float std_weight_position;  /* uncertainty of a box's place per height, 0.05 */
  float std_weight_velocity;  /* the same of its velocity per frame, 0.00625 */
  float smooth_params[3];     /* one-euro filter: beta, fc_min, fc_derivative: 0.007, 1, 1 */
  int32_t smooth;             /* 1: keypoints are smoothed, 1 */
  int32_t repair_swaps;       /* 1: undo left and right limbs exchanged for a moment, 1 */
  float remember_s;           /* seconds that somebody who was seen for long is remembered, 1 */
  int32_t confirm;            /* sightings before a doubtful new track gets an id, 2 */
  float person_thr;           /* lowest person score of a new track; -1: see above */
  int32_t whole_image;        /* 1: without a detector, each frame is one person's box, 0 */
} rtmpose_tracker_params;

RTMPOSE_API void rtmpose_tracker_params_init(rtmpose_tracker_params* params, uint32_t struct_size);

/* detector: NULL where boxes come with the frames; one-stage models ignore it. pose: a pose network
 * or a one-stage model. params: NULL for the defaults; they are copied.
 */
RTMPOSE_API rtmpose_status rtmpose_tracker_create(const rtmpose_model* detector,
                                                  const rtmpose_model* pose,
                                                  const rtmpose_tracker_params* params,
                                                  rtmpose_tracker** tracker);
RTMPOSE_API void rtmpose_tracker_destroy(rtmpose_tracker* tracker);

/* The memory for one video or camera; each has ids of its own, from 1. */
RTMPOSE_API rtmpose_status rtmpose_stream_create(const rtmpose_tracker* tracker,
                                                 rtmpose_stream** stream);
RTMPOSE_API void rtmpose_stream_destroy(rtmpose_stream* stream);

/* Forgets the people; ids go on, so that none is used twice. */
RTMPOSE_API rtmpose_status rtmpose_stream_reset(rtmpose_stream* stream);

typedef struct rtmpose_frame {
  uint32_t struct_size;
  int32_t detect;           /* 1: run the detector, if any; 0: do not; -1: as det_interval says */
  rtmpose_stream* stream;   /* of this frame */
  const rtmpose_image* image;
  double time_s;            /* seconds; NaN: frames come 30 times a second */
  const rtmpose_box* boxes; /* detected elsewhere, instead of the detector; NULL for none */
  const float* box_scores;  /* theirs; NULL: all 1 */
  int32_t box_count;
} rtmpose_frame;

RTMPOSE_API void rtmpose_frame_init(rtmpose_frame* frame, uint32_t struct_size);

/* The people in the next frame of a stream, in the order of their ids. */
RTMPOSE_API rtmpose_status rtmpose_tracker_apply(const rtmpose_tracker* tracker,
                                                 const rtmpose_frame* frame,
                                                 const rtmpose_poses** poses);

/* One frame each of several streams; their people share the calls of the pose network.
 *
 * frames: frame_count pointers (1 to 1024), each with another stream. poses: as many, all set or,
 * after an error, all NULL.
 */
RTMPOSE_API rtmpose_status rtmpose_tracker_apply_batch(const rtmpose_tracker* tracker,
                                                       const rtmpose_frame* const* frames,
                                                       int32_t frame_count,
                                                       const rtmpose_poses** poses);

#ifdef __cplusplus
}
#endif

#endif /* RTMPOSE_H_ */
