package rtmpose;

import java.util.Objects;

/** The next frame of a stream. */
public final class Frame {
    /** Whose frame it is. */
    public final PoseStream stream;
    /** Pixels. */
    public final Image image;
    /** Seconds; NaN: frames come 30 times a second. */
    public double timeS = Double.NaN;
    /** Whether the detector runs; null: as detInterval says. */
    public Boolean detect;
    /** Boxes found elsewhere, instead of the detector's; null for none. */
    public Box[] boxes;
    /** Their scores; null: all 1. */
    public float[] boxScores;

    /** A frame with its stream. */
    public Frame(PoseStream stream, Image image) {
        this.stream = Objects.requireNonNull(stream, "stream is null");
        this.image = Objects.requireNonNull(image, "image is null");
    }
}
