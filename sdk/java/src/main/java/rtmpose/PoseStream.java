package rtmpose;

import com.sun.jna.Pointer;

/** The memory for one video or camera. It belongs to one call at a time. */
public final class PoseStream implements AutoCloseable {
    final Handle handle;

    PoseStream(Pointer stream) {
        handle = new Handle("stream", stream, Loader.library()::rtmpose_stream_destroy);
    }

    /** Forgets the people; ids go on. */
    public void reset() {
        Native library = Loader.library();
        try (Uses uses = new Uses()) {
            Calls.check(library.rtmpose_stream_reset(uses.add(handle)));
        }
    }

    @Override
    public void close() {
        handle.close();
    }
}
