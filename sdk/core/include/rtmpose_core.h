/* rtmpose without an engine: the tracker for programs that run the networks themselves.
 *
 * These functions need neither ONNX Runtime nor threads, so they also build for WebAssembly. A
 * frame takes two calls: rtmpose_stream_begin says where poses are wanted, rtmpose_stream_finish
 * takes them and says who is who. Parameters, results, threads and errors are those of rtmpose.h.
 */
#ifndef RTMPOSE_CORE_H_
#define RTMPOSE_CORE_H_

#include "rtmpose.h"

#ifdef __cplusplus
extern "C" {
#endif

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
