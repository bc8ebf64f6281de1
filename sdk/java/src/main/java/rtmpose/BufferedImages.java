package rtmpose;

import java.awt.Graphics2D;
import java.awt.color.ColorSpace;
import java.awt.image.BufferedImage;
import java.awt.image.DataBufferByte;
import java.awt.image.DataBufferInt;
import java.awt.image.Raster;

/**
 * The pixels of the platform's images as they are in the file: transparency is left out instead of
 * being drawn on black, gray levels stay as they are, which drawing would make brighter.
 */
final class BufferedImages {
    private BufferedImages() {
    }

    static Image toImage(BufferedImage image) {
        int width = image.getWidth();
        int height = image.getHeight();
        if (image.getColorModel().getColorSpace().getType() == ColorSpace.TYPE_GRAY) {
            return Image.owning(gray(image), width, height, Image.Format.GRAY);
        }
        boolean whole = image.getRaster().getParent() == null;
        if (whole && image.getType() == BufferedImage.TYPE_INT_ARGB) {
            return Image.owning(withoutAlpha(image), width, height, Image.Format.BGR);
        }
        if (image.getColorModel().hasAlpha()) {
            return Image.owning(rows(image), width, height, Image.Format.BGR);
        }
        BufferedImage bgr = image;
        if (!whole || image.getType() != BufferedImage.TYPE_3BYTE_BGR) {
            bgr = new BufferedImage(width, height, BufferedImage.TYPE_3BYTE_BGR);
            Graphics2D graphics = bgr.createGraphics();
            graphics.drawImage(image, 0, 0, null);
            graphics.dispose();
        }
        byte[] bytes = ((DataBufferByte) bgr.getRaster().getDataBuffer()).getData();
        return new Image(bytes, width, height, Image.Format.BGR);
    }

    // The first band; of 16 bits the upper 8.
    private static byte[] gray(BufferedImage image) {
        Raster raster = image.getRaster();
        int shift = Math.max(0, image.getColorModel().getComponentSize(0) - 8);
        int width = image.getWidth();
        byte[] bytes = new byte[width * image.getHeight()];
        int[] line = new int[width];
        for (int y = 0; y < image.getHeight(); y++) {
            raster.getSamples(raster.getMinX(), raster.getMinY() + y, width, 1, 0, line);
            for (int x = 0; x < width; x++) {
                bytes[y * width + x] = (byte) (line[x] >> shift);
            }
        }
        return bytes;
    }

    private static byte[] withoutAlpha(BufferedImage image) {
        int[] pixels = ((DataBufferInt) image.getRaster().getDataBuffer()).getData();
        byte[] bytes = new byte[3 * pixels.length];
        write(pixels, pixels.length, bytes, 0);
        return bytes;
    }

    // Through the color model, which undoes the multiplication by alpha where there is one.
    private static byte[] rows(BufferedImage image) {
        int width = image.getWidth();
        byte[] bytes = new byte[3 * width * image.getHeight()];
        int[] line = new int[width];
        for (int y = 0; y < image.getHeight(); y++) {
            image.getRGB(0, y, width, 1, line, 0, width);
            write(line, width, bytes, 3 * width * y);
        }
        return bytes;
    }

    private static void write(int[] pixels, int count, byte[] bytes, int at) {
        int to = at;
        for (int i = 0; i < count; i++) {
            bytes[to] = (byte) pixels[i];
            bytes[to + 1] = (byte) (pixels[i] >> 8);
            bytes[to + 2] = (byte) (pixels[i] >> 16);
            to += 3;
        }
    }
}
