using System;
using System.Runtime.InteropServices;

namespace Rtmpose
{
    /// <summary>The functions of rtmpose.h, which says what they mean.</summary>
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
        internal static extern int rtmpose_model_open_memory(
            byte[] data, UIntPtr size, byte[] name, ref NativeOptions options,
            out ModelHandle model);

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

        /// <summary>Called before all else: the runtime's own text is only the library's name.
        /// </summary>
        internal static void CheckLoaded()
        {
            try
            {
                rtmpose_version();
            }
            catch (Exception error)
                when (error is DllNotFoundException || error is BadImageFormatException)
            {
                throw new DllNotFoundException(MissingLibrary.Text(), error);
            }
        }

        /// <summary>Throws where a call failed, with the library's text.</summary>
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
