using System;

namespace Rtmpose
{
    /// <summary>Order of the bytes of a pixel.</summary>
    public enum PixelFormat
    {
        /// <summary>Blue, green, red: 3 bytes.</summary>
        Bgr = 0,

        /// <summary>Red, green, blue: 3 bytes.</summary>
        Rgb = 1,

        /// <summary>Blue, green, red and alpha, which is ignored: 4 bytes.</summary>
        Bgra = 2,

        /// <summary>Red, green, blue and alpha, which is ignored: 4 bytes.</summary>
        Rgba = 3,

        /// <summary>1 byte.</summary>
        Gray = 4,
    }

    /// <summary>8-bit pixels, row by row from the top. The array is not copied, and only read.
    /// </summary>
    public sealed class Image
    {
        /// <summary>Refers to pixels.</summary>
        /// <param name="pixels">All rows.</param>
        /// <param name="width">Pixels of a row.</param>
        /// <param name="height">Rows.</param>
        /// <param name="format">Order of the bytes of a pixel.</param>
        /// <param name="stride">Bytes from one row to the next; 0 for rows without gaps.</param>
        /// <exception cref="ArgumentException">There are fewer bytes than the sizes say.
        /// </exception>
        public Image(
            byte[] pixels, int width, int height, PixelFormat format = PixelFormat.Bgr,
            int stride = 0)
        {
            Pixels = pixels ?? throw new ArgumentNullException(nameof(pixels));
            Width = width;
            Height = height;
            Format = format;
            Stride = stride;

            // Sizes that make no sense are refused by the library; here only what it cannot know.
            if (width > 0 && height > 0 && stride >= 0)
            {
                long row = (long)width * BytesOf(format);
                long needed = (stride == 0 ? row : stride) * (height - 1L) + row;
                if (pixels.LongLength < needed)
                {
                    throw new ArgumentException(
                        "an image of " + width + "x" + height + " pixels needs " + needed
                        + " bytes, not " + pixels.LongLength, nameof(pixels));
                }
            }
            else if (stride < 0)
            {
                throw new ArgumentException("negative: rows go from the top", nameof(stride));
            }
        }

        /// <summary>All rows.</summary>
        public byte[] Pixels { get; }

        /// <summary>Pixels of a row.</summary>
        public int Width { get; }

        /// <summary>Rows.</summary>
        public int Height { get; }

        /// <summary>Order of the bytes of a pixel.</summary>
        public PixelFormat Format { get; }

        /// <summary>Bytes from one row to the next; 0 for rows without gaps.</summary>
        public int Stride { get; }

        internal NativeImage ToNative(IntPtr pixels)
        {
            NativeImage native;
            Native.rtmpose_image_init(out native, Native.SizeOf<NativeImage>());
            native.Format = (int)Format;
            native.Data = pixels;
            native.Width = Width;
            native.Height = Height;
            native.Stride = Stride;
            return native;
        }

        private static int BytesOf(PixelFormat format)
        {
            switch (format)
            {
                case PixelFormat.Gray:
                    return 1;
                case PixelFormat.Bgra:
                case PixelFormat.Rgba:
                    return 4;
                default:
                    return 3;
            }
        }
    }
}
