package rtmpose;

import com.sun.jna.Memory;
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
        PointerByReference made = new PointerByReference();
        Pointer opened = model.handle.acquire();
        try {
            Native.check(Native.C.rtmpose_pose_detector_create(opened, made));
        } finally {
            model.handle.release();
        }
        handle = new Handle("pose detector", made.getValue(), Native.C::rtmpose_pose_detector_destroy);
    }

    /** The pose in each box, in the order of the boxes; see the longer form. */
    public Poses apply(Image image, Box[] boxes) {
        return apply(image, boxes, -1, 0);
    }

    /**
     * The pose in each box, in the order of the boxes.
     *
     * @param image pixels
     * @param boxes null: the whole image is the box of one person; empty: nobody. One-stage models
     *     find people themselves and take null only
     * @param boxThr one-stage models: lowest score of a person; negative: 0.3
     * @param personThr above 0: each person once, and nobody whose person score (box score times
     *     the mean of the keypoint scores above 0.2) is less, such as 0.12
     * @throws RtmposeException the image or a box makes no sense
     * @throws IllegalStateException this pose detector is closed
     */
    public Poses apply(Image image, Box[] boxes, float boxThr, float personThr) {
        Native.CImage pixels = image.toNative();
        Memory given = Box.write(boxes);
        PointerByReference found = new PointerByReference();
        Pointer pose = handle.acquire();
        try {
            Native.check(Native.C.rtmpose_pose_detector_apply(
                    pose, pixels, given, boxes == null ? 0 : boxes.length, boxThr, found));
        } finally {
            handle.release();
            Reference.reachabilityFence(image);
            Reference.reachabilityFence(given);
        }
        Pointer poses = found.getValue();
        return Poses.take(personThr > 0 ? people(poses, personThr) : poses, false);
    }

    // Those who are shown; the result with all of them is given back.
    private static Pointer people(Pointer poses, float personThr) {
        PointerByReference people = new PointerByReference();
        try {
            Native.check(Native.C.rtmpose_poses_people(poses, personThr, people));
        } finally {
            Native.C.rtmpose_poses_release(poses);
        }
        return people.getValue();
    }

    @Override
    public void close() {
        handle.close();
    }
}
