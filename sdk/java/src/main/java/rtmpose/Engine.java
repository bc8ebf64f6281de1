package rtmpose;

/** The inference engine, ONNX Runtime. */
public final class Engine {
    private Engine() {
    }

    /** Version of this library. */
    public static String libraryVersion() {
        Native library = Loader.library();
        return Calls.text(library.rtmpose_version());
    }

    /** Version of the loaded engine; empty before it is loaded. */
    public static String version() {
        Native library = Loader.library();
        return Calls.text(library.rtmpose_engine_version());
    }

    /**
     * Loads ONNX Runtime 1.16 or newer; without a call, the first model looks for it.
     *
     * @param path the library's file; null looks for it
     */
    public static void load(String path) {
        Native library = Loader.library();
        Calls.check(library.rtmpose_load_engine(path == null ? null : Calls.utf8(path, "path")));
    }
}
