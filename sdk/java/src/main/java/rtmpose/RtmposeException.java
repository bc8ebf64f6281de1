package rtmpose;

/** What every call throws when the library reports a failure; the message is its text. */
public final class RtmposeException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    /** Kinds of failures, in the order of their numbers. */
    public enum Status {
        /** None. */
        OK,
        /** A size, number or box makes no sense. */
        ARGUMENT,
        /** A model is missing, damaged or of another kind. */
        MODEL,
        /** ONNX Runtime is missing, or failed. */
        ENGINE,
        /** A stream is in use by another call. */
        BUSY,
        /** Not enough memory. */
        MEMORY,
        /** A fault of the library. */
        INTERNAL
    }

    private final Status status;

    RtmposeException(int status, String text) {
        super(text);
        Status[] known = Status.values();
        this.status = status >= 0 && status < known.length ? known[status] : Status.INTERNAL;
    }

    /** Kind of the failure. */
    public Status status() {
        return status;
    }
}
