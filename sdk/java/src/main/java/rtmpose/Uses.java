package rtmpose;

import com.sun.jna.Pointer;
import java.util.ArrayList;
import java.util.List;

/** Handles that a call uses: none is closed before the call is over. */
final class Uses implements AutoCloseable {
    private final List<Handle> handles = new ArrayList<>();

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

    @Override
    public void close() {
        handles.forEach(Handle::release);
    }
}
