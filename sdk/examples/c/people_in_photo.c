/* People in a photo (a binary PPM file): people_in_photo DETECTOR.onnx POSE.onnx PHOTO.ppm */
#include <rtmpose.h>
#include <stdio.h>
#include <stdlib.h>

static void check(rtmpose_status status) {
  if (status == RTMPOSE_OK) return;
  fprintf(stderr, "%s\n", rtmpose_last_error());
  exit(1);
}

static rtmpose_image read_photo(const char* path) {
  rtmpose_image image;
  FILE* file = fopen(path, "rb");
  rtmpose_image_init(&image, sizeof image);
  if (!file || fscanf(file, "P6 %d %d 255", &image.width, &image.height) != 2) exit(2);
  fgetc(file);
  const size_t bytes = 3 * (size_t)image.width * (size_t)image.height;
  unsigned char* pixels = malloc(bytes);
  if (!pixels || fread(pixels, 1, bytes, file) != bytes) exit(2);
  fclose(file);
  image.format = RTMPOSE_RGB;
  image.data = pixels;
  return image;
}

int main(int argc, char** argv) {
  if (argc != 4) return puts("usage: people_in_photo DETECTOR.onnx POSE.onnx PHOTO.ppm"), 2;
  rtmpose_model *detector_model, *pose_model;
  rtmpose_detector* detector;
  rtmpose_pose_detector* pose;
  check(rtmpose_model_open(argv[1], NULL, &detector_model));
  check(rtmpose_model_open(argv[2], NULL, &pose_model));
  check(rtmpose_detector_create(detector_model, &detector));
  check(rtmpose_pose_detector_create(pose_model, &pose));

  const rtmpose_image image = read_photo(argv[3]);
  const rtmpose_poses* poses;
  check(rtmpose_find_people(detector, pose, &image, NULL, -1, &poses));
  for (int i = 0; i < poses->count; ++i) {
    const float* first = poses->keypoints + 2 * i * poses->keypoint_count;
    printf("person %d: score %.2f, first keypoint at %.1f, %.1f\n", i, poses->box_scores[i],
           first[0], first[1]);
  }

  rtmpose_poses_release(poses);
  rtmpose_pose_detector_destroy(pose);
  rtmpose_detector_destroy(detector);
  rtmpose_model_close(pose_model);
  rtmpose_model_close(detector_model);
  free((void*)image.data);
  return 0;
}
