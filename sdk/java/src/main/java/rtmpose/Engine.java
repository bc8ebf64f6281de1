package rtmpose;

/** The inference engine, ONNX Runtime. */
public final class Engine {
    private Engine() {
    }

    /** Version of this library. */
    public static String libraryVersion() {
        return Native.text(Native.C.rtmpose_version());
    }

    /** Version of the loaded engine; empty before it is loaded. */
    public static String version() {
        return Native.text(Native.C.rtmpose_engine_version());
    }

    /**
     * Loads ONNX Runtime 1.16 or newer; without a call, the first model looks for it.
     *
     * @param path the library's file; null looks for it
     */
    public static void load(String path) {
        Native.check(
                Native.C.rtmpose_load_engine(path == null ? null : Native.utf8(path, "path")));
    }
}
