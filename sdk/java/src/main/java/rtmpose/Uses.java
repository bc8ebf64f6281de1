package rtmpose;

import com.sun.jna.Memory;
import com.sun.jna.Pointer;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;

/** What a call uses: no handle is closed before the call is over, copies of pixels are freed then. */
final class Uses implements AutoCloseable {
    private final List<Handle> handles = new ArrayList<>();
    private final List<Memory> copies = new ArrayList<>();

    /** The pointer of a handle. */
    Pointer add(Handle handle) {
        Pointer pointer = handle.acquire();
        handles.add(handle);
        return pointer;
    }

    /** The same; null for the handle of a model or detector that is not needed. */
    Pointer addIfAny(Handle handle) {
        return handle == null ? null : add(handle);
    }

    /** The pixels of an image for the library; the image has to be kept until the call is over. */
    Native.CImage add(Image image) {
        Native.CImage pixels = Objects.requireNonNull(image, "the image is null").toNative();
        if (pixels.data instanceof Memory) {
            copies.add((Memory) pixels.data);
        }
        return pixels;
    }

    @Override
    public void close() {
        handles.forEach(Handle::release);
        copies.forEach(Memory::close);
    }
}
