using System;
using Microsoft.Win32.SafeHandles;

namespace Rtmpose
{
    /// <summary>A handle of the library. The runtime closes it once, after the last call that uses
    /// it, also when it is forgotten; a call with a closed one throws ObjectDisposedException.
    /// </summary>
    internal abstract class LibraryHandle : SafeHandleZeroOrMinusOneIsInvalid
    {
        private readonly Action<IntPtr> close;

        protected LibraryHandle(Action<IntPtr> close) : base(true)
        {
            this.close = close;
        }

        protected override bool ReleaseHandle()
        {
            close(handle);
            return true;
        }
    }

    // A type for each kind: calls cannot take one for another, and the runtime makes no generic ones.

    internal sealed class ModelHandle : LibraryHandle
    {
        internal ModelHandle() : base(Native.rtmpose_model_close) { }
    }

    internal sealed class DetectorHandle : LibraryHandle
    {
        internal DetectorHandle() : base(Native.rtmpose_detector_destroy) { }
    }

    internal sealed class PoseDetectorHandle : LibraryHandle
    {
        internal PoseDetectorHandle() : base(Native.rtmpose_pose_detector_destroy) { }
    }

    internal sealed class TrackerHandle : LibraryHandle
    {
        internal TrackerHandle() : base(Native.rtmpose_tracker_destroy) { }
    }

    internal sealed class StreamHandle : LibraryHandle
    {
        internal StreamHandle() : base(Native.rtmpose_stream_destroy) { }
    }
}
