"""Programs in C++ that others wrote go on compiling: the names of the deployment SDK, and what
people do with the containers of rtmpose.hpp.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

SDK = Path(__file__).parents[1] / "sdk"

pytestmark = pytest.mark.skipif(
    not SDK.is_dir() or not shutil.which("g++"), reason="needs g++ and a checkout"
)

# Calls of the original's documentation, each in a way that programs have it.
PROGRAM = """
#include <mmdeploy/detector.hpp>
#include <mmdeploy/pose_detector.hpp>
#include <mmdeploy/pose_tracker.hpp>

int main() {
  namespace cxx = mmdeploy::cxx;
  unsigned char pixels[12] = {};
  mmdeploy_mat_t raw{pixels, 2, 2, 3, MMDEPLOY_PIXEL_FORMAT_BGR, MMDEPLOY_DATA_TYPE_UINT8};
  cxx::Mat image(2, 2, 3, MMDEPLOY_PIXEL_FORMAT_BGR, MMDEPLOY_DATA_TYPE_UINT8, pixels, nullptr);

  mmdeploy::Context context;
  context.Add(mmdeploy::Device{"cpu", 0});
  context.Add("pool", mmdeploy::Scheduler::ThreadPool(2));
  cxx::Detector detector(mmdeploy::Model{"det"}, context);
  cxx::Detector::Result found = detector.Apply(raw);
  cxx::Detector::Result::pointer first = found.begin();
  std::vector<cxx::Detector::Result> many = detector.Apply(std::vector<mmdeploy::Mat>{image});

  mmdeploy::Detector in_memory(mmdeploy::Model(pixels, sizeof(pixels)), context);
  mmdeploy::PoseDetector pose{mmdeploy::Model("pose"), mmdeploy::Device("cpu")};
  mmdeploy_rect_t box{0, 0, 2, 2};
  float score = pose.Apply(image, box)[0].score[0] + pose.Apply(image, {box, box})[1].score[0];

  mmdeploy::PoseTracker tracker(mmdeploy::Model("det"), mmdeploy::Model("pose"), context);
  mmdeploy::PoseTracker::Params params;
  params->det_interval = 5;
  params->smooth_params[0] = 0.01f;
  std::vector<mmdeploy::PoseTracker::State> states;
  states.push_back(tracker.CreateState(params));
  for (const auto& people : tracker.Apply(states, std::vector<mmdeploy::Mat>{image})) {
    for (const mmdeploy_pose_tracker_target_t& person : people) score += person.bbox.left;
  }
  return static_cast<int>(score + first->score) + static_cast<int>(many.size());
}
"""

# Algorithms and ranges of the standard library, matrices like OpenCV's, devices by name.
MODERN_PROGRAM = """
#include <algorithm>
#include <numeric>
#include <ranges>
#include <rtmpose.hpp>
#include <span>

struct Matrix {  // the members of cv::Mat that are read
  unsigned char* data;
  int rows, cols;
  std::size_t step[2];
  int depth() const { return 0; }
  int channels() const { return 3; }
};

int main() {
  rtmpose::Model model("pose.onnx", "cuda:1"), threads("pose.onnx", 2), plain("pose.onnx", nullptr);
  rtmpose::PoseDetector pose(model);
  Matrix matrix{};
  rtmpose::Poses people = pose.apply(matrix);
  std::vector<rtmpose::Person> all(people.begin(), people.end());
  std::ranges::sort(all, {}, [](const auto& person) { return person.box().x1; });
  auto sure = [](const rtmpose::Person& person) { return person.box_score() > 0.5f; };
  float sum = static_cast<float>(std::count_if(people.begin(), people.end(), sure));
  for (auto person : people | std::views::filter(sure)) {
    rtmpose::Span<float> scores = person.scores();
    sum += *std::max_element(scores.begin(), scores.end());
    sum += std::span<const float>(scores).front();
  }
  rtmpose_detect_params params = rtmpose::detect_params();
  params.max_people = 1;
  sum += static_cast<float>(rtmpose::Detector(threads).apply(matrix, &params).size());
  return static_cast<int>(sum) + static_cast<int>(plain.info().kind);
}
"""


def compiled(tmp_path: Path, text: str, *options: str) -> subprocess.CompletedProcess[str]:
    program = tmp_path / "program.cpp"
    program.write_text(text, encoding="utf-8")
    command = ["g++", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", *options]
    command += [f"-I{SDK / 'compat'}", f"-I{SDK / 'cpp'}", f"-I{SDK / 'core' / 'include'}"]
    return subprocess.run([*command, str(program)], capture_output=True, text=True, timeout=60)


def test_programs_in_modern_cpp_compile(tmp_path):
    done = compiled(tmp_path, MODERN_PROGRAM, "-std=c++20")
    assert done.returncode == 0, done.stderr


def test_older_cpp_is_told_what_to_do(tmp_path):
    done = compiled(tmp_path, "#include <rtmpose.hpp>\n", "-std=c++14", "-fmax-errors=1")
    assert done.returncode != 0
    assert "rtmpose.hpp needs C++17" in done.stderr


def test_programs_with_the_names_of_the_deployment_sdk_compile(tmp_path):
    options = ["-std=c++17", "-Wno-missing-field-initializers", "-DMMDEPLOY_CXX_USE_OPENCV=0"]
    done = compiled(tmp_path, PROGRAM, *options)
    assert done.returncode == 0, done.stderr
