package rtmpose;

import com.sun.jna.Pointer;

/** The memory for one video or camera. It belongs to one call at a time. */
public final class PoseStream implements AutoCloseable {
    final Handle handle;

    PoseStream(Pointer stream) {
        handle = new Handle("stream", stream, Native.C::rtmpose_stream_destroy);
    }

    /** Forgets the people; ids go on. */
    public void reset() {
        Pointer stream = handle.acquire();
        try {
            Native.check(Native.C.rtmpose_stream_reset(stream));
        } finally {
            handle.release();
        }
    }

    @Override
    public void close() {
        handle.close();
    }
}
