package rtmpose;

/**
 * Loads the C library at the first call, and says what is missing where that fails. Nothing here may
 * need JNA before the check: without it the virtual machine's own text is only a class name.
 */
final class Loader {
    private static volatile Native library;

    private Loader() {
    }

    /**
     * The library.
     *
     * @throws LinkageError a jar or library is not there, or does not fit
     */
    static Native library() {
        // Without a lock once it is there: a thread that waited between a call and the text of its
        // failure might go on in another thread of the system, where the text is another one.
        Native loaded = library;
        return loaded == null ? loadOnce() : loaded;
    }

    private static synchronized Native loadOnce() {
        if (library == null) {
            checkJna();
            library = load();
        }
        return library;
    }

    private static void checkJna() {
        String hint = "JNA 5.13 or newer (net.java.dev.jna:jna of Maven Central; Debian: libjna-java,"
                + " /usr/share/java/jna.jar)";
        try {
            Class.forName("com.sun.jna.Native");
        } catch (ClassNotFoundException error) {
            throw caused(new NoClassDefFoundError(
                    "jna.jar is not on the class path: add " + hint), error);
        } catch (LinkageError error) {
            throw caused(new UnsatisfiedLinkError(
                    "JNA's own library (jnidispatch) could not be loaded: " + error.getMessage()
                    + "; on Debian it is libjna-jni, elsewhere -Djna.tmpdir names a folder from which"
                    + " programs may run"), error);
        }
    }

    private static Native load() {
        try {
            return com.sun.jna.Native.load("rtmpose", Native.class);
        } catch (NoSuchMethodError error) {
            throw caused(new NoSuchMethodError(
                    "jna.jar is too old: JNA 5.13 or newer is needed: " + error.getMessage()), error);
        } catch (UnsatisfiedLinkError error) {
            String name = System.mapLibraryName("rtmpose");
            throw caused(new UnsatisfiedLinkError(
                    name + " was not found, or not loaded: name its folder in -Djna.library.path, or"
                    + " put it where the system finds libraries; it has to be for "
                    + System.getProperty("os.arch") + ": " + error.getMessage()), error);
        }
    }

    private static <T extends LinkageError> T caused(T error, Throwable cause) {
        error.initCause(cause);
        return error;
    }
}
