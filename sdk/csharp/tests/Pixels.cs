using System;
using System.IO;
using System.Runtime.InteropServices;

namespace Rtmpose.Tests
{
    /// <summary>The same image in all the ways that programs have pixels: the same boxes.</summary>
    internal static class Pixels
    {
        private const int Width = 96;
        private const int Height = 64;
        private static readonly Box[] Whole = { new Box(4, 4, 90, 60) };

        /// <summary>All checks; true where none failed.</summary>
        internal static bool Run(string root)
        {
            string file = Path.Combine(
                root, "rtmpose/assets/models/rtmpose-s-pruned_finetuned-halpe26_192x144.onnx");
            int failures = 0;
            using (var model = new Model(file, threads: 1))
            using (var pose = new PoseDetector(model))
            {
                byte[] bgr = Gradient();
                Poses expected = pose.Apply(new Image(bgr, Width, Height), Whole);
                Action<string, Image> same = (what, image) =>
                {
                    Poses found = pose.Apply(image, Whole);
                    if (!Equal(found.Keypoints, expected.Keypoints))
                    {
                        failures++;
                        Console.WriteLine("  WRONG keypoints of " + what);
                    }
                };
                same("rgba", new Image(Reordered(bgr, 2, 1, 0), Width, Height, PixelFormat.Rgba));
                same("bgra", new Image(Reordered(bgr, 0, 1, 2), Width, Height, PixelFormat.Bgra));
                const int stride = 3 * Width + 20;
                byte[] gaps = WithStride(bgr, stride, false);
                same("rows with gaps", new Image(gaps, Width, Height, PixelFormat.Bgr, stride));

                same("bytes from the bottom", new Image(
                    WithStride(bgr, stride, true), Width, Height, PixelFormat.Bgr, -stride));

                // Memory of a locked bitmap, also one that is stored from the bottom.
                Pinned(gaps, address => same(
                    "an address", new Image(address, Width, Height, PixelFormat.Bgr, stride)));
                byte[] turned = WithStride(bgr, stride, true);
                Pinned(turned, address => same(
                    "rows from the bottom",
                    new Image(address + stride * (Height - 1), Width, Height, PixelFormat.Bgr, -stride)));
                failures += Refused("no address", () => new Image(IntPtr.Zero, 1, 1));
                Pinned(gaps, address => failures += Refused(
                    "rows that overlap", () => new Image(address, Width, Height, stride: -5)));
            }
            Console.WriteLine("pixels: {0} failures", failures);
            return failures == 0;
        }

        private static byte[] Gradient()
        {
            var bgr = new byte[3 * Width * Height];
            for (int i = 0; i < bgr.Length; i++)
            {
                bgr[i] = (byte)(i * 7 + (i / (3 * Width)) * 5 + i % 3 * 60);
            }
            return bgr;
        }

        private static byte[] Reordered(byte[] bgr, int first, int second, int third)
        {
            var pixels = new byte[4 * Width * Height];
            for (int i = 0; i < Width * Height; i++)
            {
                pixels[4 * i] = bgr[3 * i + first];
                pixels[4 * i + 1] = bgr[3 * i + second];
                pixels[4 * i + 2] = bgr[3 * i + third];
                pixels[4 * i + 3] = (byte)i;
            }
            return pixels;
        }

        private static byte[] WithStride(byte[] bgr, int stride, bool fromBottom)
        {
            var pixels = new byte[stride * Height];
            for (int y = 0; y < Height; y++)
            {
                int row = fromBottom ? Height - 1 - y : y;
                Array.Copy(bgr, 3 * Width * y, pixels, stride * row, 3 * Width);
            }
            return pixels;
        }

        private static void Pinned(byte[] pixels, Action<IntPtr> use)
        {
            GCHandle handle = GCHandle.Alloc(pixels, GCHandleType.Pinned);
            try
            {
                use(handle.AddrOfPinnedObject());
            }
            finally
            {
                handle.Free();
            }
        }

        private static bool Equal(float[,,] a, float[,,] b)
        {
            bool equal = a.Length == b.Length;
            for (int k = 0; equal && k < a.GetLength(1); k++)
            {
                equal = a[0, k, 0] == b[0, k, 0] && a[0, k, 1] == b[0, k, 1];
            }
            return equal;
        }

        private static int Refused(string what, Action call)
        {
            try
            {
                call();
            }
            catch (ArgumentException)
            {
                return 0;
            }
            Console.WriteLine("  WRONG " + what + " was taken");
            return 1;
        }
    }
}
