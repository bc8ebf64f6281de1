// PNG through libpng: colors as they are stored, without transparency, 16 bits cut to 8.
#include <png.h>

#include <csetjmp>
#include <vector>

#include "image_formats.hpp"

namespace programs {

namespace {

void on_error(png_structp png, png_const_charp text) {
  *static_cast<std::string*>(png_get_error_ptr(png)) = text;
  png_longjmp(png, 1);
}

void say_nothing(png_structp, png_const_charp) {}

struct Reader {
  Reader() {
    png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &fault, on_error, say_nothing);
    if (png) info = png_create_info_struct(png);
  }
  ~Reader() { png_destroy_read_struct(&png, &info, nullptr); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  std::string fault;
  png_structp png = nullptr;
  png_infop info = nullptr;
};

// Nothing with a destructor may be made in the functions that are jumped out of.
bool read_header(Reader* reader, std::FILE* file) {
  if (setjmp(png_jmpbuf(reader->png))) return false;
  png_init_io(reader->png, file);
  png_read_info(reader->png, reader->info);

  // Whatever is stored, three bytes for each pixel.
  png_set_strip_16(reader->png);
  png_set_strip_alpha(reader->png);
  png_set_palette_to_rgb(reader->png);
  const png_byte kind = png_get_color_type(reader->png, reader->info);
  if (!(kind & PNG_COLOR_MASK_COLOR)) {
    png_set_expand_gray_1_2_4_to_8(reader->png);
    png_set_gray_to_rgb(reader->png);
  }
  png_set_bgr(reader->png);
  png_set_interlace_handling(reader->png);
  png_read_update_info(reader->png, reader->info);
  return true;
}

bool read_rows(Reader* reader, png_bytepp rows) {
  if (setjmp(png_jmpbuf(reader->png))) return false;
  png_read_image(reader->png, rows);
  png_read_end(reader->png, reader->info);
  return true;
}

int orientation_of(const Reader& reader) {
#ifdef PNG_eXIf_SUPPORTED
  png_bytep data = nullptr;
  png_uint_32 size = 0;
  if (png_get_eXIf_1(reader.png, reader.info, &size, &data)) return exif_orientation(data, size);
#endif
  return 1;
}

}  // namespace

ReadResult read_png(std::FILE* file, cv::Mat* image) {
  ReadResult result;
  Reader reader;
  if (!reader.info) {
    result.fault = "not enough memory";
    return result;
  }
  if (!read_header(&reader, file)) {
    result.fault = reader.fault;
    return result;
  }
  const png_uint_32 width = png_get_image_width(reader.png, reader.info);
  const png_uint_32 height = png_get_image_height(reader.png, reader.info);
  const bool three = png_get_rowbytes(reader.png, reader.info) == 3 * static_cast<size_t>(width);
  if (!three || static_cast<double>(width) * height > kMostPixels) {
    result.fault = "it has too many pixels";
    return result;
  }
  image->create(static_cast<int>(height), static_cast<int>(width), CV_8UC3);
  std::vector<png_bytep> rows;
  for (int y = 0; y < image->rows; ++y) rows.push_back(image->ptr(y));
  if (!read_rows(&reader, rows.data())) {
    result.fault = reader.fault;
    return result;
  }
  result.orientation = orientation_of(reader);
  result.done = true;
  return result;
}

bool write_png(std::FILE* file, const cv::Mat& image) {
  png_image png{};
  png.version = PNG_IMAGE_VERSION;
  png.width = static_cast<png_uint_32>(image.cols);
  png.height = static_cast<png_uint_32>(image.rows);
  png.format = PNG_FORMAT_BGR;
  png.flags = PNG_IMAGE_FLAG_FAST;
  const png_int_32 stride = static_cast<png_int_32>(image.step[0]);
  return png_image_write_to_stdio(&png, file, 0, image.data, stride, nullptr) != 0;
}

}  // namespace programs
