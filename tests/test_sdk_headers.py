"""Programs in C++ that others wrote go on compiling: the names of the deployment SDK."""

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


def test_programs_with_the_names_of_the_deployment_sdk_compile(tmp_path):
    program = tmp_path / "program.cpp"
    program.write_text(PROGRAM, encoding="utf-8")
    command = ["g++", "-std=c++17", "-fsyntax-only", "-Wall", "-Wextra", "-Werror"]
    command += ["-Wno-missing-field-initializers", "-DMMDEPLOY_CXX_USE_OPENCV=0"]
    command += [f"-I{SDK / 'compat'}", f"-I{SDK / 'core' / 'include'}", str(program)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
