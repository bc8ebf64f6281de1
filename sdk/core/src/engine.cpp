#include "engine.hpp"

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <vector>

#include "types.hpp"

#ifdef _WIN32
#include <windows.h>
#else
#include <dlfcn.h>
#endif

namespace rtmpose::core {
namespace {

namespace fs = std::filesystem;

// The oldest interface that is asked for; newer libraries keep offering it.
constexpr std::uint32_t kApiVersion = 16;

#ifdef _WIN32
constexpr const char* kSystemNames[] = {"onnxruntime.dll"};
constexpr const char* kLibraryPrefix = "onnxruntime.dll";
#elif defined(__APPLE__)
constexpr const char* kSystemNames[] = {"libonnxruntime.dylib"};
constexpr const char* kLibraryPrefix = "libonnxruntime.";
#else
constexpr const char* kSystemNames[] = {"libonnxruntime.so.1", "libonnxruntime.so"};
constexpr const char* kLibraryPrefix = "libonnxruntime.so";
#endif

std::mutex g_mutex;
std::atomic<const Engine*> g_engine{nullptr};
std::string g_path;

// ---- the operating system's part

void* open_library(const std::string& path, std::string& fault) {
#ifdef _WIN32
  void* library = reinterpret_cast<void*>(LoadLibraryW(fs::u8path(path).c_str()));
  if (!library) fault = path + ": error " + std::to_string(GetLastError());
#else
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) fault = dlerror();
#endif
  return library;
}

void* find_symbol(void* library, const char* name) {
#ifdef _WIN32
  return reinterpret_cast<void*>(GetProcAddress(static_cast<HMODULE>(library), name));
#else
  return dlsym(library, name);
#endif
}

void close_library(void* library) {
#ifdef _WIN32
  FreeLibrary(static_cast<HMODULE>(library));
#else
  dlclose(library);
#endif
}

// ---- where the library may be

// The library in a folder of the Python package; empty where there is none.
std::string library_in(const fs::path& folder) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    if (entry.path().filename().u8string().rfind(kLibraryPrefix, 0) == 0) {
      return entry.path().u8string();
    }
  }
  return {};
}

// The library of the Python package in an active environment; empty where there is none.
std::string library_of_python() {
  for (const char* variable : {"VIRTUAL_ENV", "CONDA_PREFIX"}) {
    const char* root = std::getenv(variable);
    if (!root || !*root) continue;

    // Windows has no folder per Python version.
    const fs::path package = fs::path("site-packages") / "onnxruntime" / "capi";
    std::string found = library_in(fs::u8path(root) / "Lib" / package);
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(fs::u8path(root) / "lib", ignored)) {
      if (!found.empty()) break;
      found = library_in(entry.path() / package);
    }
    if (!found.empty()) return found;
  }
  return {};
}

std::vector<std::string> candidates(const std::string& path) {
  if (!path.empty()) return {path};

  // A path that the user named is not replaced by another one in silence.
  const char* named = std::getenv("RTMPOSE_ONNXRUNTIME");
  if (named && *named) {
    std::error_code ignored;
    if (!fs::is_directory(fs::u8path(named), ignored)) return {named};
    const std::string inside = library_in(fs::u8path(named));
    return {inside.empty() ? std::string(named) : inside};
  }
  std::vector<std::string> paths;
  const std::string of_python = library_of_python();
  if (!of_python.empty()) paths.push_back(of_python);
  for (const char* name : kSystemNames) paths.emplace_back(name);
  return paths;
}

// ---- loading

// Called with the mutex held.
const Engine* load(const std::string& path) {
  std::string faults;
  for (const std::string& candidate : candidates(path)) {
    std::string fault;
    void* library = open_library(candidate, fault);
    if (!library) {
      faults += (faults.empty() ? "" : "; ") + fault;
      continue;
    }
    using GetBase = const OrtApiBase*(ORT_API_CALL*)();
    const auto get_base = reinterpret_cast<GetBase>(find_symbol(library, "OrtGetApiBase"));
    if (!get_base) {
      close_library(library);
      faults += (faults.empty() ? "" : "; ") + candidate + " is not ONNX Runtime";
      continue;
    }
    const OrtApiBase* base = get_base();
    const OrtApi* api = base->GetApi(kApiVersion);
    if (!api) {
      fail_engine(candidate + " is ONNX Runtime " + base->GetVersionString() +
                  "; version 1.16 or newer is needed");
    }

    // Kept until the process ends: models of other threads may still use it at exit.
    static Engine loaded;
    loaded.api = api;
    loaded.version = base->GetVersionString();
    OrtStatus* status = api->CreateEnv(ORT_LOGGING_LEVEL_ERROR, "rtmpose", &loaded.environment);
    if (status) {
      const std::string text = api->GetErrorMessage(status);
      api->ReleaseStatus(status);
      fail_engine(candidate + " did not start: " + text);
    }
    g_path = candidate;
    return &loaded;
  }
  fail_engine("ONNX Runtime could not be loaded: " + faults +
              ". Name its library in RTMPOSE_ONNXRUNTIME or rtmpose_load_engine; the Python package"
              " onnxruntime has it as onnxruntime/capi/libonnxruntime.so.*");
}

}  // namespace

const Engine& engine() {
  if (const Engine* ready = g_engine.load()) return *ready;
  const std::lock_guard<std::mutex> lock(g_mutex);
  if (!g_engine.load()) g_engine = load({});
  return *g_engine.load();
}

void load_engine(const std::string& path) {
  const std::lock_guard<std::mutex> lock(g_mutex);
  if (!g_engine.load()) {
    g_engine = load(path);
  } else if (!path.empty() && path != g_path) {
    fail_engine("ONNX Runtime is loaded already, from " + g_path);
  }
}

const char* loaded_engine_version() {
  const Engine* ready = g_engine.load();
  return ready ? ready->version.c_str() : "";
}

void check_engine(OrtStatus* status, const std::string& what, bool model_fault) {
  if (!status) return;
  const OrtApi* api = engine().api;
  const std::string text = what + ": " + api->GetErrorMessage(status);
  api->ReleaseStatus(status);
  throw Error(model_fault ? RTMPOSE_ERROR_MODEL : RTMPOSE_ERROR_ENGINE, text);
}

}  // namespace rtmpose::core
