package rtmpose;

import com.sun.jna.Memory;
import java.awt.image.BufferedImage;
import java.nio.ByteBuffer;
import java.util.Objects;

/** 8-bit pixels, row by row from the top. */
public final class Image {
    /** Order of the bytes of a pixel, in the order of the library's numbers. */
    public enum Format {
        /** Blue, green, red. */
        BGR(3),
        /** Red, green, blue. */
        RGB(3),
        /** Blue, green, red and alpha, which is ignored. */
        BGRA(4),
        /** Red, green, blue and alpha, which is ignored. */
        RGBA(4),
        /** One byte. */
        GRAY(1);

        final int bytes;

        Format(int bytes) {
            this.bytes = bytes;
        }
    }

    // One of both: bytes of its own on the heap, or a direct buffer of somebody else.
    private final byte[] bytes;
    private final ByteBuffer buffer;
    private final int width;
    private final int height;
    private final Format format;
    private final int stride;

    /** Copies pixels without gaps between the rows. */
    public Image(byte[] pixels, int width, int height, Format format) {
        this(pixels, width, height, format, 0);
    }

    /** Copies pixels; stride: bytes from one row to the next, 0 for rows without gaps. */
    public Image(byte[] pixels, int width, int height, Format format, int stride) {
        this(Objects.requireNonNull(pixels, "pixels is null").clone(), null, width, height, format,
                stride);
    }

    /** Refers to pixels without gaps between the rows; see the longer form. */
    public Image(ByteBuffer pixels, int width, int height, Format format) {
        this(pixels, width, height, format, 0);
    }

    /**
     * Refers to pixels.
     *
     * @param pixels a direct buffer, from its start, whatever its position and limit are (a part of
     *     it is slice()); it is not copied, and only read
     * @param width pixels of a row
     * @param height rows
     * @param format order of the bytes of a pixel
     * @param stride bytes from one row to the next; 0 for rows without gaps
     * @throws IllegalArgumentException there are fewer bytes than the sizes say, or the buffer is
     *     not direct
     */
    public Image(ByteBuffer pixels, int width, int height, Format format, int stride) {
        this(null, Objects.requireNonNull(pixels, "pixels is null"), width, height, format, stride);
        if (!pixels.isDirect()) {
            throw new IllegalArgumentException(
                    "the buffer is not direct: give its array() as bytes, or allocateDirect");
        }
    }

    private Image(
            byte[] bytes, ByteBuffer buffer, int width, int height, Format format, int stride) {
        Objects.requireNonNull(format, "format is null");
        if (stride < 0) {
            throw new IllegalArgumentException("a negative stride: rows go from the top");
        }

        // Sizes that make no sense are refused by the library; here only what it cannot know.
        if (width > 0 && height > 0) {
            long row = (long) width * format.bytes;
            long needed = (stride == 0 ? row : stride) * (height - 1L) + row;
            long given = bytes == null ? buffer.capacity() : bytes.length;
            if (given < needed) {
                throw new IllegalArgumentException("an image of " + width + "x" + height
                        + " pixels needs " + needed + " bytes, not " + given);
            }

            // The most common slip of all, which would only give wrong results.
            if (stride == 0 && format.bytes == 3 && given == 4L * width * height) {
                throw new IllegalArgumentException(given + " bytes are 4 for each pixel, and "
                        + format + " has 3: take RGBA or BGRA");
            }
        }
        this.bytes = bytes;
        this.buffer = buffer;
        this.width = width;
        this.height = height;
        this.format = format;
        this.stride = stride;
    }

    /**
     * The pixels of an image of the platform, such as ImageIO reads: a copy. Transparency is ignored,
     * of 16 bits the upper 8 count.
     */
    public static Image of(BufferedImage image) {
        return BufferedImages.toImage(Objects.requireNonNull(image, "the image is null"));
    }

    /** Takes over bytes that nobody else writes to. */
    static Image owning(byte[] bytes, int width, int height, Format format) {
        return new Image(bytes, null, width, height, format, 0);
    }

    /** Pixels of a row. */
    public int width() {
        return width;
    }

    /** Rows. */
    public int height() {
        return height;
    }

    // A direct buffer has to stay reachable while the library reads: callers keep this image. Bytes
    // are copied to memory that is freed after the call: a direct buffer for each frame would wait
    // for the garbage collector, and end programs that keep it from running.
    Native.CImage toNative() {
        Native.CImage image = new Native.CImage();
        Loader.library().rtmpose_image_init(image, image.size());
        image.format = format.ordinal();
        image.data = bytes == null
                ? com.sun.jna.Native.getDirectBufferPointer(buffer) : memoryOf(bytes);
        image.width = width;
        image.height = height;
        image.stride = stride;
        return image;
    }

    private static Memory memoryOf(byte[] bytes) {
        // Not empty, so that there is an address.
        Memory memory = new Memory(Math.max(bytes.length, 1));
        memory.write(0, bytes, 0, bytes.length);
        return memory;
    }
}
