using System;
using System.Runtime.InteropServices;

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

    /// <summary>8-bit pixels, row by row from the top. They are not copied, and only read.</summary>
    public sealed class Image
    {
        /// <summary>Refers to pixels.</summary>
        /// <param name="pixels">All rows.</param>
        /// <param name="width">Pixels of a row.</param>
        /// <param name="height">Rows.</param>
        /// <param name="format">Order of the bytes of a pixel.</param>
        /// <param name="stride">Bytes from one row to the next; 0 for rows without gaps. Negative:
        /// rows are stored from the bottom, as in textures of game engines, and are copied.</param>
        /// <exception cref="ArgumentException">There are fewer bytes than the sizes say, or rows
        /// overlap.</exception>
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
            if (width > 0 && height > 0)
            {
                long row = (long)width * BytesOf(format);
                long needed = (stride == 0 ? row : Math.Abs((long)stride)) * (height - 1L) + row;
                if (pixels.LongLength < needed)
                {
                    throw new ArgumentException(
                        "an image of " + width + "x" + height + " pixels needs " + needed
                        + " bytes, not " + pixels.LongLength, nameof(pixels));
                }

                // The most common slip of all, which would only give wrong results.
                if (stride == 0 && BytesOf(format) == 3 && pixels.LongLength == 4L * width * height)
                {
                    throw new ArgumentException(
                        pixels.LongLength + " bytes are 4 for each pixel, and " + format
                        + " has 3: take Rgba or Bgra", nameof(pixels));
                }
            }
            if (stride < 0)
            {
                Pixels = FromBottom(pixels);
                Stride = 0;
            }
        }

        /// <summary>Refers to memory of somebody else, such as a locked bitmap (BitmapData.Scan0) or
        /// a matrix of OpenCV, which must stay there during the calls that get this image.</summary>
        /// <param name="pixels">The first pixel of the top row.</param>
        /// <param name="width">Pixels of a row.</param>
        /// <param name="height">Rows.</param>
        /// <param name="format">Order of the bytes of a pixel; Bgr is what System.Drawing calls
        /// Format24bppRgb, Bgra its Format32bppArgb.</param>
        /// <param name="stride">Bytes from one row to the next; 0 for rows without gaps. Where it is
        /// negative (bitmaps that are stored from the bottom), the pixels are copied.</param>
        /// <exception cref="ArgumentException">There is no memory, or rows overlap.</exception>
        public Image(
            IntPtr pixels, int width, int height, PixelFormat format = PixelFormat.Bgr,
            int stride = 0)
        {
            if (pixels == IntPtr.Zero)
            {
                throw new ArgumentException("there are no pixels at address 0", nameof(pixels));
            }
            Width = width;
            Height = height;
            Format = format;
            if (stride >= 0 || width < 1 || height < 1)
            {
                Address = pixels;
                Stride = Math.Max(stride, 0);
                return;
            }
            int row = RowOf(stride);
            Pixels = new byte[(long)row * height];
            for (int y = 0; y < height; y++)
            {
                Marshal.Copy(
                    new IntPtr(pixels.ToInt64() + (long)y * stride), Pixels, checked(y * row), row);
            }
        }

        /// <summary>All rows; null where they are memory of somebody else.</summary>
        public byte[] Pixels { get; }

        internal IntPtr Address { get; }

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

        // A copy from the top of rows that are stored from the bottom.
        private byte[] FromBottom(byte[] pixels)
        {
            if (Width < 1 || Height < 1)
            {
                return pixels;
            }
            int row = RowOf(Stride);
            var turned = new byte[(long)row * Height];
            for (int y = 0; y < Height; y++)
            {
                long from = -(long)Stride * (Height - 1 - y);
                Array.Copy(pixels, from, turned, (long)row * y, row);
            }
            return turned;
        }

        // Bytes of a row's pixels; stride: negative.
        private int RowOf(int stride)
        {
            long row = (long)Width * BytesOf(Format);
            if (-(long)stride < row)
            {
                throw new ArgumentException("rows of " + row + " bytes overlap", nameof(stride));
            }
            return checked((int)row);
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
