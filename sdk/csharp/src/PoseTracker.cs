using System;
using System.Collections.Generic;

namespace Rtmpose
{
    /// <summary>The memory for one video or camera. It belongs to one call at a time.</summary>
    public sealed class PoseStream : IDisposable
    {
        internal PoseStream(StreamHandle handle)
        {
            Handle = handle;
        }

        internal StreamHandle Handle { get; }

        /// <summary>Forgets the people; ids go on.</summary>
        public void Reset()
        {
            Native.Check(Native.rtmpose_stream_reset(Handle));
        }

        /// <summary>Closes it.</summary>
        public void Dispose()
        {
            Handle.Dispose();
        }
    }

    /// <summary>The next frame of a stream.</summary>
    public sealed class Frame
    {
        /// <summary>A frame with its stream.</summary>
        public Frame(PoseStream stream, Image image)
        {
            Stream = stream ?? throw new ArgumentNullException(nameof(stream));
            Image = image ?? throw new ArgumentNullException(nameof(image));
        }

        /// <summary>Whose frame it is.</summary>
        public PoseStream Stream { get; }

        /// <summary>Pixels.</summary>
        public Image Image { get; }

        /// <summary>Seconds; NaN: frames come 30 times a second.</summary>
        public double TimeS { get; set; } = double.NaN;

        /// <summary>Whether the detector runs; null: as DetInterval says.</summary>
        public bool? Detect { get; set; }

        /// <summary>Boxes found elsewhere, instead of the detector's; null for none.</summary>
        public Box[] Boxes { get; set; }

        /// <summary>Their scores; null: all 1.</summary>
        public float[] BoxScores { get; set; }
    }

    /// <summary>Follows people through videos. May be used by several threads, each with streams of
    /// its own.</summary>
    public sealed class PoseTracker : IDisposable
    {
        private readonly TrackerHandle handle;

        /// <summary>Makes one of opened models, which may be disposed afterwards.</summary>
        /// <param name="detector">Null where boxes come with the frames, and for one-stage models.
        /// </param>
        /// <param name="pose">A pose network or a one-stage model.</param>
        /// <param name="values">Settings; null for the defaults.</param>
        /// <exception cref="RtmposeException">A model is of the wrong kind, or a setting makes no
        /// sense.</exception>
        public PoseTracker(Model detector, Model pose, TrackerParams values = null)
        {
            if (pose == null)
            {
                throw new ArgumentNullException(nameof(pose));
            }
            NativeTrackerParams native = (values ?? new TrackerParams()).Values;
            using (var kept = new KeptHandles())
            {
                IntPtr found = detector == null ? IntPtr.Zero : kept.Add(detector.Handle);
                Native.Check(
                    Native.rtmpose_tracker_create(found, pose.Handle, ref native, out handle));
            }
        }

        /// <summary>The memory for one more video.</summary>
        public PoseStream CreateStream()
        {
            StreamHandle stream;
            Native.Check(Native.rtmpose_stream_create(handle, out stream));
            return new PoseStream(stream);
        }

        /// <summary>The people in the next frame of a stream, in the order of their ids.</summary>
        /// <param name="stream">Whose frame it is.</param>
        /// <param name="image">Pixels.</param>
        /// <param name="timeS">Seconds; NaN: frames come 30 times a second.</param>
        /// <exception cref="RtmposeException">The image or a box makes no sense, or another call
        /// uses the stream.</exception>
        public Poses Apply(PoseStream stream, Image image, double timeS = double.NaN)
        {
            return Apply(new Frame(stream, image) { TimeS = timeS });
        }

        /// <summary>The people in a frame, in the order of their ids.</summary>
        public Poses Apply(Frame frame)
        {
            return Apply(new[] { frame })[0];
        }

        /// <summary>One frame each of several streams; all people share the calls of the network.
        /// </summary>
        public Poses[] Apply(IReadOnlyList<Frame> frames)
        {
            if (frames == null)
            {
                throw new ArgumentNullException(nameof(frames));
            }
            if (frames.Count == 0)
            {
                return new Poses[0];
            }
            using (var kept = new KeptHandles())
            {
                var pointers = new IntPtr[frames.Count];
                for (int i = 0; i < pointers.Length; i++)
                {
                    pointers[i] = kept.Add((object)ToNative(frames[i], kept));
                }
                var results = new IntPtr[frames.Count];
                Native.Check(
                    Native.rtmpose_tracker_apply_batch(handle, pointers, pointers.Length, results));
                return Array.ConvertAll(results, result => Poses.Take(result, true));
            }
        }

        /// <summary>Closes it.</summary>
        public void Dispose()
        {
            handle.Dispose();
        }

        private static NativeFrame ToNative(Frame frame, KeptHandles kept)
        {
            if (frame == null)
            {
                throw new ArgumentNullException(nameof(frame));
            }
            NativeFrame native;
            Native.rtmpose_frame_init(out native, Native.SizeOf<NativeFrame>());
            native.Stream = kept.Add(frame.Stream.Handle);
            native.Image = kept.Add((object)kept.Add(frame.Image));
            native.TimeS = frame.TimeS;
            native.Detect = frame.Detect == null ? -1 : frame.Detect.Value ? 1 : 0;
            if (frame.Boxes != null)
            {
                // A list without boxes is not the same as none.
                native.Boxes = kept.Add(frame.Boxes.Length == 0 ? new Box[1] : frame.Boxes);
                native.BoxCount = frame.Boxes.Length;
            }
            if (frame.BoxScores != null)
            {
                if (frame.Boxes == null || frame.Boxes.Length != frame.BoxScores.Length)
                {
                    throw new ArgumentException("there must be as many scores as boxes", nameof(frame));
                }
                native.BoxScores = kept.Add(frame.BoxScores);
            }
            return native;
        }
    }
}
