package rtmpose;

import com.sun.jna.Pointer;
import com.sun.jna.ptr.PointerByReference;
import java.lang.ref.Reference;

/** Finds the keypoints of people in boxes. May be used by several threads. */
public final class PoseDetector implements AutoCloseable {
    private final Handle handle;

    /**
     * Makes one of an opened pose network or one-stage model, which may be closed afterwards.
     *
     * @throws RtmposeException the model finds no keypoints
     */
    public PoseDetector(Model model) {
        Native library = Loader.library();
        PointerByReference made = new PointerByReference();
        try (Uses uses = new Uses()) {
            Calls.check(library.rtmpose_pose_detector_create(
                    uses.add(Model.handleOf(model)), made));
        }
        handle = new Handle("pose detector", made.getValue(), library::rtmpose_pose_detector_destroy);
    }

    /** The pose in each box, in the order of the boxes; see the longer form. */
    public Poses apply(Image image, Box[] boxes) {
        return apply(image, boxes, -1);
    }

    /**
     * The pose in each box, in the order of the boxes.
     *
     * @param image pixels
     * @param boxes null: the whole image is the box of one person; empty: nobody. One-stage models
     *     find people themselves and take null only
     * @param boxThr one-stage models: lowest score of a person; negative: 0.3
     * @throws RtmposeException the image or a box makes no sense
     * @throws IllegalStateException this pose detector is closed
     */
    public Poses apply(Image image, Box[] boxes, float boxThr) {
        Native library = Loader.library();
        Pointer given = Box.write(boxes);
        int count = boxes == null ? 0 : boxes.length;
        PointerByReference found = new PointerByReference();
        try (Uses uses = new Uses()) {
            Calls.check(library.rtmpose_pose_detector_apply(
                    uses.add(handle), uses.add(image), given, count, boxThr, found));
        } finally {
            Reference.reachabilityFence(image);
            Reference.reachabilityFence(given);
        }
        return Poses.take(found.getValue(), false);
    }

    /** The people of an image with the usual thresholds; see the longer form. */
    public Poses findPeople(Detector detector, Image image) {
        return findPeople(detector, image, 0.3f, -1, -1);
    }

    /**
     * The people of an image: boxes by the detector, the pose in each of them, each person once,
     * and nobody who is too doubtful.
     *
     * @param detector null for one-stage models
     * @param image pixels
     * @param boxThr lowest score of a box
     * @param personThr lowest person score (box score times the mean of the keypoint scores above
     *     0.2); 0: everybody, also twice; negative: as the keypoint set needs it
     * @param maxPeople at most this many boxes; -1 for any number
     * @throws RtmposeException the image or a number makes no sense
     * @throws IllegalStateException this pose detector or the detector is closed
     */
    public Poses findPeople(
            Detector detector, Image image, float boxThr, float personThr, int maxPeople) {
        Native library = Loader.library();
        Native.CDetectParams params =
                Native.CDetectParams.of(boxThr, Detector.PEOPLE, maxPeople);
        PointerByReference people = new PointerByReference();
        try (Uses uses = new Uses()) {
            Pointer boxes = uses.addIfAny(detector == null ? null : detector.handle);
            Calls.check(library.rtmpose_find_people(
                    boxes, uses.add(handle), uses.add(image), params, personThr, people));
        } finally {
            Reference.reachabilityFence(image);
        }
        return Poses.take(people.getValue(), false);
    }

    @Override
    public void close() {
        handle.close();
    }
}
