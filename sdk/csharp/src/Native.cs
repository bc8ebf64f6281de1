using System;
using System.Runtime.InteropServices;

namespace Rtmpose
{
    // The C interface; layouts and meanings are those of rtmpose.h.

    [StructLayout(LayoutKind.Sequential)]
    internal struct NativeImage
    {
        public uint StructSize;
        public int Format;
        public IntPtr Data;
        public int Width;
        public int Height;
        public long Stride;
    }

    [StructLayout(LayoutKind.Sequential)]
    internal struct NativeOptions
    {
        public uint StructSize;
        public int Threads;
        public IntPtr Device;
        public int AllowSpinning;
    }

    [StructLayout(LayoutKind.Sequential)]
    internal struct NativeModelInfo
    {
        public uint StructSize;
        public int Kind;
        public int InputWidth;
        public int InputHeight;
        public int Keypoints;
        public int Links;
        public IntPtr Id;
        public IntPtr Skeleton;
        public IntPtr KeypointNames;
        public IntPtr LinkPairs;
        public int Classes;
        public IntPtr ClassNames;
    }

    [StructLayout(LayoutKind.Sequential)]
    internal struct NativeDetectParams
    {
        public uint StructSize;
        public float BoxThr;
        public int Label;
        public int MaxPeople;
    }

    [StructLayout(LayoutKind.Sequential)]
    internal struct NativeDetections
    {
        public int Count;
        public IntPtr Boxes;
        public IntPtr Scores;
        public IntPtr Labels;
    }

    [StructLayout(LayoutKind.Sequential)]
    internal struct NativePoses
    {
        public int Count;
        public int KeypointCount;
        public IntPtr Boxes;
        public IntPtr BoxScores;
        public IntPtr Keypoints;
        public IntPtr Scores;
        public IntPtr Ids;
    }

    [StructLayout(LayoutKind.Sequential)]
    internal struct NativeTrackerParams
    {
        public uint StructSize;
        public int DetInterval;
        public int DetLabel;
        public float DetThr;
        public float DetMinBboxSize;
        public float DetNmsThr;
        public int PoseMaxNumBboxes;
        public float PoseKptThr;
        public int PoseMinKeypoints;
        public float PoseBboxScale;
        public float PoseMinBboxSize;
        public float PoseNmsThr;
        public float TrackIouThr;
        public int TrackMaxMissing;
        public int TrackHistorySize;
        public float StdWeightPosition;
        public float StdWeightVelocity;
        public float SmoothBeta;
        public float SmoothFcMin;
        public float SmoothFcDerivative;
        public int Smooth;
        public int RepairSwaps;
        public float RememberS;
        public int Confirm;
        public float PersonThr;
        public int WholeImage;
    }

    [StructLayout(LayoutKind.Sequential)]
    internal struct NativeFrame
    {
        public uint StructSize;
        public int Detect;
        public IntPtr Stream;
        public IntPtr Image;
        public double TimeS;
        public IntPtr Boxes;
        public IntPtr BoxScores;
        public int BoxCount;
    }

    internal static class Native
    {
        private const string Library = "rtmpose";
        private const CallingConvention C = CallingConvention.Cdecl;

        [DllImport(Library, CallingConvention = C)]
        internal static extern IntPtr rtmpose_version();

        [DllImport(Library, CallingConvention = C)]
        internal static extern IntPtr rtmpose_last_error();

        [DllImport(Library, CallingConvention = C)]
        internal static extern int rtmpose_load_engine(byte[] path);

        [DllImport(Library, CallingConvention = C)]
        internal static extern IntPtr rtmpose_engine_version();

        [DllImport(Library, CallingConvention = C)]
        internal static extern void rtmpose_image_init(out NativeImage image, uint size);

        [DllImport(Library, CallingConvention = C)]
        internal static extern void rtmpose_options_init(out NativeOptions options, uint size);

        [DllImport(Library, CallingConvention = C)]
        internal static extern int rtmpose_model_open(
            byte[] path, ref NativeOptions options, out ModelHandle model);

        [DllImport(Library, CallingConvention = C)]
        internal static extern int rtmpose_model_get_info(
            ModelHandle model, ref NativeModelInfo info);

        [DllImport(Library, CallingConvention = C)]
        internal static extern void rtmpose_model_close(IntPtr model);

        [DllImport(Library, CallingConvention = C)]
        internal static extern void rtmpose_detect_params_init(
            out NativeDetectParams values, uint size);

        [DllImport(Library, CallingConvention = C)]
        internal static extern int rtmpose_detector_create(
            ModelHandle model, out DetectorHandle detector);

        [DllImport(Library, CallingConvention = C)]
        internal static extern void rtmpose_detector_destroy(IntPtr detector);

        [DllImport(Library, CallingConvention = C)]
        internal static extern int rtmpose_detector_apply(
            DetectorHandle detector, ref NativeImage image, ref NativeDetectParams values,
            out IntPtr detections);

        [DllImport(Library, CallingConvention = C)]
        internal static extern void rtmpose_detections_release(IntPtr detections);

        [DllImport(Library, CallingConvention = C)]
        internal static extern int rtmpose_pose_detector_create(
            ModelHandle model, out PoseDetectorHandle pose);

        [DllImport(Library, CallingConvention = C)]
        internal static extern void rtmpose_pose_detector_destroy(IntPtr pose);

        [DllImport(Library, CallingConvention = C)]
        internal static extern int rtmpose_pose_detector_apply(
            PoseDetectorHandle pose, ref NativeImage image, [In] Box[] boxes, int boxCount,
            float boxThr, out IntPtr poses);

        [DllImport(Library, CallingConvention = C)]
        internal static extern void rtmpose_poses_release(IntPtr poses);

        [DllImport(Library, CallingConvention = C)]
        internal static extern int rtmpose_find_people(
            IntPtr detector, PoseDetectorHandle pose, ref NativeImage image,
            ref NativeDetectParams values, float personThr, out IntPtr people);

        [DllImport(Library, CallingConvention = C)]
        internal static extern void rtmpose_tracker_params_init(
            out NativeTrackerParams values, uint size);

        // A detector is allowed to be missing, which a handle of its own type cannot say.
        [DllImport(Library, CallingConvention = C)]
        internal static extern int rtmpose_tracker_create(
            IntPtr detector, ModelHandle pose, ref NativeTrackerParams values,
            out TrackerHandle tracker);

        [DllImport(Library, CallingConvention = C)]
        internal static extern void rtmpose_tracker_destroy(IntPtr tracker);

        [DllImport(Library, CallingConvention = C)]
        internal static extern int rtmpose_stream_create(
            TrackerHandle tracker, out StreamHandle stream);

        [DllImport(Library, CallingConvention = C)]
        internal static extern void rtmpose_stream_destroy(IntPtr stream);

        [DllImport(Library, CallingConvention = C)]
        internal static extern int rtmpose_stream_reset(StreamHandle stream);

        [DllImport(Library, CallingConvention = C)]
        internal static extern void rtmpose_frame_init(out NativeFrame frame, uint size);

        [DllImport(Library, CallingConvention = C)]
        internal static extern int rtmpose_tracker_apply_batch(
            TrackerHandle tracker, [In] IntPtr[] frames, int frameCount, [Out] IntPtr[] poses);

        /// <summary>Throws where a call failed, with the library's text.</summary>
        // Called before all else: the runtime's own text is only the library's name.
        internal static void CheckLoaded()
        {
            try
            {
                rtmpose_version();
            }
            catch (DllNotFoundException error)
            {
                throw new DllNotFoundException(
                    "librtmpose.so (on Windows rtmpose.dll) was not found, or not loaded: put it next"
                    + " to Rtmpose.dll, or where the system finds libraries",
                    error);
            }
        }

        internal static void Check(int status)
        {
            if (status != 0)
            {
                throw new RtmposeException((Status)status, Text.FromUtf8(rtmpose_last_error()));
            }
        }

        internal static uint SizeOf<T>()
        {
            return (uint)Marshal.SizeOf(typeof(T));
        }
    }
}
