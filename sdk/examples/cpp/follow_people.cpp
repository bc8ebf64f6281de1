// People with their ids in a sequence of photos (binary PPM files), as in the frames of a video:
// follow_people DETECTOR.onnx POSE.onnx FRAME.ppm...
#include <cstdio>
#include <fstream>
#include <iostream>
#include <rtmpose.hpp>

int main(int argc, char** argv) {
  if (argc < 4) return std::puts("usage: follow_people DETECTOR.onnx POSE.onnx FRAME.ppm..."), 2;
  try {
    const rtmpose::Model detector(argv[1]), pose(argv[2]);
    const rtmpose::PoseTracker tracker(detector, pose);
    rtmpose::Stream stream = tracker.create_stream();
    for (int i = 3; i < argc; ++i) {
      std::ifstream file(argv[i], std::ios::binary);
      std::string kind;
      std::size_t width = 0, height = 0, highest = 0;
      file >> kind >> width >> height >> highest;
      std::vector<std::uint8_t> pixels(3 * width * height);
      file.get();
      file.read(reinterpret_cast<char*>(pixels.data()), std::streamsize(pixels.size()));
      const rtmpose::Image image(pixels.data(), int(width), int(height), RTMPOSE_RGB);
      for (const rtmpose::Person person : tracker.apply(stream, image)) {
        const rtmpose::Point first = person.keypoint(0);
        std::printf("%s: id %lld, score %.2f, first keypoint at %.1f, %.1f\n", argv[i],
                    static_cast<long long>(person.id()), person.box_score(), first.x, first.y);
      }
    }
  } catch (const rtmpose::Error& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
