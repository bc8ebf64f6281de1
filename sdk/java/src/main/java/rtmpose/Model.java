package rtmpose;

import com.sun.jna.Pointer;
import com.sun.jna.ptr.PointerByReference;
import java.lang.ref.Reference;
import java.util.Objects;

/**
 * An opened model. Detectors and trackers keep what they need of it, so it may be closed right after
 * they are made.
 */
public final class Model implements AutoCloseable {
    /** What a model finds. */
    public enum Kind {
        /** Boxes in images. */
        DETECTOR,
        /** Keypoints of one person in a box. */
        POSE,
        /** People with boxes and keypoints in images. */
        ONE_STAGE
    }

    /** What it finds. */
    public final Kind kind;
    /** Name from its card. */
    public final String id;
    /** Width of the network's input. */
    public final int inputWidth;
    /** Height of the network's input. */
    public final int inputHeight;
    /** Name of the keypoint set; empty for detectors. */
    public final String skeleton;
    /** K names; none for detectors. */
    public final String[] keypointNames;
    /** [L][2]: keypoints that are drawn connected. */
    public final int[][] links;
    /** Names of a detector's classes; empty where it has none. */
    public final String[] classNames;
    /** Where it runs, such as cpu or openvino. */
    public final String device;
    /** Why auto did not take OpenVINO; empty else. */
    public final String deviceNote;

    final Handle handle;

    /** Opens a model on all cores of the CPU. */
    public Model(String path) {
        this(path, "cpu", 0, false);
    }

    /** Opens a model on a device, such as cuda:1; see the longer form. */
    public Model(String path, String device) {
        this(path, device, 0, false);
    }

    /**
     * Opens an .onnx file with a model card, or a folder of the deployment SDK.
     *
     * @param path file or folder
     * @param device cpu, auto, openvino, cuda, cuda:1, tensorrt, dml or coreml
     * @param threads CPU threads; 0: one per physical core
     * @param allowSpinning idle threads burn CPU: faster alone, slower beside other programs
     * @throws RtmposeException it cannot be opened
     * @throws LinkageError JNA or the C library is not there, or does not fit this machine
     */
    public Model(String path, String device, int threads, boolean allowSpinning) {
        this(openFile(path, device, threads, allowSpinning));
    }

    private Model(Pointer opened) {
        handle = new Handle("model", opened, Loader.library()::rtmpose_model_close);

        // What it is, once and for all.
        Native.CModelInfo info = new Native.CModelInfo();
        info.structSize = info.size();
        Calls.check(Loader.library().rtmpose_model_get_info(opened, info));
        kind = Kind.values()[info.kind - 1];
        id = Calls.text(info.id);
        inputWidth = info.inputWidth;
        inputHeight = info.inputHeight;
        skeleton = Calls.text(info.skeleton);
        keypointNames = Calls.texts(info.keypointNames, info.keypoints);
        classNames = Calls.texts(info.classNames, info.classes);
        device = Calls.text(info.device);
        deviceNote = Calls.text(info.deviceNote);
        links = new int[info.links][];
        for (int i = 0; i < links.length; i++) {
            links[i] = info.linkPairs.getIntArray(8L * i, 2);
        }
        Reference.reachabilityFence(handle);
    }

    /** Opens the bytes of an .onnx file on all cores of the CPU; see the longer form. */
    public static Model fromMemory(byte[] bytes) {
        return fromMemory(bytes, "cpu", 0, "");
    }

    /**
     * Opens the bytes of an .onnx file with its weights, such as a resource of the program; they are
     * copied.
     *
     * @param bytes all of the file
     * @param device cpu, auto, openvino, cuda, cuda:1, tensorrt, dml or coreml
     * @param threads CPU threads; 0: one per physical core
     * @param name what errors call it, and the file's name for models without a card; may be empty
     * @throws RtmposeException it cannot be opened
     */
    public static Model fromMemory(byte[] bytes, String device, int threads, String name) {
        Native library = Loader.library();
        Objects.requireNonNull(bytes, "bytes is null");
        Pointer called = Calls.utf8(name, "name");
        Pointer where = Calls.utf8(device, "device");
        PointerByReference opened = new PointerByReference();
        // Without bytes there is no address; their number still says that it is none.
        byte[] data = bytes.length == 0 ? new byte[1] : bytes;
        Calls.check(library.rtmpose_model_open_memory(
                data, new Native.Size(bytes.length), called, options(where, threads, false), opened));
        Reference.reachabilityFence(where);
        return new Model(opened.getValue());
    }

    private static Pointer openFile(
            String path, String device, int threads, boolean allowSpinning) {
        Native library = Loader.library();
        Pointer file = Calls.utf8(path, "path");
        Pointer where = Calls.utf8(device, "device");
        PointerByReference opened = new PointerByReference();
        Calls.check(library.rtmpose_model_open(
                file, options(where, threads, allowSpinning), opened));
        Reference.reachabilityFence(where);
        return opened.getValue();
    }

    // device: kept by the caller until the call is over.
    private static Native.COptions options(Pointer device, int threads, boolean allowSpinning) {
        Native.COptions options = new Native.COptions();
        Loader.library().rtmpose_options_init(options, options.size());
        options.threads = threads;
        options.device = device;
        options.allowSpinning = allowSpinning ? 1 : 0;
        return options;
    }

    static Handle handleOf(Model model) {
        return Objects.requireNonNull(model, "the model is null").handle;
    }

    @Override
    public void close() {
        handle.close();
    }
}
