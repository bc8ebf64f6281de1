using System;

namespace Rtmpose
{
    /// <summary>Finds boxes of people in images. May be used by several threads.</summary>
    public sealed class Detector : IDisposable
    {
        private readonly DetectorHandle handle;

        /// <summary>Makes one of an opened model, which may be disposed afterwards.</summary>
        /// <exception cref="RtmposeException">The model is no detector.</exception>
        public Detector(Model model)
        {
            if (model == null)
            {
                throw new ArgumentNullException(nameof(model));
            }
            Native.Check(Native.rtmpose_detector_create(model.Handle, out handle));
        }

        internal DetectorHandle Handle
        {
            get { return handle; }
        }

        /// <summary>The boxes in an image, highest score first.</summary>
        /// <param name="image">Pixels.</param>
        /// <param name="boxThr">Lowest score of a box.</param>
        /// <param name="label">Class to keep; -1 keeps all; -2 people, where the model knows them.
        /// </param>
        /// <param name="maxPeople">At most this many boxes; -1 for any number.</param>
        /// <exception cref="RtmposeException">The image or a number makes no sense.</exception>
        public Detections Apply(
            Image image, float boxThr = 0.3f, int? label = null, int maxPeople = -1)
        {
            using (var kept = new KeptHandles())
            {
                NativeImage pixels = kept.Add(image);
                NativeDetectParams values = NativeDetectParams.Of(boxThr, label, maxPeople);
                IntPtr found;
                Native.Check(
                    Native.rtmpose_detector_apply(handle, ref pixels, ref values, out found));
                return Detections.Take(found);
            }
        }

        /// <summary>Closes it.</summary>
        public void Dispose()
        {
            handle.Dispose();
        }
    }
}
