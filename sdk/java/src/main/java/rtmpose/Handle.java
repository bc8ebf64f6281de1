package rtmpose;

import com.sun.jna.Pointer;
import java.lang.ref.Cleaner;
import java.util.function.Consumer;

/**
 * A handle of the library. It is closed once, after the last call that uses it, also when its owner
 * is forgotten.
 */
final class Handle implements AutoCloseable {
    private static final Cleaner CLEANER = Cleaner.create();

    private final String name;
    private final State state;
    private final Cleaner.Cleanable cleanable;

    Handle(String name, Pointer pointer, Consumer<Pointer> destroy) {
        this.name = name;
        this.state = new State(pointer, destroy);
        this.cleanable = CLEANER.register(this, state);
    }

    /** Holds what must not refer to the handle itself, which could then never be forgotten. */
    private static final class State implements Runnable {
        private final Pointer pointer;
        private final Consumer<Pointer> destroy;
        private int users;
        private boolean closed;

        State(Pointer pointer, Consumer<Pointer> destroy) {
            this.pointer = pointer;
            this.destroy = destroy;
        }

        @Override
        public void run() {
            synchronized (this) {
                if (closed) {
                    return;
                }
                closed = true;
                if (users > 0) {
                    return;
                }
            }
            destroy.accept(pointer);
        }

        synchronized Pointer acquire(String name) {
            if (closed) {
                throw new IllegalStateException("this " + name + " is closed");
            }
            users++;
            return pointer;
        }

        void release() {
            synchronized (this) {
                users--;
                if (users > 0 || !closed) {
                    return;
                }
            }
            destroy.accept(pointer);
        }
    }

    /** The pointer, valid until release is called as often. */
    Pointer acquire() {
        return state.acquire(name);
    }

    /** Ends a use. */
    void release() {
        state.release();
    }

    @Override
    public void close() {
        cleanable.clean();
    }
}
