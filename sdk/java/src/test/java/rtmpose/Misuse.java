package rtmpose;

import java.awt.image.BufferedImage;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;

/** What must be an exception with a text, and what must not be one. */
final class Misuse {
    private final String detectorFile;
    private final String poseFile;
    private final Image image = new Image(new byte[64 * 48 * 3], 64, 48, Image.Format.BGR);
    private int failures;

    private Misuse(Path root) {
        Path models = root.resolve("rtmpose/assets/models");
        detectorFile = models.resolve("rtmdet-nano_finetuned_320x320.onnx").toString();
        poseFile = models.resolve("rtmpose-s_finetuned-halpe26_256x192.onnx").toString();
    }

    /** All checks; true where none failed. */
    static boolean run(Path root) throws Exception {
        Misuse misuse = new Misuse(root);
        misuse.models();
        misuse.memory();
        misuse.images();
        misuse.boxes();
        misuse.closed();
        misuse.forgotten();
        misuse.threads();
        System.out.println("misuse: " + misuse.failures + " failures");
        return misuse.failures == 0;
    }

    private Model open(String file) {
        return new Model(file, "cpu", 1, false);
    }

    private void models() throws Exception {
        Class<RtmposeException> failure = RtmposeException.class;
        refused("a missing model", failure, () -> open("/nowhere/model.onnx"));
        refused("an empty path", failure, () -> open(""));
        refused("no path", NullPointerException.class, () -> open(null));
        refused("a path with a zero", IllegalArgumentException.class, () -> open("a\0b"));
        refused("an unknown device", failure, () -> new Model(poseFile, "toaster", 0, false));
        refused("negative threads", failure, () -> new Model(poseFile, "cpu", -3, false));
        Path text = Files.createTempFile("rtmpose", ".onnx");
        Files.writeString(text, "this is no model");
        refused("a file that is no model", failure, () -> open(text.toString()));
        Files.delete(text);

        refused("no bytes", failure, () -> Model.fromMemory(new byte[0]));
        refused("null as bytes", NullPointerException.class, () -> Model.fromMemory(null));
        refused("bytes of a text", failure, () -> Model.fromMemory("no model at all".getBytes()));

        try (Model detector = open(detectorFile); Model pose = open(poseFile)) {
            holds("the kind of a detector", detector.kind == Model.Kind.DETECTOR);
            holds("names of keypoints",
                    pose.keypointNames.length == 26 && pose.keypointNames[0].equals("nose"));
            holds("links", pose.links.length > 10);
            refused("a pose network as detector", failure, () -> new Detector(pose));
            refused("a detector as pose network", failure, () -> new PoseDetector(detector));
            refused("no model", NullPointerException.class, () -> new Detector(null));
            refused("no pose model", NullPointerException.class,
                    () -> new PoseTracker(detector, null));
            refused("a tracker of two detectors", failure,
                    () -> new PoseTracker(detector, detector));
            TrackerParams wrong = new TrackerParams();
            wrong.detInterval = 0;
            refused("a detInterval of 0", failure, () -> new PoseTracker(detector, pose, wrong));
        }
    }

    private void memory() throws Exception {
        byte[] bytes = Files.readAllBytes(Path.of(poseFile));
        try (Model anywhere = new Model(poseFile, "auto")) {
            boolean cpu = anywhere.device.equals("cpu");
            holds("the device of a model", cpu || anywhere.device.startsWith("openvino"));
            holds("why it is not another", cpu != anywhere.deviceNote.isEmpty());
        }
        try (Model file = open(poseFile);
                Model read = Model.fromMemory(bytes, "cpu", 1, "pose in the jar");
                PoseDetector expected = new PoseDetector(file);
                PoseDetector pose = new PoseDetector(read)) {
            Arrays.fill(bytes, (byte) 0);
            holds("a model in memory", read.id.equals(file.id) && read.inputWidth == 192
                    && Arrays.deepEquals(pose.apply(image, null).keypoints,
                            expected.apply(image, null).keypoints));
        }
        try {
            Model.fromMemory(Arrays.copyOf(bytes, 100), "cpu", 1, "pose in the jar").close();
            fail("damaged bytes were taken");
        } catch (RtmposeException error) {
            holds("the name of bytes: " + error.getMessage(),
                    error.getMessage().contains("pose in the jar")
                    && error.status() == RtmposeException.Status.MODEL);
        }
    }

    private void images() {
        Class<RtmposeException> failure = RtmposeException.class;
        Class<IllegalArgumentException> argument = IllegalArgumentException.class;
        Image.Format bgr = Image.Format.BGR;
        try (Model model = open(detectorFile); Detector detector = new Detector(model)) {
            refused("no image", NullPointerException.class, () -> detector.apply(null));
            refused("too few pixels", argument, () -> new Image(new byte[10], 64, 48, bgr));
            refused("4 bytes a pixel as BGR", argument,
                    () -> new Image(new byte[64 * 48 * 4], 64, 48, bgr));
            refused("no pixels", NullPointerException.class,
                    () -> new Image((byte[]) null, 1, 1, bgr));
            refused("no format", NullPointerException.class,
                    () -> new Image(new byte[9], 1, 1, null));
            refused("no image of the platform", NullPointerException.class, () -> Image.of(null));
            refused("a negative stride", argument,
                    () -> new Image(ByteBuffer.allocateDirect(9), 1, 1, bgr, -3));
            refused("a buffer of the heap", argument,
                    () -> new Image(ByteBuffer.allocate(9), 1, 1, bgr, 0));
            refused("an empty image", failure,
                    () -> detector.apply(new Image(new byte[0], 0, 0, bgr)));
            refused("a negative width", failure,
                    () -> detector.apply(new Image(new byte[9], -1, 3, bgr)));
            refused("rows that overlap", failure, () -> detector.apply(
                    new Image(ByteBuffer.allocateDirect(100), 4, 4, bgr, 5)));
            refused("a threshold that is no number", failure,
                    () -> detector.apply(image, Float.NaN, Detector.PEOPLE, -1));
            BufferedImage transparent = new BufferedImage(64, 48, BufferedImage.TYPE_INT_ARGB);
            holds("an image of the platform", detector.apply(Image.of(transparent)).count() == 0);
        }
    }

    private void boxes() {
        Class<RtmposeException> failure = RtmposeException.class;
        try (Model model = open(poseFile); PoseDetector pose = new PoseDetector(model)) {
            Box nan = new Box(0, 0, Float.NaN, 10);
            refused("a box that is no number", failure, () -> pose.apply(image, new Box[] {nan}));
            Box endless = new Box(0, 0, Float.POSITIVE_INFINITY, 10);
            refused("an endless box", failure, () -> pose.apply(image, new Box[] {endless}));
            Box turned = new Box(30, 30, 10, 10);
            refused("a box from right to left", failure,
                    () -> pose.apply(image, new Box[] {turned}));
            refused("a box that is null", NullPointerException.class,
                    () -> pose.apply(image, new Box[1]));
            Poses nobody = pose.apply(image, new Box[0]);
            holds("no boxes are nobody", nobody.count() == 0 && nobody.keypointCount() == 26);
            Poses whole = pose.apply(image, null);
            Box[] twice = {new Box(5, 5, 40, 45), new Box(5, 5, 40, 45)};
            holds("people in a black image", peopleOf(pose, image).count() == 0);
            refused("people without a detector", failure, () -> pose.findPeople(null, image));
            holds("both boxes", pose.apply(image, twice).count() == 2);
            holds("the whole image", whole.count() == 1 && whole.ids == null);
        }
    }

    private Poses peopleOf(PoseDetector pose, Image of) {
        try (Model model = open(detectorFile); Detector detector = new Detector(model)) {
            return pose.findPeople(detector, of);
        }
    }

    private void closed() {
        Class<IllegalStateException> state = IllegalStateException.class;
        Model model = open(poseFile);
        PoseDetector pose = new PoseDetector(model);
        model.close();
        model.close();
        holds("a pose detector outlives its model", pose.apply(image, null).count() == 1);
        refused("a closed model", state, () -> new PoseDetector(model));
        pose.close();
        pose.close();
        refused("a closed pose detector", state, () -> pose.apply(image, null));

        try (Model open = open(poseFile)) {
            PoseTracker tracker = new PoseTracker(null, open);
            PoseStream stream = tracker.createStream();
            holds("a stream without boxes", tracker.apply(stream, image).count() == 0);
            holds("a frame with its time", tracker.apply(stream, image, 0.1).count() == 0);
            refused("no stream", NullPointerException.class, () -> tracker.apply(null, image));
            stream.reset();
            stream.close();
            refused("a closed stream", state, () -> tracker.apply(stream, image));
            refused("a closed stream is not reset", state, stream::reset);
            tracker.close();
            refused("a closed tracker", state, tracker::createStream);
        }
    }

    // Nothing breaks where nobody closes.
    @SuppressWarnings("resource")
    private void forgotten() throws InterruptedException {
        for (int i = 0; i < 5; i++) {
            PoseTracker tracker = new PoseTracker(null, open(poseFile));
            tracker.apply(tracker.createStream(), image);
        }
        System.gc();
        Thread.sleep(200);
        holds("forgotten handles", true);
    }

    private void threads() throws InterruptedException {
        TrackerParams params = new TrackerParams();
        params.confirm = 1;
        params.personThr = 0;
        try (Model model = open(poseFile);
                PoseTracker tracker = new PoseTracker(null, model, params)) {
            List<String> errors = Collections.synchronizedList(new ArrayList<>());
            List<Thread> threads = new ArrayList<>();
            for (int i = 0; i < 8; i++) {
                threads.add(new Thread(() -> follow(tracker, errors)));
            }
            threads.forEach(Thread::start);
            for (Thread thread : threads) {
                thread.join();
            }
            holds("eight threads " + errors, errors.isEmpty());
        }
    }

    private void follow(PoseTracker tracker, List<String> errors) {
        try (PoseStream stream = tracker.createStream()) {
            for (int i = 0; i < 10; i++) {
                Frame frame = new Frame(stream, image);
                frame.boxes = new Box[] {new Box(5, 5, 40, 45)};
                tracker.apply(frame);
            }
        } catch (RuntimeException error) {
            errors.add(error.getMessage());
        }
    }

    private void refused(String what, Class<? extends Exception> kind, Runnable call) {
        try {
            call.run();
            fail(what + " was taken");
        } catch (RuntimeException error) {
            if (!kind.isInstance(error)) {
                fail(what + ": " + error);
            } else if (error.getMessage() == null || error.getMessage().length() < 10) {
                fail(what + ": the text says nothing: " + error.getMessage());
            }
        }
    }

    private void holds(String what, boolean holds) {
        if (!holds) {
            fail(what);
        }
    }

    private void fail(String what) {
        failures++;
        System.out.println("  WRONG " + what);
    }
}
