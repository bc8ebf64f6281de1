using System;

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
        /// <exception cref="RtmposeException">The image or a box makes no sense.</exception>
        public Poses Apply(Image image, Box[] boxes = null, float boxThr = -1)
        {
            int count = boxes == null ? 0 : boxes.Length;
            // An empty array may reach the library as null, which means something else.
            Box[] given = boxes != null && count == 0 ? new Box[1] : boxes;
            using (var kept = new KeptHandles())
            {
                NativeImage pixels = kept.Add(image);
                IntPtr poses;
                Native.Check(
                    Native.rtmpose_pose_detector_apply(
                        handle, ref pixels, given, count, boxThr, out poses));
                return Poses.Take(poses, false);
            }
        }

        /// <summary>The people of an image: boxes by the detector, the pose in each of them, each
        /// person once, and nobody who is too doubtful.</summary>
        /// <param name="detector">Null for one-stage models.</param>
        /// <param name="image">Pixels.</param>
        /// <param name="boxThr">Lowest score of a box.</param>
        /// <param name="personThr">Lowest person score (box score times the mean of the keypoint
        /// scores above 0.2); 0: everybody, also twice; negative: as the keypoint set needs it.
        /// </param>
        /// <param name="maxPeople">At most this many boxes; -1 for any number.</param>
        /// <exception cref="RtmposeException">The image or a number makes no sense.</exception>
        public Poses FindPeople(
            Detector detector, Image image, float boxThr = 0.3f, float personThr = -1,
            int maxPeople = -1)
        {
            using (var kept = new KeptHandles())
            {
                NativeImage pixels = kept.Add(image);
                NativeDetectParams values = NativeDetectParams.Of(boxThr, null, maxPeople);
                IntPtr found = detector == null ? IntPtr.Zero : kept.Add(detector.Handle);
                IntPtr people;
                Native.Check(
                    Native.rtmpose_find_people(
                        found, handle, ref pixels, ref values, personThr, out people));
                return Poses.Take(people, false);
            }
        }

        /// <summary>Closes it.</summary>
        public void Dispose()
        {
            handle.Dispose();
        }
    }
}
