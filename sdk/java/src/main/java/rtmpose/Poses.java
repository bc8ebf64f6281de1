package rtmpose;

import com.sun.jna.Pointer;

/** N people with K keypoints each. */
public final class Poses {
    /** N boxes. */
    public final Box[] boxes;
    /** N scores of the boxes, 0..1. */
    public final float[] boxScores;
    /** [N][K][2]: x and y in pixels of the image. */
    public final float[][][] keypoints;
    /** [N][K]: scores of the keypoints. */
    public final float[][] scores;
    /** N ids from 1; null where people are not tracked. */
    public final long[] ids;

    private final int keypointCount;

    private Poses(Native.CPoses found, boolean tracked) {
        int n = found.count;
        int k = found.keypointCount;
        keypointCount = k;
        boxes = Box.read(found.boxes, n);
        boxScores = n == 0 ? new float[0] : found.boxScores.getFloatArray(0, n);
        keypoints = new float[n][k][2];
        scores = new float[n][];
        for (int i = 0; i < n; i++) {
            float[] places = found.keypoints.getFloatArray(8L * i * k, 2 * k);
            for (int j = 0; j < k; j++) {
                keypoints[i][j][0] = places[2 * j];
                keypoints[i][j][1] = places[2 * j + 1];
            }
            scores[i] = found.scores.getFloatArray(4L * i * k, k);
        }
        if (!tracked) {
            ids = null;
        } else {
            ids = n == 0 ? new long[0] : found.ids.getLongArray(0, n);
        }
    }

    /** N. */
    public int count() {
        return boxes.length;
    }

    /** K, also where nobody is there. */
    public int keypointCount() {
        return keypointCount;
    }

    // Takes over a result of the library; tracked: it has ids.
    static Poses take(Pointer result, boolean tracked) {
        try {
            return new Poses(new Native.CPoses(result), tracked);
        } finally {
            Loader.library().rtmpose_poses_release(result);
        }
    }
}
