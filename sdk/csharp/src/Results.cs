using System;
using System.Runtime.InteropServices;

namespace Rtmpose
{
    /// <summary>A rectangle by its corners, in pixels of the image.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct Box
    {
        /// <summary>Left side.</summary>
        public float X1;

        /// <summary>Top side.</summary>
        public float Y1;

        /// <summary>Right side.</summary>
        public float X2;

        /// <summary>Bottom side.</summary>
        public float Y2;

        /// <summary>A box by its sides.</summary>
        public Box(float x1, float y1, float x2, float y2)
        {
            X1 = x1;
            Y1 = y1;
            X2 = x2;
            Y2 = y2;
        }

        /// <summary>The four sides.</summary>
        public override string ToString()
        {
            return "(" + X1 + ", " + Y1 + ", " + X2 + ", " + Y2 + ")";
        }
    }

    /// <summary>Boxes of N people or other objects, highest score first.</summary>
    public sealed class Detections
    {
        private Detections(NativeDetections native)
        {
            Boxes = Copies.Boxes(native.Boxes, native.Count);
            Scores = Copies.Floats(native.Scores, native.Count);
            Labels = new int[native.Count];
            if (native.Count > 0)
            {
                Marshal.Copy(native.Labels, Labels, 0, native.Count);
            }
        }

        /// <summary>N.</summary>
        public int Count { get { return Boxes.Length; } }

        /// <summary>N boxes; they may reach past the image.</summary>
        public Box[] Boxes { get; }

        /// <summary>N scores, 0..1.</summary>
        public float[] Scores { get; }

        /// <summary>N classes.</summary>
        public int[] Labels { get; }

        // Takes over a result of the library.
        internal static Detections Take(IntPtr result)
        {
            try
            {
                return new Detections(Marshal.PtrToStructure<NativeDetections>(result));
            }
            finally
            {
                Native.rtmpose_detections_release(result);
            }
        }
    }

    /// <summary>N people with K keypoints each.</summary>
    public sealed class Poses
    {
        private Poses(NativePoses native, bool tracked)
        {
            int n = native.Count;
            int k = native.KeypointCount;
            Boxes = Copies.Boxes(native.Boxes, n);
            BoxScores = Copies.Floats(native.BoxScores, n);
            Keypoints = new float[n, k, 2];
            Buffer.BlockCopy(
                Copies.Floats(native.Keypoints, n * k * 2), 0, Keypoints, 0,
                n * k * 2 * sizeof(float));
            Scores = new float[n, k];
            Buffer.BlockCopy(
                Copies.Floats(native.Scores, n * k), 0, Scores, 0, n * k * sizeof(float));
            if (tracked)
            {
                Ids = new long[n];
                if (n > 0)
                {
                    Marshal.Copy(native.Ids, Ids, 0, n);
                }
            }
        }

        /// <summary>N.</summary>
        public int Count { get { return Boxes.Length; } }

        /// <summary>K, also where nobody is there.</summary>
        public int KeypointCount { get { return Keypoints.GetLength(1); } }

        /// <summary>N boxes.</summary>
        public Box[] Boxes { get; }

        /// <summary>N scores of the boxes, 0..1.</summary>
        public float[] BoxScores { get; }

        /// <summary>[N, K, 2]: x and y in pixels of the image.</summary>
        public float[,,] Keypoints { get; }

        /// <summary>[N, K]: scores of the keypoints.</summary>
        public float[,] Scores { get; }

        /// <summary>N ids from 1; null where people are not tracked.</summary>
        public long[] Ids { get; }

        // Takes over a result of the library; tracked: it has ids.
        internal static Poses Take(IntPtr result, bool tracked)
        {
            try
            {
                return new Poses(Marshal.PtrToStructure<NativePoses>(result), tracked);
            }
            finally
            {
                Native.rtmpose_poses_release(result);
            }
        }
    }

    internal static class Copies
    {
        internal static float[] Floats(IntPtr values, int count)
        {
            var result = new float[count];
            if (count > 0)
            {
                Marshal.Copy(values, result, 0, count);
            }
            return result;
        }

        internal static Box[] Boxes(IntPtr values, int count)
        {
            float[] sides = Floats(values, 4 * count);
            var result = new Box[count];
            for (int i = 0; i < count; i++)
            {
                result[i] = new Box(
                    sides[4 * i], sides[4 * i + 1], sides[4 * i + 2], sides[4 * i + 3]);
            }
            return result;
        }
    }
}
