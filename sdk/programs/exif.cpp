// The orientation that cameras write into photos.
#include "image_formats.hpp"

namespace programs {

namespace {

constexpr size_t kHeader = 8;
constexpr size_t kEntry = 12;
constexpr unsigned kOrientationTag = 0x0112;

// Numbers in the byte order of the data; those behind its end are 0.
struct Numbers {
  const unsigned char* data;
  size_t size;
  bool big_end_first;

  unsigned of_two_bytes(size_t at) const {
    if (at > size || size - at < 2) return 0;
    const unsigned first = data[at];
    const unsigned second = data[at + 1];
    return big_end_first ? first << 8 | second : second << 8 | first;
  }

  size_t of_four_bytes(size_t at) const {
    const size_t first = of_two_bytes(at);
    const size_t second = of_two_bytes(at + 2);
    return big_end_first ? first << 16 | second : second << 16 | first;
  }
};

}  // namespace

int exif_orientation(const unsigned char* data, size_t size) {
  if (size < kHeader || data[0] != data[1] || (data[0] != 'I' && data[0] != 'M')) return 1;
  const Numbers numbers{data, size, data[0] == 'M'};
  const size_t folder = numbers.of_four_bytes(4);
  const unsigned entries = numbers.of_two_bytes(folder);
  for (unsigned i = 0; i < entries; ++i) {
    const size_t entry = folder + 2 + kEntry * i;
    if (entry >= size) break;
    if (numbers.of_two_bytes(entry) != kOrientationTag) continue;
    const unsigned value = numbers.of_two_bytes(entry + 8);
    return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

}  // namespace programs
