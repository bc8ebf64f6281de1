package rtmpose;

/**
 * Settings of a tracker; names and defaults are those of the deployment SDK, the last six are
 * additions.
 */
public final class TrackerParams {
    /** Frames from one detection to the next. */
    public int detInterval;
    /** Class of a person; -1 for any. */
    public int detLabel;
    /** Lowest score of a detected box. */
    public float detThr;
    /** Smallest detected box: root of its area; -1 for any. */
    public float detMinBboxSize;
    /** Overlap of a followed and a detected box of one person. */
    public float detNmsThr;
    /** At most this many people per frame; -1 for any number. */
    public int poseMaxNumBboxes;
    /** Lowest score of a keypoint that counts as seen. */
    public float poseKptThr;
    /** Fewest seen keypoints of a followed person; -1 for half of all. */
    public int poseMinKeypoints;
    /** From the extent of the keypoints to the followed box. */
    public float poseBboxScale;
    /** Smallest followed box; -1 for any. */
    public float poseMinBboxSize;
    /** Similarity above which two poses are one. */
    public float poseNmsThr;
    /** Lowest overlap with the predicted box. */
    public float trackIouThr;
    /** Frames that a lost person is remembered. */
    public int trackMaxMissing;
    /** Uncertainty of a box's place, per height. */
    public float stdWeightPosition;
    /** Uncertainty of its velocity, per height and frame. */
    public float stdWeightVelocity;
    /** One-euro filter: beta, fc_min and fc_derivative. */
    public float[] smoothParams;
    /** Keypoints are smoothed. */
    public boolean smooth;
    /** Left and right limbs exchanged for a moment are put back. */
    public boolean repairSwaps;
    /** Seconds that somebody who was seen for long is remembered. */
    public float rememberS;
    /** Sightings before a doubtful new track gets an id. */
    public int confirm;
    /** Lowest person score of a new track. */
    public float personThr;
    /** Without a detector, each frame is one person's box. */
    public boolean wholeImage;

    /** The defaults. */
    public TrackerParams() {
        Native library = Loader.library();
        Native.CTrackerParams values = new Native.CTrackerParams();
        library.rtmpose_tracker_params_init(values, values.size());
        detInterval = values.detInterval;
        detLabel = values.detLabel;
        detThr = values.detThr;
        detMinBboxSize = values.detMinBboxSize;
        detNmsThr = values.detNmsThr;
        poseMaxNumBboxes = values.poseMaxNumBboxes;
        poseKptThr = values.poseKptThr;
        poseMinKeypoints = values.poseMinKeypoints;
        poseBboxScale = values.poseBboxScale;
        poseMinBboxSize = values.poseMinBboxSize;
        poseNmsThr = values.poseNmsThr;
        trackIouThr = values.trackIouThr;
        trackMaxMissing = values.trackMaxMissing;
        stdWeightPosition = values.stdWeightPosition;
        stdWeightVelocity = values.stdWeightVelocity;
        smoothParams = values.smoothParams.clone();
        smooth = values.smooth != 0;
        repairSwaps = values.repairSwaps != 0;
        rememberS = values.rememberS;
        confirm = values.confirm;
        personThr = values.personThr;
        wholeImage = values.wholeImage != 0;
    }

    Native.CTrackerParams toNative() {
        if (smoothParams == null || smoothParams.length != 3) {
            throw new IllegalArgumentException(
                    "smoothParams are three numbers: beta, fc_min, fc_derivative");
        }
        Native.CTrackerParams values = new Native.CTrackerParams();
        Loader.library().rtmpose_tracker_params_init(values, values.size());
        values.detInterval = detInterval;
        values.detLabel = detLabel;
        values.detThr = detThr;
        values.detMinBboxSize = detMinBboxSize;
        values.detNmsThr = detNmsThr;
        values.poseMaxNumBboxes = poseMaxNumBboxes;
        values.poseKptThr = poseKptThr;
        values.poseMinKeypoints = poseMinKeypoints;
        values.poseBboxScale = poseBboxScale;
        values.poseMinBboxSize = poseMinBboxSize;
        values.poseNmsThr = poseNmsThr;
        values.trackIouThr = trackIouThr;
        values.trackMaxMissing = trackMaxMissing;
        values.stdWeightPosition = stdWeightPosition;
        values.stdWeightVelocity = stdWeightVelocity;
        values.smoothParams = smoothParams.clone();
        values.smooth = smooth ? 1 : 0;
        values.repairSwaps = repairSwaps ? 1 : 0;
        values.rememberS = rememberS;
        values.confirm = confirm;
        values.personThr = personThr;
        values.wholeImage = wholeImage ? 1 : 0;
        return values;
    }
}
