#!/bin/sh
# Build the SDK from a checkout and test it: the C and C++ library, the programs, C#, Java and
# JavaScript, each where its tools are installed. What was left out is said at the end.
# usage: sdk/build.sh [--no-tests] [--windows] [--arm64]
# --windows: the library and its tests for Windows x64 too (mingw-w64), run by wine where it is there.
# --arm64: the library for Linux on arm64 too (g++-aarch64-linux-gnu), which is not run.
# PYTHON: an interpreter with onnxruntime (default: .venv, or python3 with an environment of its own).
# RTMPOSE_ONNXRUNTIME_INCLUDE: folder of onnxruntime_c_api.h (default: Debian's package, unpacked).
# RTMPOSE_ONNXRUNTIME: ONNX Runtime's library (default: the one in the Python package).
set -eu
cd "$(dirname "$0")/.."
root=$(pwd)
out=$root/build/sdk
jobs=${JOBS:-2}
tests=yes windows=no arm64=no
for option in "$@"; do
  case $option in
    --no-tests) tests=no ;;
    --windows) windows=yes ;;
    --arm64) arm64=yes ;;
    *) echo "usage: sdk/build.sh [--no-tests] [--windows] [--arm64]" >&2 && exit 2 ;;
  esac
done
mkdir -p "$out"
done_list= skipped=

note() { printf '\n== %s\n' "$1"; }
built() { done_list="$done_list  $1
"; }
skip() { skipped="$skipped  $1
"; }
have() { command -v "$1" > /dev/null 2>&1; }

# ---- what comes from elsewhere: ONNX Runtime's library and header

if [ -z "${PYTHON:-}" ]; then
  PYTHON=python3
  [ -x .venv/bin/python ] && PYTHON=$root/.venv/bin/python
fi
engine_of() {
  "$1" -c 'import glob, importlib.util as u, os
spec = u.find_spec("onnxruntime")
files = sorted(glob.glob(os.path.join(os.path.dirname(spec.origin), "capi", "libonnxruntime.so*"))) if spec else []
print(files[0] if files else "")'
}
if [ -z "${RTMPOSE_ONNXRUNTIME:-}" ]; then
  RTMPOSE_ONNXRUNTIME=$(engine_of "$PYTHON")
  if [ -z "$RTMPOSE_ONNXRUNTIME" ]; then
    note "ONNX Runtime's library, from its Python package"
    "$PYTHON" -m venv "$out/venv"
    "$out/venv/bin/python" -m pip install -q --disable-pip-version-check onnxruntime
    RTMPOSE_ONNXRUNTIME=$(engine_of "$out/venv/bin/python")
  fi
fi
export RTMPOSE_ONNXRUNTIME
include=${RTMPOSE_ONNXRUNTIME_INCLUDE:-}
for place in /usr/include/onnxruntime /usr/local/include/onnxruntime; do
  [ -z "$include" ] && [ -f "$place/onnxruntime_c_api.h" ] && include=$place
done
[ -n "$include" ] || include=$(sh sdk/core/tools/fetch_onnxruntime_header.sh "$out/headers")

# ---- the library

note "library"
# The images of the cases, for all languages.
images=$out/conformance
"$PYTHON" sdk/conformance/unpack.py "$images"
set -- -DRTMPOSE_BUILD_TESTS=OFF
if [ "$tests" = yes ]; then
  set -- -DRTMPOSE_BUILD_TESTS=ON -DRTMPOSE_CONFORMANCE_IMAGES="$images" \
    -DRTMPOSE_ONNXRUNTIME_LIBRARY="$RTMPOSE_ONNXRUNTIME"
fi
[ -f sdk/examples/c/CMakeLists.txt ] && set -- "$@" -DRTMPOSE_BUILD_EXAMPLES=ON
cmake -S sdk/core -B "$out/core" -DRTMPOSE_ONNXRUNTIME_INCLUDE="$include" \
  -DCMAKE_INSTALL_PREFIX="$out/install" -DCMAKE_INSTALL_LIBDIR=lib "$@" > "$out/core.log"
cmake --build "$out/core" -j "$jobs"
cmake --install "$out/core" >> "$out/core.log"
LD_LIBRARY_PATH=$out/install/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export LD_LIBRARY_PATH
built "library: build/sdk/install"

photo=rtmpose/assets/photos/000000541055.jpg
detector=rtmpose/assets/models/rtmdet-nano_finetuned_320x320.onnx
pose=rtmpose/assets/models/rtmpose-s_finetuned-halpe26_256x192.onnx
[ "$tests" = no ] || ctest --test-dir "$out/core" --output-on-failure

note "C++ names of the deployment SDK"
"${CXX:-g++}" -std=c++17 -O1 -Wall -Wextra -Werror -DMMDEPLOY_CXX_USE_OPENCV=0 -Isdk/compat \
  -I"$out/install/include" sdk/examples/compat/people.cpp -o "$out/people" \
  -L"$out/install/lib" -lrtmpose
[ "$tests" = no ] || "$out/people" $detector $pose "$images/541055.ppm"
built "C++ names of the deployment SDK: sdk/compat"

# ---- programs

readers=yes
for header in jpeglib.h png.h; do
  [ -f "/usr/include/$header" ] || [ -n "${CMAKE_PREFIX_PATH:-}" ] || readers=no
done
if [ $readers = no ]; then
  skip "programs: libjpeg or libpng is not installed (libjpeg-dev, libpng-dev)"
elif [ -f /usr/include/opencv4/opencv2/core.hpp ] || [ -n "${OpenCV_DIR:-}" ]; then
  note "programs"
  cmake -S sdk/programs -B "$out/programs" -DCMAKE_PREFIX_PATH="$out/install" > "$out/programs.log"
  cmake --build "$out/programs" -j "$jobs"
  if [ "$tests" = yes ]; then
    "$out/programs/det_pose" $detector $pose $photo --output "$out/det_pose.png"
    "$out/programs/pose_tracker" $detector $pose $photo --show -1 --output "$out/pose_tracker.png"
  fi
  built "programs det_pose and pose_tracker: build/sdk/programs"
else
  skip "programs: OpenCV is not installed (libopencv-dev)"
fi

# ---- C#

if have mcs && have mono; then
  note "C#"
  mkdir -p "$out/csharp"
  mcs -langversion:7.2 -warnaserror -target:library -doc:"$out/csharp/Rtmpose.xml" \
    -out:"$out/csharp/Rtmpose.dll" sdk/csharp/src/*.cs
  mcs -langversion:7.2 -warnaserror -r:"$out/csharp/Rtmpose.dll" -out:"$out/csharp/Tests.exe" \
    sdk/csharp/tests/*.cs
  built "C#: build/sdk/csharp/Rtmpose.dll"
  if [ "$tests" = yes ]; then
    mono "$out/csharp/Tests.exe" . "$images"
    mcs -r:"$out/csharp/Rtmpose.dll" -r:System.Drawing -out:"$out/csharp/Photo.exe" \
      sdk/examples/csharp/Photo.cs
    if have dotnet; then
      note "C# by .NET"
      cp "$out/csharp/Tests.exe" "$out/csharp/Tests.dll"
      # Any version; texts are compared byte by byte, so that no library of languages is needed.
      cat > "$out/csharp/Tests.runtimeconfig.json" << 'END'
{"runtimeOptions": {
  "framework": {"name": "Microsoft.NETCore.App", "version": "2.1.0"},
  "rollForward": "LatestMajor",
  "configProperties": {"System.Globalization.Invariant": true}}}
END
      dotnet "$out/csharp/Tests.dll" . "$images"
    fi
    if ldconfig -p | grep -q libgdiplus; then
      mono "$out/csharp/Photo.exe" $detector $pose $photo
    else
      skip "the example in C#: its image reader is not installed (libgdiplus)"
    fi
  fi
else
  skip "C#: mono is not installed (mono-mcs, mono-devel)"
fi

# ---- Java

jna=${JNA_JAR:-/usr/share/java/jna.jar}
if have javac && [ -f "$jna" ]; then
  note "Java"
  rm -rf "$out/java"
  mkdir -p "$out/java/classes" "$out/java/tests"
  javac --release 11 -Xlint:all -Werror -cp "$jna" -d "$out/java/classes" \
    sdk/java/src/main/java/rtmpose/*.java
  jar --create --file "$out/java/rtmpose-0.1.0.jar" -C "$out/java/classes" .
  path=$jna:$out/java/rtmpose-0.1.0.jar:$out/java/tests
  built "Java: build/sdk/java/rtmpose-0.1.0.jar"
  if [ "$tests" = yes ]; then
    javac --release 11 -Xlint:all,-try -Werror -cp "$path" -d "$out/java/tests" \
      sdk/java/src/test/java/rtmpose/*.java sdk/examples/java/Photo.java
    java -Djava.awt.headless=true -cp "$path" rtmpose.Tests . "$images"
    java -Djava.awt.headless=true -cp "$path" Photo $detector $pose $photo
  fi
else
  skip "Java: javac or jna.jar is not installed (default-jdk-headless, libjna-java)"
fi

# ---- JavaScript

if [ -f sdk/js/package.json ]; then
  # Other versions cannot run what the package is tested with.
  if have npm && node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b > 18) ? 0 : 1)'; then
    note "JavaScript"
    (
      cd sdk/js
      [ node_modules/.package-lock.json -nt package-lock.json ] || npm ci --no-audit --no-fund
      npm run build
      [ "$tests" = no ] || npm test
    )
    built "JavaScript: sdk/js/dist"
  else
    skip "JavaScript: npm, or Node 20.19 or newer, is not installed"
  fi
fi

# ---- other systems

# cross FOLDER TOOLCHAIN: the library, with headers that do not belong to one system.
cross() {
  mkdir -p "$out/any-system"
  json=${RTMPOSE_JSON_INCLUDE:-/usr/include}
  [ -d "$out/any-system/nlohmann" ] || cp -r "$json/nlohmann" "$out/any-system/"
  cmake -S sdk/core -B "$out/$1" -DCMAKE_TOOLCHAIN_FILE="$root/sdk/core/cmake/$2.cmake" \
    -DRTMPOSE_JSON_INCLUDE="$out/any-system" -DRTMPOSE_ONNXRUNTIME_INCLUDE="$include" \
    -DRTMPOSE_BUILD_TESTS=ON > "$out/$1.log"
  cmake --build "$out/$1" -j "$jobs"
}
if [ "$windows" = yes ] && have x86_64-w64-mingw32-g++-posix; then
  note "Windows x64"
  cross windows mingw-w64
  built "Windows x64: build/sdk/windows/rtmpose.dll"
  dll=sdk/js/node_modules/onnxruntime-node/bin/napi-v6/win32/x64/onnxruntime.dll
  dll=${RTMPOSE_ONNXRUNTIME_DLL:-$dll}
  wine=$(command -v wine64 || command -v wine || echo /usr/lib/wine/wine64)
  if [ "$tests" = yes ] && [ -x "$wine" ] && [ -f "$dll" ]; then
    # A Windows of its own, without .NET and a browser; the first start makes it.
    export WINEPREFIX="$out/wine" WINEDLLOVERRIDES="mscoree=;mshtml=" WINEDEBUG=-all
    in_windows() { RTMPOSE_ONNXRUNTIME="$dll" timeout 900 "$wine" "$out/windows/tests/$@"; }
    in_windows bare_tracker.exe
    in_windows errors.exe
    in_windows conformance.exe sdk/conformance/cases.json "$images" .
  elif [ "$tests" = yes ]; then
    skip "the tests for Windows: wine or onnxruntime.dll is not there (wine64, npm install)"
  fi
elif [ "$windows" = yes ]; then
  skip "Windows x64: mingw-w64 is not installed (g++-mingw-w64-x86-64)"
fi
if [ "$arm64" = yes ] && have aarch64-linux-gnu-g++; then
  note "Linux on arm64"
  cross arm64 aarch64-linux-gnu
  built "Linux on arm64, not run: build/sdk/arm64/librtmpose.so"
elif [ "$arm64" = yes ]; then
  skip "Linux on arm64: its compiler is not installed (g++-aarch64-linux-gnu)"
fi

note "built"
printf '%s' "$done_list"
[ -n "$skipped" ] && printf '\nleft out:\n%s' "$skipped"
[ "$tests" = yes ] || printf '\nno tests were run\n'
