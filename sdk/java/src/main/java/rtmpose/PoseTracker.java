package rtmpose;

import com.sun.jna.Memory;
import com.sun.jna.Pointer;
import com.sun.jna.ptr.PointerByReference;
import java.lang.ref.Reference;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;

/** Follows people through videos. May be used by several threads, each with its own streams. */
public final class PoseTracker implements AutoCloseable {
    private final Handle handle;

    /** A tracker with the default settings. */
    public PoseTracker(Model detector, Model pose) {
        this(detector, pose, new TrackerParams());
    }

    /**
     * Makes one of opened models, which may be closed afterwards.
     *
     * @param detector null where boxes come with the frames, and for one-stage models
     * @param pose a pose network or a one-stage model
     * @param params settings
     * @throws RtmposeException a model is of the wrong kind, or a setting makes no sense
     */
    public PoseTracker(Model detector, Model pose, TrackerParams params) {
        Native library = Loader.library();
        Native.CTrackerParams values = Objects.requireNonNull(params, "params is null").toNative();
        PointerByReference made = new PointerByReference();
        try (Uses uses = new Uses()) {
            Pointer found = uses.addIfAny(detector == null ? null : detector.handle);
            Pointer network = uses.add(Model.handleOf(pose));
            Calls.check(library.rtmpose_tracker_create(found, network, values, made));
        }
        handle = new Handle("tracker", made.getValue(), library::rtmpose_tracker_destroy);
    }

    /** The memory for one more video. */
    public PoseStream createStream() {
        Native library = Loader.library();
        PointerByReference made = new PointerByReference();
        try (Uses uses = new Uses()) {
            Calls.check(library.rtmpose_stream_create(uses.add(handle), made));
        }
        return new PoseStream(made.getValue());
    }

    /** The people in the next frame of a stream, in the order of their ids. */
    public Poses apply(PoseStream stream, Image image) {
        return apply(new Frame(stream, image));
    }

    /**
     * The people in the next frame of a stream, in the order of their ids.
     *
     * @param timeS seconds; they count from wherever the program likes
     */
    public Poses apply(PoseStream stream, Image image, double timeS) {
        Frame frame = new Frame(stream, image);
        frame.timeS = timeS;
        return apply(frame);
    }

    /**
     * The people in a frame, in the order of their ids.
     *
     * @throws RtmposeException the image or a box makes no sense, or another call uses the stream
     * @throws IllegalStateException this tracker or the stream is closed
     */
    public Poses apply(Frame frame) {
        return apply(List.of(Objects.requireNonNull(frame, "the frame is null"))).get(0);
    }

    /** One frame each of several streams; all people share the calls of the network. */
    public List<Poses> apply(List<Frame> frames) {
        List<Poses> people = new ArrayList<>();
        if (frames.isEmpty()) {
            return people;
        }
        Native library = Loader.library();
        List<Object> kept = new ArrayList<>();
        Pointer[] results = new Pointer[frames.size()];
        try (Uses uses = new Uses()) {
            Pointer tracker = uses.add(handle);
            Pointer[] pointers = new Pointer[frames.size()];
            for (int i = 0; i < pointers.length; i++) {
                pointers[i] = toNative(frames.get(i), uses, kept);
            }
            Calls.check(library.rtmpose_tracker_apply_batch(
                    tracker, pointers, pointers.length, results));
        } finally {
            Reference.reachabilityFence(kept);
            Reference.reachabilityFence(frames);
        }
        for (Pointer result : results) {
            people.add(Poses.take(result, true));
        }
        return people;
    }

    @Override
    public void close() {
        handle.close();
    }

    // kept: what the struct points to.
    private static Pointer toNative(Frame frame, Uses uses, List<Object> kept) {
        Native.CFrame values = new Native.CFrame();
        Loader.library().rtmpose_frame_init(values, values.size());
        Native.CImage image = uses.add(frame.image);
        image.write();
        values.stream = uses.add(frame.stream.handle);
        values.image = image.getPointer();
        values.timeS = frame.timeS;
        values.detect = frame.detect == null ? -1 : frame.detect ? 1 : 0;
        if (frame.boxes != null) {
            Pointer boxes = Box.write(frame.boxes);
            values.boxes = boxes;
            values.boxCount = frame.boxes.length;
            kept.add(boxes);
        }
        if (frame.boxScores != null) {
            if (frame.boxes == null || frame.boxes.length != frame.boxScores.length) {
                throw new IllegalArgumentException("there must be as many scores as boxes");
            }
            Memory scores = new Memory(4L * Math.max(frame.boxScores.length, 1));
            scores.write(0, frame.boxScores, 0, frame.boxScores.length);
            values.boxScores = scores;
            kept.add(scores);
        }
        values.write();
        kept.add(image);
        kept.add(values);
        return values.getPointer();
    }
}
