package rtmpose;

import java.awt.image.BufferedImage;
import java.nio.ByteBuffer;

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

    private final ByteBuffer pixels;
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
        this(copied(pixels), width, height, format, stride);
    }

    /**
     * Refers to pixels.
     *
     * @param pixels a direct buffer, from its start; it is not copied, and only read
     * @param width pixels of a row
     * @param height rows
     * @param format order of the bytes of a pixel
     * @param stride bytes from one row to the next; 0 for rows without gaps
     * @throws IllegalArgumentException there are fewer bytes than the sizes say, or the buffer is
     *     not direct
     */
    public Image(ByteBuffer pixels, int width, int height, Format format, int stride) {
        if (!pixels.isDirect()) {
            throw new IllegalArgumentException("the buffer must be direct");
        }
        if (stride < 0) {
            throw new IllegalArgumentException("a negative stride: rows go from the top");
        }

        // Sizes that make no sense are refused by the library; here only what it cannot know.
        if (width > 0 && height > 0) {
            long row = (long) width * format.bytes;
            long needed = (stride == 0 ? row : stride) * (height - 1L) + row;
            if (pixels.capacity() < needed) {
                throw new IllegalArgumentException("an image of " + width + "x" + height
                        + " pixels needs " + needed + " bytes, not " + pixels.capacity());
            }
        }
        this.pixels = pixels;
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
        return BufferedImages.toImage(image);
    }

    /** Pixels of a row. */
    public int width() {
        return width;
    }

    /** Rows. */
    public int height() {
        return height;
    }

    // The buffer has to stay reachable while the library reads: callers keep this image.
    Native.CImage toNative() {
        Native.CImage image = new Native.CImage();
        Loader.library().rtmpose_image_init(image, image.size());
        image.format = format.ordinal();
        image.data = com.sun.jna.Native.getDirectBufferPointer(pixels);
        image.width = width;
        image.height = height;
        image.stride = stride;
        return image;
    }

    private static ByteBuffer copied(byte[] pixels) {
        // Not empty, so that there is an address.
        ByteBuffer buffer = ByteBuffer.allocateDirect(Math.max(pixels.length, 1));
        buffer.put(pixels);
        if (pixels.length == 0) {
            buffer.limit(0);
        }
        return buffer;
    }
}
