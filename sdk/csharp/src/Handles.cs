using System;
using Microsoft.Win32.SafeHandles;

namespace Rtmpose
{
    // Handles of the library. The runtime closes them once, after the last call that uses them, also
    // when they are forgotten; a call with a closed one throws ObjectDisposedException.

    internal sealed class ModelHandle : SafeHandleZeroOrMinusOneIsInvalid
    {
        internal ModelHandle() : base(true) { }

        protected override bool ReleaseHandle()
        {
            Native.rtmpose_model_close(handle);
            return true;
        }
    }

    internal sealed class DetectorHandle : SafeHandleZeroOrMinusOneIsInvalid
    {
        internal DetectorHandle() : base(true) { }

        protected override bool ReleaseHandle()
        {
            Native.rtmpose_detector_destroy(handle);
            return true;
        }
    }

    internal sealed class PoseDetectorHandle : SafeHandleZeroOrMinusOneIsInvalid
    {
        internal PoseDetectorHandle() : base(true) { }

        protected override bool ReleaseHandle()
        {
            Native.rtmpose_pose_detector_destroy(handle);
            return true;
        }
    }

    internal sealed class TrackerHandle : SafeHandleZeroOrMinusOneIsInvalid
    {
        internal TrackerHandle() : base(true) { }

        protected override bool ReleaseHandle()
        {
            Native.rtmpose_tracker_destroy(handle);
            return true;
        }
    }

    internal sealed class StreamHandle : SafeHandleZeroOrMinusOneIsInvalid
    {
        internal StreamHandle() : base(true) { }

        protected override bool ReleaseHandle()
        {
            Native.rtmpose_stream_destroy(handle);
            return true;
        }
    }
}
