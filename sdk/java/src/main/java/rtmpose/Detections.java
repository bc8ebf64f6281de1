package rtmpose;

import com.sun.jna.Pointer;

/** Boxes of N people or other objects, highest score first. */
public final class Detections {
    /** N boxes; they may reach past the image. */
    public final Box[] boxes;
    /** N scores, 0..1. */
    public final float[] scores;
    /** N classes. */
    public final int[] labels;

    private Detections(Native.CDetections found) {
        boxes = Box.read(found.boxes, found.count);
        scores = found.count == 0 ? new float[0] : found.scores.getFloatArray(0, found.count);
        labels = found.count == 0 ? new int[0] : found.labels.getIntArray(0, found.count);
    }

    /** N. */
    public int count() {
        return boxes.length;
    }

    static Detections take(Pointer result) {
        try {
            return new Detections(new Native.CDetections(result));
        } finally {
            Loader.library().rtmpose_detections_release(result);
        }
    }
}
