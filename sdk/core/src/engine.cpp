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

#ifdef _WIN32
std::string words_of(DWORD error) {
  switch (error) {
    case ERROR_MOD_NOT_FOUND: return "it, or a library that it needs, is not there";
    case ERROR_BAD_EXE_FORMAT: return "it is for another processor, or damaged";
    default: return "error " + std::to_string(error);
  }
}
#endif

void* open_library(const std::string& path, std::string& fault) {
  const fs::path file = fs::u8path(path);
#ifdef _WIN32
  // What it needs may lie next to it.
  const DWORD flags = file.is_absolute() ? LOAD_WITH_ALTERED_SEARCH_PATH : 0;
  void* library = reinterpret_cast<void*>(LoadLibraryExW(file.c_str(), nullptr, flags));
  if (!library) fault = path + ": " + words_of(GetLastError());
#else
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) fault = dlerror();

  // The system says of a library for another processor that it is not there.
  std::error_code ignored;
  if (!library && fs::is_regular_file(file, ignored)) {
    fault += " (the file is there: is it for another processor, or damaged?)";
  }
#endif
  return library;
}

// The file of a library that was perhaps named without its folder.
std::string place_of(void* library, void* symbol, const std::string& path) {
#ifdef _WIN32
  static_cast<void>(symbol);
  std::vector<wchar_t> name(32768);
  const DWORD size = GetModuleFileNameW(static_cast<HMODULE>(library), name.data(),
                                        static_cast<DWORD>(name.size()));
  return size > 0 && size < name.size() ? fs::path(name.data()).u8string() : path;
#else
  static_cast<void>(library);
  Dl_info info{};
  return dladdr(symbol, &info) && info.dli_fname ? info.dli_fname : path;
#endif
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

// Whether a version such as "1.26.0" is at least the given one.
bool is_from(const std::string& version, long major, long minor) {
  char* rest = nullptr;
  const long first = std::strtol(version.c_str(), &rest, 10);
  const long second = *rest == '.' ? std::strtol(rest + 1, nullptr, 10) : 0;
  return first > major || (first == major && second >= minor);
}

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
    void* symbol = find_symbol(library, "OrtGetApiBase");
    const auto get_base = reinterpret_cast<GetBase>(symbol);
    if (!get_base) {
      close_library(library);
      faults += (faults.empty() ? "" : "; ") + candidate + " is not ONNX Runtime";
      continue;
    }
    const OrtApiBase* base = get_base();
    const OrtApi* api = base->GetApi(kApiVersion);
    if (!api) {
      // Windows has an old one of its own, which is found before those in PATH.
      faults += (faults.empty() ? "" : "; ") + place_of(library, symbol, candidate) +
                " is ONNX Runtime " + base->GetVersionString() + ", and 1.16 or newer is needed";
      continue;
    }

    // Kept until the process ends: models of other threads may still use it at exit.
    static Engine loaded;
    loaded.api = api;
    loaded.version = base->GetVersionString();
    loaded.limits_spinning = is_from(loaded.version, 1, 26);
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

std::string providers_of_another() {
#ifdef __linux__
  void* shared = dlopen("libonnxruntime_providers_shared.so", RTLD_NOLOAD | RTLD_LAZY);
  if (!shared) return {};
  Dl_info theirs{};
  Dl_info ours{};
  void* host = dlsym(shared, "Provider_GetHost");
  void* function = reinterpret_cast<void*>(engine().api->CreateSession);
  const bool known = host && dladdr(host, &theirs) && theirs.dli_fname &&
                     dladdr(function, &ours) && ours.dli_fname;
  const std::string path = known ? theirs.dli_fname : "";
  dlclose(shared);
  std::error_code failed;
  const bool together = !known || fs::equivalent(fs::path(theirs.dli_fname).parent_path(),
                                                 fs::path(ours.dli_fname).parent_path(), failed);
  return together || failed ? std::string() : path;
#else
  return {};
#endif
}

void check_engine(OrtStatus* status, const std::string& what, bool model_fault) {
  if (!status) return;
  const OrtApi* api = engine().api;
  const std::string text = what + ": " + api->GetErrorMessage(status);
  api->ReleaseStatus(status);
  throw Error(model_fault ? RTMPOSE_ERROR_MODEL : RTMPOSE_ERROR_ENGINE, text);
}

}  // namespace rtmpose::core
