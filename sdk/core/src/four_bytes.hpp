// Pixels of three or four bytes, all bytes of one at once, where every processor of the kind can.
#pragma once

#if (defined(__SSE2__) || defined(_M_X64)) && !defined(RTMPOSE_NO_FOUR_BYTES)
#define RTMPOSE_FOUR_BYTES

#include <emmintrin.h>

#include <cstdint>
#include <cstring>

namespace rtmpose::core {

inline __m128i four_bytes(const std::uint8_t* pixel) {
  std::int32_t bytes;
  std::memcpy(&bytes, pixel, sizeof bytes);
  return _mm_cvtsi32_si128(bytes);
}

inline __m128 floats_of(const std::uint8_t* pixel) {
  const __m128i zero = _mm_setzero_si128();
  const __m128i words = _mm_unpacklo_epi8(four_bytes(pixel), zero);
  return _mm_cvtepi32_ps(_mm_unpacklo_epi16(words, zero));
}

// The first four of eight gray levels.
inline void store_levels(__m128i words, std::uint8_t* out) {
  const std::int32_t bytes = _mm_cvtsi128_si32(_mm_packus_epi16(words, words));
  std::memcpy(out, &bytes, sizeof bytes);
}

}  // namespace rtmpose::core

#endif
