using System;
using System.Runtime.InteropServices;

namespace Rtmpose
{
    /// <summary>Finds the keypoints of people in boxes. May be used by several threads.</summary>
    public sealed class PoseDetector : IDisposable
    {
        private readonly PoseDetectorHandle handle;

        /// <summary>Makes one of an opened pose network or one-stage model, which may be disposed
        /// afterwards.</summary>
        /// <exception cref="RtmposeException">The model finds no keypoints.</exception>
        public PoseDetector(Model model)
        {
            if (model == null)
            {
                throw new ArgumentNullException(nameof(model));
            }
            Native.Check(Native.rtmpose_pose_detector_create(model.Handle, out handle));
        }

        /// <summary>The pose in each box, in the order of the boxes.</summary>
        /// <param name="image">Pixels.</param>
        /// <param name="boxes">Null: the whole image is the box of one person; empty: nobody.
        /// One-stage models find people themselves and take null only.</param>
        /// <param name="boxThr">One-stage models: lowest score of a person; negative: 0.3.</param>
        /// <param name="personThr">Above 0: each person once, and nobody whose person score (box
        /// score times the mean of the keypoint scores above 0.2) is less, such as 0.12.</param>
        /// <exception cref="RtmposeException">The image or a box makes no sense.</exception>
        public Poses Apply(
            Image image, Box[] boxes = null, float boxThr = -1, float personThr = 0)
        {
            if (image == null)
            {
                throw new ArgumentNullException(nameof(image));
            }
            int count = boxes == null ? 0 : boxes.Length;
            // An empty array may reach the library as null, which means something else.
            Box[] given = boxes != null && count == 0 ? new Box[1] : boxes;

            GCHandle pixels = GCHandle.Alloc(image.Pixels, GCHandleType.Pinned);
            try
            {
                NativeImage native = image.ToNative(pixels.AddrOfPinnedObject());
                IntPtr poses;
                Native.Check(
                    Native.rtmpose_pose_detector_apply(
                        handle, ref native, given, count, boxThr, out poses));
                return Poses.Take(personThr > 0 ? People(poses, personThr) : poses, false);
            }
            finally
            {
                pixels.Free();
            }
        }

        // Those who are shown; the result with all of them is given back.
        private static IntPtr People(IntPtr poses, float personThr)
        {
            try
            {
                IntPtr people;
                Native.Check(Native.rtmpose_poses_people(poses, personThr, out people));
                return people;
            }
            finally
            {
                Native.rtmpose_poses_release(poses);
            }
        }

        /// <summary>Closes it.</summary>
        public void Dispose()
        {
            handle.Dispose();
        }
    }
}
