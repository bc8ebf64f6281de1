/* rtmpose without an engine, for programs that run the networks themselves: what comes before and
 * after them, and the tracker.
 *
 * These functions need neither ONNX Runtime nor threads, so they also build for WebAssembly.
 * Parameters, results, threads and errors are those of rtmpose.h.
 *
 * Models: describe one with rtmpose_bare_model_create and rtmpose_bare_model_check. For each image
 * rtmpose_bare_input_of_image or rtmpose_bare_input_of_boxes says what the network gets,
 * rtmpose_bare_detections or rtmpose_bare_poses reads what it returns.
 *
 * Tracker: a frame takes two calls. rtmpose_stream_begin says where poses are wanted,
 * rtmpose_stream_finish takes them and says who is who.
 */
#ifndef RTMPOSE_CORE_H_
#define RTMPOSE_CORE_H_

#include "rtmpose.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- models */

typedef enum rtmpose_element {
  RTMPOSE_FLOAT32 = 0,
  RTMPOSE_INT64 = 1,
  RTMPOSE_INT32 = 2,
  RTMPOSE_OTHER_ELEMENT = 3
} rtmpose_element;

/* An input or output of a network: as its file declares it, or with its numbers. */
typedef struct rtmpose_tensor {
  const char* name;
  int32_t element; /* rtmpose_element */
  int32_t rank;
  const int64_t* shape; /* rank numbers; in declarations -1 where it may vary */
  const void* data;     /* NULL in declarations */
} rtmpose_tensor;

typedef struct rtmpose_bare_model rtmpose_bare_model;

/* A model by what its file says.
 *
 * path: its file, whose name counts where there is no card; for errors. card: the text of its
 * metadata "rtmpose.card"; NULL: without one the model is recognized. layers: names of layers or
 * weights, as one text, for recognition; NULL for none. input, outputs: as the file declares them.
 */
RTMPOSE_API rtmpose_status rtmpose_bare_model_create(const char* path, const char* card,
                                                     const char* layers,
                                                     const rtmpose_tensor* input,
                                                     const rtmpose_tensor* outputs,
                                                     int32_t output_count,
                                                     rtmpose_bare_model** model);

/* A model by the files of a folder of the deployment SDK.
 *
 * folder: its path, for the model's name and for errors. deploy, pipeline: the texts of deploy.json,
 * which names the network's file, and pipeline.json. input, outputs: as that file declares them.
 */
RTMPOSE_API rtmpose_status rtmpose_bare_model_create_from_folder(
    const char* folder, const char* deploy, const char* pipeline, const rtmpose_tensor* input,
    const rtmpose_tensor* outputs, int32_t output_count, rtmpose_bare_model** model);

/* The size of a batch that the file fixes; 0 where it may vary. */
RTMPOSE_API int32_t rtmpose_bare_model_batch(const rtmpose_bare_model* model);

/* Looks at what the network returned for one black image of info->input_width and input_height, all
 * numbers 0, repeated where the file fixes the batch. Needed once, before any other use.
 */
RTMPOSE_API rtmpose_status rtmpose_bare_model_check(rtmpose_bare_model* model,
                                                    const rtmpose_tensor* outputs,
                                                    int32_t output_count);

/* As rtmpose_model_get_info; keypoints are known after the check. */
RTMPOSE_API rtmpose_status rtmpose_bare_model_get_info(const rtmpose_bare_model* model,
                                                       rtmpose_model_info* info);

RTMPOSE_API void rtmpose_bare_model_close(rtmpose_bare_model* model);

/* What a network gets, and what is needed to read its outputs. */
typedef struct rtmpose_bare_input {
  int32_t count; /* N: people or images, as many as a fixed batch wants */
  int32_t height;
  int32_t width;
  const float* pixels; /* N * 3 * height * width */
} rtmpose_bare_input;

/* The whole image, for detectors and one-stage models. */
RTMPOSE_API rtmpose_status rtmpose_bare_input_of_image(const rtmpose_bare_model* model,
                                                       const rtmpose_image* image,
                                                       const rtmpose_bare_input** input);

/* The people in boxes, at most 64 or as many as a fixed batch has, for pose networks. boxes: NULL:
 * the whole image is one person's. box_scores: NULL: all 1.
 */
RTMPOSE_API rtmpose_status rtmpose_bare_input_of_boxes(const rtmpose_bare_model* model,
                                                       const rtmpose_image* image,
                                                       const rtmpose_box* boxes,
                                                       const float* box_scores, int32_t box_count,
                                                       const rtmpose_bare_input** input);

RTMPOSE_API void rtmpose_bare_input_release(const rtmpose_bare_input* input);

/* What a detector returned for an input. params: NULL for the defaults. */
RTMPOSE_API rtmpose_status rtmpose_bare_detections(const rtmpose_bare_input* input,
                                                   const rtmpose_tensor* outputs,
                                                   int32_t output_count,
                                                   const rtmpose_detect_params* params,
                                                   const rtmpose_detections** detections);

/* What a pose network or one-stage model returned for an input. box_thr: of one-stage models, the
 * lowest score of a person (a negative number: 0.3).
 */
RTMPOSE_API rtmpose_status rtmpose_bare_poses(const rtmpose_bare_input* input,
                                              const rtmpose_tensor* outputs, int32_t output_count,
                                              float box_thr, const rtmpose_poses** poses);

/* rtmpose_poses_people for poses as plain arrays, such as those of several calls: boxes (count),
 * box_scores (count), keypoints (count * K * 2), scores (count * K).
 */
RTMPOSE_API rtmpose_status rtmpose_bare_people(const rtmpose_bare_model* model,
                                               const rtmpose_box* boxes, const float* box_scores,
                                               const float* keypoints, const float* scores,
                                               int32_t count, float person_thr,
                                               const rtmpose_poses** people);

/* ---- tracker */

/* A tracker of poses that are computed elsewhere; it makes streams as any other tracker does.
 *
 * skeleton: name of a published keypoint set ("coco17", "halpe26", ...), or JSON as in the
 * own_skeleton of a model's card; NULL: the published set of keypoint_count points.
 * keypoint_count: points of each pose; 0: as many as the skeleton has. one_stage: 1 where the
 * people of whole frames come with their poses, 0 where poses are estimated in boxes. params: NULL
 * for the defaults; they are copied.
 */
RTMPOSE_API rtmpose_status rtmpose_tracker_create_bare(const char* skeleton, int32_t keypoint_count,
                                                       int32_t one_stage,
                                                       const rtmpose_tracker_params* params,
                                                       rtmpose_tracker** tracker);

/* 1 where det_interval wants the detector to run in the stream's next frame, else 0; also 0 where
 * stream is NULL or in use by another call.
 */
RTMPOSE_API int32_t rtmpose_stream_wants_detection(const rtmpose_stream* stream);

/* Lowest score that detections need to be of use, such as 0.1: doubtful ones count where a tracked
 * person is expected. A negative number where tracker is NULL.
 */
RTMPOSE_API float rtmpose_tracker_lowest_score(const rtmpose_tracker* tracker);

/* First half of a frame: moves everybody on, and says in which boxes poses are to be estimated.
 *
 * width, height: of the frame. time_s: seconds; NaN: frames come 30 times a second. boxes: what the
 * detector found, highest score first; NULL where it did not run (of one-stage models: the people).
 * box_scores: NULL: all 1. labels: their classes; NULL: all are people. wanted: the boxes of which
 * rtmpose_stream_finish wants the poses, in that order; wanted->labels[i] is the index among the
 * given boxes, -1 for somebody who is followed. Calling it again before rtmpose_stream_finish is an
 * error, except after rtmpose_stream_reset.
 */
RTMPOSE_API rtmpose_status rtmpose_stream_begin(rtmpose_stream* stream, int32_t width,
                                                int32_t height, double time_s,
                                                const rtmpose_box* boxes, const float* box_scores,
                                                const int32_t* labels, int32_t box_count,
                                                const rtmpose_detections** wanted);

/* Second half: the people of the frame with ids, in the order of their ids.
 *
 * keypoints: wanted->count * K * 2, pixels of the frame. scores: wanted->count * K. Both may be
 * NULL where nobody was wanted.
 */
RTMPOSE_API rtmpose_status rtmpose_stream_finish(rtmpose_stream* stream, const float* keypoints,
                                                 const float* scores, int32_t count,
                                                 const rtmpose_poses** poses);

#ifdef __cplusplus
}
#endif

#endif /* RTMPOSE_CORE_H_ */
