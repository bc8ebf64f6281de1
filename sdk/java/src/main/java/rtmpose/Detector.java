package rtmpose;

import com.sun.jna.ptr.PointerByReference;
import java.lang.ref.Reference;

/** Finds boxes of people in images. May be used by several threads. */
public final class Detector implements AutoCloseable {
    /** Class of a call: people, where the model knows them. */
    public static final int PEOPLE = -2;
    /** Class of a call: all. */
    public static final int ALL = -1;

    final Handle handle;

    /**
     * Makes one of an opened model, which may be closed afterwards.
     *
     * @throws RtmposeException the model is no detector
     */
    public Detector(Model model) {
        Native library = Loader.library();
        PointerByReference made = new PointerByReference();
        try (Uses uses = new Uses()) {
            Calls.check(library.rtmpose_detector_create(uses.add(Model.handleOf(model)), made));
        }
        handle = new Handle("detector", made.getValue(), library::rtmpose_detector_destroy);
    }

    /** The boxes of people in an image that score at least 0.3, highest score first. */
    public Detections apply(Image image) {
        return apply(image, 0.3f, PEOPLE, -1);
    }

    /**
     * The boxes in an image, highest score first.
     *
     * @param image pixels
     * @param boxThr lowest score of a box
     * @param label class to keep, ALL or PEOPLE
     * @param maxPeople at most this many boxes; -1 for any number
     * @throws RtmposeException the image or a number makes no sense
     * @throws IllegalStateException this detector is closed
     */
    public Detections apply(Image image, float boxThr, int label, int maxPeople) {
        Native library = Loader.library();
        Native.CDetectParams params = Native.CDetectParams.of(boxThr, label, maxPeople);
        PointerByReference found = new PointerByReference();
        try (Uses uses = new Uses()) {
            Calls.check(library.rtmpose_detector_apply(
                    uses.add(handle), uses.add(image), params, found));
        } finally {
            Reference.reachabilityFence(image);
        }
        return Detections.take(found.getValue());
    }

    @Override
    public void close() {
        handle.close();
    }
}
