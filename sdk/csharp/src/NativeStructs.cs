using System;
using System.Runtime.InteropServices;

namespace Rtmpose
{
    // The structs of rtmpose.h; layouts and meanings are those of there.

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
        public IntPtr Device;
        public IntPtr DeviceNote;
    }

    [StructLayout(LayoutKind.Sequential)]
    internal struct NativeDetectParams
    {
        public uint StructSize;
        public float BoxThr;
        public int Label;
        public int MaxPeople;

        // label: null: people.
        internal static NativeDetectParams Of(float boxThr, int? label, int maxPeople)
        {
            NativeDetectParams values;
            Native.rtmpose_detect_params_init(out values, Native.SizeOf<NativeDetectParams>());
            values.BoxThr = boxThr;
            values.MaxPeople = maxPeople;
            if (label != null)
            {
                values.Label = label.Value;
            }
            return values;
        }
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
}
