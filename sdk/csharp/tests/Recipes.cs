using System;
using System.Collections.Generic;
using System.IO;

namespace Rtmpose.Tests
{
    /// <summary>Images of the cases: what is pasted where; see sdk/conformance/README.md.</summary>
    internal sealed class Recipes
    {
        private readonly string folder;
        private readonly Dictionary<string, Photo> photos = new Dictionary<string, Photo>();

        internal Recipes(string folder)
        {
            this.folder = folder;
        }

        private sealed class Photo
        {
            internal int Width;
            internal byte[] Rgb;
        }

        /// <summary>The image of a recipe, its pixels in the order that a case wants.</summary>
        internal Image Compose(Dictionary<string, object> recipe, string pixels)
        {
            int width = Convert.ToInt32(recipe["width"]);
            int height = Convert.ToInt32(recipe["height"]);
            var rgb = new byte[width * height * 3];
            foreach (object part in (List<object>)recipe["parts"])
            {
                Paste(rgb, width, height, (Dictionary<string, object>)part);
            }
            return InOrder(rgb, width, height, pixels);
        }

        /// <summary>Largest factor by which a recipe repeats pixels.</summary>
        internal static int Repeat(Dictionary<string, object> recipe)
        {
            int largest = 1;
            foreach (object part in (List<object>)recipe["parts"])
            {
                var values = (Dictionary<string, object>)part;
                largest = Math.Max(largest, Convert.ToInt32(values["repeat"]));
            }
            return largest;
        }

        private void Paste(byte[] rgb, int width, int height, Dictionary<string, object> part)
        {
            Photo photo = Load((string)part["photo"]);
            int[] source = Cases.Ints(part["from"]);
            int[] to = Cases.Ints(part["to"]);
            int repeat = Convert.ToInt32(part["repeat"]);
            int bottom = Math.Min(to[1] + source[3] * repeat, height);
            int right = Math.Min(to[0] + source[2] * repeat, width);
            for (int y = Math.Max(to[1], 0); y < bottom; y++)
            {
                int row = source[1] + (y - to[1]) / repeat;
                for (int x = Math.Max(to[0], 0); x < right; x++)
                {
                    int column = source[0] + (x - to[0]) / repeat;
                    Array.Copy(
                        photo.Rgb, (row * photo.Width + column) * 3, rgb, (y * width + x) * 3, 3);
                }
            }
        }

        private static Image InOrder(byte[] rgb, int width, int height, string pixels)
        {
            PixelFormat format = (PixelFormat)Enum.Parse(typeof(PixelFormat), pixels, true);
            int bytes = format == PixelFormat.Gray ? 1 : pixels.Length;
            var result = new byte[width * height * bytes];
            int first = pixels.StartsWith("bgr") ? 2 : 0;
            for (int i = 0; i < width * height; i++)
            {
                if (bytes == 1)
                {
                    result[i] = rgb[3 * i + 1];
                    continue;
                }
                result[bytes * i] = rgb[3 * i + first];
                result[bytes * i + 1] = rgb[3 * i + 1];
                result[bytes * i + 2] = rgb[3 * i + 2 - first];
                if (bytes == 4)
                {
                    result[4 * i + 3] = 128;
                }
            }
            return new Image(result, width, height, format);
        }

        private Photo Load(string name)
        {
            Photo photo;
            if (!photos.TryGetValue(name, out photo))
            {
                photo = ReadPpm(Path.Combine(folder, name + ".ppm"));
                photos[name] = photo;
            }
            return photo;
        }

        private static Photo ReadPpm(string path)
        {
            byte[] data = File.ReadAllBytes(path);
            // P6, width and height, largest value: three lines.
            int at = 0;
            var lines = new string[3];
            for (int i = 0; i < 3; i++)
            {
                int end = Array.IndexOf(data, (byte)'\n', at);
                lines[i] = System.Text.Encoding.ASCII.GetString(data, at, end - at);
                at = end + 1;
            }
            if (lines[0] != "P6" || lines[2] != "255")
            {
                throw new FormatException(path + " is no PPM image");
            }
            var rgb = new byte[data.Length - at];
            Array.Copy(data, at, rgb, 0, rgb.Length);
            return new Photo { Width = int.Parse(lines[1].Split(' ')[0]), Rgb = rgb };
        }
    }
}
