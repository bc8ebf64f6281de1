package rtmpose;

import com.sun.jna.Memory;
import com.sun.jna.Pointer;
import java.nio.charset.StandardCharsets;

/** What the calls share: failures as exceptions, and texts. */
final class Calls {
    private Calls() {
    }

    /** Throws where a call failed, with the library's text. */
    static void check(int status) {
        if (status != 0) {
            throw new RtmposeException(status, text(Loader.library().rtmpose_last_error()));
        }
    }

    static String text(Pointer utf8) {
        return utf8 == null ? "" : utf8.getString(0, "UTF-8");
    }

    /** An array of texts in the library's memory. */
    static String[] texts(Pointer at, int count) {
        String[] texts = new String[count];
        for (int i = 0; i < count; i++) {
            texts[i] = text(at.getPointer((long) i * com.sun.jna.Native.POINTER_SIZE));
        }
        return texts;
    }

    /** A text as UTF-8 with a zero at the end. */
    static Pointer utf8(String text, String name) {
        if (text == null) {
            throw new NullPointerException(name + " is null");
        }
        if (text.indexOf('\0') >= 0) {
            throw new IllegalArgumentException("there is a zero character in " + name);
        }
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        Memory memory = new Memory(bytes.length + 1L);
        memory.write(0, bytes, 0, bytes.length);
        memory.setByte(bytes.length, (byte) 0);
        return memory;
    }
}
