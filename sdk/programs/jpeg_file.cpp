// JPEG through libjpeg, with the settings of OpenCV: the same pixels, and the same size of files.
#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <opencv2/imgproc.hpp>

// After cstdio, which it needs.
#include <jpeglib.h>

#include "image_formats.hpp"

namespace programs {

namespace {

constexpr int kQuality = 95;
constexpr char kExifMark[] = "Exif\0";  // with the closing zero: six bytes

// libjpeg ends the program on an error; here it jumps back.
struct Faults {
  jpeg_error_mgr base;
  std::jmp_buf start;
  char text[JMSG_LENGTH_MAX];
};

void on_error(j_common_ptr info) {
  Faults* faults = reinterpret_cast<Faults*>(info->err);
  info->err->format_message(info, faults->text);
  std::longjmp(faults->start, 1);
}

void say_nothing(j_common_ptr) {}

jpeg_error_mgr* made(Faults* faults) {
  jpeg_std_error(&faults->base);
  faults->base.error_exit = on_error;
  faults->base.output_message = say_nothing;
  faults->text[0] = 0;
  return &faults->base;
}

struct Reader {
  Reader() { info.err = made(&faults); }
  ~Reader() { jpeg_destroy_decompress(&info); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  jpeg_decompress_struct info{};
  Faults faults;
};

struct Writer {
  Writer() { info.err = made(&faults); }
  ~Writer() { jpeg_destroy_compress(&info); }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  jpeg_compress_struct info{};
  Faults faults;
};

// Nothing with a destructor may be made in the functions that are jumped out of.
bool read_header(Reader* reader, std::FILE* file) {
  if (setjmp(reader->faults.start)) return false;
  jpeg_create_decompress(&reader->info);
  jpeg_stdio_src(&reader->info, file);
  jpeg_save_markers(&reader->info, JPEG_APP0 + 1, 0xffff);
  jpeg_read_header(&reader->info, TRUE);
  reader->info.out_color_space = JCS_RGB;
  return true;
}

bool read_rows(Reader* reader, cv::Mat* image) {
  if (setjmp(reader->faults.start)) return false;
  jpeg_start_decompress(&reader->info);
  while (reader->info.output_scanline < reader->info.output_height) {
    JSAMPROW row = image->ptr(static_cast<int>(reader->info.output_scanline));
    jpeg_read_scanlines(&reader->info, &row, 1);
  }
  jpeg_finish_decompress(&reader->info);
  return true;
}

int orientation_of(const jpeg_decompress_struct& info) {
  for (jpeg_saved_marker_ptr mark = info.marker_list; mark; mark = mark->next) {
    const bool is_exif = mark->marker == JPEG_APP0 + 1 && mark->data_length > sizeof(kExifMark) &&
                         std::memcmp(mark->data, kExifMark, sizeof(kExifMark)) == 0;
    if (!is_exif) continue;
    return exif_orientation(mark->data + sizeof(kExifMark), mark->data_length - sizeof(kExifMark));
  }
  return 1;
}

bool write_rows(Writer* writer, std::FILE* file, const cv::Mat& image, cv::Mat* rgb) {
  if (setjmp(writer->faults.start)) return false;
  jpeg_create_compress(&writer->info);
  jpeg_stdio_dest(&writer->info, file);
  writer->info.image_width = static_cast<JDIMENSION>(image.cols);
  writer->info.image_height = static_cast<JDIMENSION>(image.rows);
  writer->info.input_components = 3;
  writer->info.in_color_space = JCS_RGB;
  jpeg_set_defaults(&writer->info);
  jpeg_set_quality(&writer->info, kQuality, TRUE);
  jpeg_start_compress(&writer->info, TRUE);
  for (int y = 0; y < image.rows; ++y) {
    cv::cvtColor(image.row(y), *rgb, cv::COLOR_BGR2RGB);
    JSAMPROW row = rgb->ptr();
    jpeg_write_scanlines(&writer->info, &row, 1);
  }
  jpeg_finish_compress(&writer->info);
  return true;
}

}  // namespace

ReadResult read_jpeg(std::FILE* file, cv::Mat* image) {
  ReadResult result;
  Reader reader;
  if (!read_header(&reader, file)) {
    result.fault = reader.faults.text;
    return result;
  }
  const jpeg_decompress_struct& info = reader.info;
  if (info.num_components == 4) {
    result.other_kind = true;
    return result;
  }
  if (static_cast<double>(info.image_width) * info.image_height > kMostPixels) {
    result.fault = "it has too many pixels";
    return result;
  }
  result.orientation = orientation_of(info);
  image->create(static_cast<int>(info.image_height), static_cast<int>(info.image_width), CV_8UC3);
  if (!read_rows(&reader, image)) {
    result.fault = reader.faults.text;
    return result;
  }

  // Row by row: a second image would be as large as the first.
  for (int y = 0; y < image->rows; ++y) {
    cv::Mat row = image->row(y);
    cv::cvtColor(row, row, cv::COLOR_RGB2BGR);
  }
  result.damaged = info.err->num_warnings > 0;
  result.done = true;
  return result;
}

bool write_jpeg(std::FILE* file, const cv::Mat& image) {
  Writer writer;
  cv::Mat row;
  return write_rows(&writer, file, image, &row);
}

}  // namespace programs
