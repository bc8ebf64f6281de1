namespace Rtmpose
{
    /// <summary>Settings of a tracker; names and defaults are those of the deployment SDK, the last
    /// six are additions.</summary>
    public sealed class TrackerParams
    {
        private NativeTrackerParams values;

        /// <summary>The defaults.</summary>
        public TrackerParams()
        {
            Native.CheckLoaded();
            Native.rtmpose_tracker_params_init(out values, Native.SizeOf<NativeTrackerParams>());
        }

        internal NativeTrackerParams Values { get { return values; } }

        /// <summary>Frames from one detection to the next.</summary>
        public int DetInterval { get { return values.DetInterval; } set { values.DetInterval = value; } }

        /// <summary>Class of a person; -1 for any.</summary>
        public int DetLabel { get { return values.DetLabel; } set { values.DetLabel = value; } }

        /// <summary>Lowest score of a detected box.</summary>
        public float DetThr { get { return values.DetThr; } set { values.DetThr = value; } }

        /// <summary>Smallest detected box: root of its area; -1 for any.</summary>
        public float DetMinBboxSize { get { return values.DetMinBboxSize; } set { values.DetMinBboxSize = value; } }

        /// <summary>Overlap of a followed and a detected box of one person.</summary>
        public float DetNmsThr { get { return values.DetNmsThr; } set { values.DetNmsThr = value; } }

        /// <summary>At most this many people per frame; -1 for any number.</summary>
        public int PoseMaxNumBboxes { get { return values.PoseMaxNumBboxes; } set { values.PoseMaxNumBboxes = value; } }

        /// <summary>Lowest score of a keypoint that counts as seen.</summary>
        public float PoseKptThr { get { return values.PoseKptThr; } set { values.PoseKptThr = value; } }

        /// <summary>Fewest seen keypoints of a followed person; -1 for half of all.</summary>
        public int PoseMinKeypoints { get { return values.PoseMinKeypoints; } set { values.PoseMinKeypoints = value; } }

        /// <summary>From the extent of the keypoints to the followed box.</summary>
        public float PoseBboxScale { get { return values.PoseBboxScale; } set { values.PoseBboxScale = value; } }

        /// <summary>Smallest followed box; -1 for any.</summary>
        public float PoseMinBboxSize { get { return values.PoseMinBboxSize; } set { values.PoseMinBboxSize = value; } }

        /// <summary>Similarity above which two poses are one.</summary>
        public float PoseNmsThr { get { return values.PoseNmsThr; } set { values.PoseNmsThr = value; } }

        /// <summary>Lowest overlap with the predicted box.</summary>
        public float TrackIouThr { get { return values.TrackIouThr; } set { values.TrackIouThr = value; } }

        /// <summary>Frames that a lost person is remembered.</summary>
        public int TrackMaxMissing { get { return values.TrackMaxMissing; } set { values.TrackMaxMissing = value; } }

        /// <summary>Uncertainty of a box's place, per height.</summary>
        public float StdWeightPosition { get { return values.StdWeightPosition; } set { values.StdWeightPosition = value; } }

        /// <summary>Uncertainty of its velocity, per height and frame.</summary>
        public float StdWeightVelocity { get { return values.StdWeightVelocity; } set { values.StdWeightVelocity = value; } }

        /// <summary>One-euro filter: beta, fc_min and fc_derivative.</summary>
        public float[] SmoothParams
        {
            get { return new[] { values.SmoothBeta, values.SmoothFcMin, values.SmoothFcDerivative }; }
            set
            {
                if (value == null || value.Length != 3)
                {
                    throw new System.ArgumentException("three numbers: beta, fc_min, fc_derivative", nameof(value));
                }
                values.SmoothBeta = value[0];
                values.SmoothFcMin = value[1];
                values.SmoothFcDerivative = value[2];
            }
        }

        /// <summary>Keypoints are smoothed.</summary>
        public bool Smooth { get { return values.Smooth != 0; } set { values.Smooth = value ? 1 : 0; } }

        /// <summary>Left and right limbs exchanged for a moment are put back.</summary>
        public bool RepairSwaps { get { return values.RepairSwaps != 0; } set { values.RepairSwaps = value ? 1 : 0; } }

        /// <summary>Seconds that somebody who was seen for long is remembered.</summary>
        public float RememberS { get { return values.RememberS; } set { values.RememberS = value; } }

        /// <summary>Sightings before a doubtful new track gets an id.</summary>
        public int Confirm { get { return values.Confirm; } set { values.Confirm = value; } }

        /// <summary>Lowest person score of a new track.</summary>
        public float PersonThr { get { return values.PersonThr; } set { values.PersonThr = value; } }

        /// <summary>Without a detector, each frame is one person's box.</summary>
        public bool WholeImage { get { return values.WholeImage != 0; } set { values.WholeImage = value ? 1 : 0; } }
    }
}
