package rtmpose;

import java.awt.image.BufferedImage;
import java.lang.management.BufferPoolMXBean;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.util.Arrays;

/** The same image in all the ways that programs have pixels: the same bytes for the library. */
final class Pixels {
    private static final int WIDTH = 6;
    private static final int HEIGHT = 4;
    private static final int[] TYPES = {
        BufferedImage.TYPE_INT_RGB, BufferedImage.TYPE_INT_BGR, BufferedImage.TYPE_3BYTE_BGR,
        BufferedImage.TYPE_INT_ARGB, BufferedImage.TYPE_4BYTE_ABGR,
    };

    private int failures;

    /** All checks; true where none failed. */
    static boolean run() {
        Pixels pixels = new Pixels();
        pixels.colors();
        pixels.grays();
        pixels.parts();
        pixels.bytes();
        pixels.memory();
        System.out.println("pixels: " + pixels.failures + " failures");
        return pixels.failures == 0;
    }

    private static int color(int x, int y) {
        return 40 * x << 16 | 60 * y << 8 | (x * y * 9 + 7);
    }

    // Half transparent, where the type has that.
    private static BufferedImage painted(int type) {
        BufferedImage image = new BufferedImage(WIDTH, HEIGHT, type);
        for (int y = 0; y < HEIGHT; y++) {
            for (int x = 0; x < WIDTH; x++) {
                image.setRGB(x, y, 128 << 24 | color(x, y));
            }
        }
        return image;
    }

    private static byte[] expected(int left, int top, int width, int height) {
        byte[] bytes = new byte[3 * width * height];
        for (int i = 0; i < width * height; i++) {
            int color = color(left + i % width, top + i / width);
            bytes[3 * i] = (byte) color;
            bytes[3 * i + 1] = (byte) (color >> 8);
            bytes[3 * i + 2] = (byte) (color >> 16);
        }
        return bytes;
    }

    private void colors() {
        for (int type : TYPES) {
            same("type " + type, Image.of(painted(type)), expected(0, 0, WIDTH, HEIGHT), 0);
        }

        // Multiplied by alpha, which costs precision.
        BufferedImage multiplied = painted(BufferedImage.TYPE_INT_ARGB_PRE);
        same("premultiplied", Image.of(multiplied), expected(0, 0, WIDTH, HEIGHT), 2);
        BufferedImage indexed = new BufferedImage(WIDTH, HEIGHT, BufferedImage.TYPE_BYTE_INDEXED);
        indexed.setRGB(1, 0, 0xffff0000);
        byte[] bytes = bytesOf(Image.of(indexed), 3 * WIDTH * HEIGHT);
        holds("indexed", bytes[3] == 0 && bytes[4] == 0 && bytes[5] == (byte) 255);
    }

    private void grays() {
        byte[] levels = new byte[WIDTH * HEIGHT];
        BufferedImage gray = new BufferedImage(WIDTH, HEIGHT, BufferedImage.TYPE_BYTE_GRAY);
        BufferedImage wide = new BufferedImage(WIDTH, HEIGHT, BufferedImage.TYPE_USHORT_GRAY);
        for (int i = 0; i < levels.length; i++) {
            levels[i] = (byte) (i * 10);
            gray.getRaster().setSample(i % WIDTH, i / WIDTH, 0, i * 10);
            wide.getRaster().setSample(i % WIDTH, i / WIDTH, 0, i * 10 << 8 | 200);
        }
        same("gray", Image.of(gray), levels, 0);
        same("gray of 16 bits", Image.of(wide), levels, 0);
    }

    private void parts() {
        for (int type : TYPES) {
            BufferedImage part = painted(type).getSubimage(1, 1, 3, 2);
            same("a part of type " + type, Image.of(part), expected(1, 1, 3, 2), 0);
        }
    }

    private void bytes() {
        byte[] pixels = expected(0, 0, WIDTH, HEIGHT);
        same("bytes", new Image(pixels, WIDTH, HEIGHT, Image.Format.BGR), pixels, 0);
        ByteBuffer direct = ByteBuffer.allocateDirect(pixels.length);
        direct.put(pixels);
        ByteBuffer read = direct.asReadOnlyBuffer();
        same("a buffer", new Image(read, WIDTH, HEIGHT, Image.Format.BGR), pixels, 0);
        ByteBuffer behind = ByteBuffer.allocateDirect(pixels.length + 5);
        behind.position(5);
        ByteBuffer part = behind.slice();
        part.duplicate().put(pixels);
        part.limit(1);
        same("a part of a buffer", new Image(part, WIDTH, HEIGHT, Image.Format.BGR), pixels, 0);
        byte[] gaps = new byte[32 * HEIGHT];
        Image image = new Image(gaps, WIDTH, HEIGHT, Image.Format.BGR, 32);
        holds("rows with gaps", image.toNative().stride == 32);
    }

    // Direct buffers are freed by the garbage collector only: frames of a video must not need them.
    private void memory() {
        long before = directBuffers();
        for (int i = 0; i < 10; i++) {
            bytesOf(new Image(new byte[300], 10, 10, Image.Format.BGR), 300);
            bytesOf(Image.of(painted(BufferedImage.TYPE_3BYTE_BGR)), 3);
        }
        holds("frames without direct buffers", directBuffers() == before);
    }

    private static long directBuffers() {
        return ManagementFactory.getPlatformMXBeans(BufferPoolMXBean.class).stream()
                .filter(pool -> pool.getName().equals("direct"))
                .mapToLong(BufferPoolMXBean::getCount).sum();
    }

    private static byte[] bytesOf(Image image, int count) {
        return image.toNative().data.getByteArray(0, count);
    }

    private void same(String what, Image image, byte[] expected, int within) {
        byte[] found = bytesOf(image, expected.length);
        for (int i = 0; i < found.length; i++) {
            if (Math.abs((found[i] & 255) - (expected[i] & 255)) > within) {
                holds(what + ": " + Arrays.toString(found), false);
                return;
            }
        }
    }

    private void holds(String what, boolean holds) {
        if (!holds) {
            failures++;
            System.out.println("  WRONG pixels of " + what);
        }
    }
}
