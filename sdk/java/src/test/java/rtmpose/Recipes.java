package rtmpose;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;

/** Images of the cases: what is pasted where; see sdk/conformance/README.md. */
final class Recipes {
    private final Path folder;
    private final Map<String, Photo> photos = new HashMap<>();

    Recipes(Path folder) {
        this.folder = folder;
    }

    private static final class Photo {
        int width;
        byte[] data;
        int start;
    }

    /** The image of a recipe, its pixels in the order that a case wants. */
    Image compose(Map<String, Object> recipe, String pixels) throws IOException {
        int width = Json.integer(recipe.get("width"));
        int height = Json.integer(recipe.get("height"));
        byte[] rgb = new byte[width * height * 3];
        for (Object part : Json.list(recipe.get("parts"))) {
            paste(rgb, width, height, Json.map(part));
        }
        return inOrder(rgb, width, height, Image.Format.valueOf(pixels.toUpperCase(Locale.ROOT)));
    }

    /** Largest factor by which a recipe repeats pixels. */
    static int repeat(Map<String, Object> recipe) {
        int largest = 1;
        for (Object part : Json.list(recipe.get("parts"))) {
            largest = Math.max(largest, Json.integer(Json.map(part).get("repeat")));
        }
        return largest;
    }

    private void paste(byte[] rgb, int width, int height, Map<String, Object> part)
            throws IOException {
        Photo photo = load((String) part.get("photo"));
        double[] from = Json.numbers(part.get("from"));
        double[] to = Json.numbers(part.get("to"));
        int repeat = Json.integer(part.get("repeat"));
        int left = (int) to[0];
        int top = (int) to[1];
        int bottom = Math.min(top + (int) from[3] * repeat, height);
        int right = Math.min(left + (int) from[2] * repeat, width);
        for (int y = Math.max(top, 0); y < bottom; y++) {
            int row = (int) from[1] + (y - top) / repeat;
            for (int x = Math.max(left, 0); x < right; x++) {
                int column = (int) from[0] + (x - left) / repeat;
                int source = photo.start + (row * photo.width + column) * 3;
                System.arraycopy(photo.data, source, rgb, (y * width + x) * 3, 3);
            }
        }
    }

    private static Image inOrder(byte[] rgb, int width, int height, Image.Format format) {
        byte[] result = new byte[width * height * format.bytes];
        boolean blueFirst = format == Image.Format.BGR || format == Image.Format.BGRA;
        int first = blueFirst ? 2 : 0;
        for (int i = 0; i < width * height; i++) {
            if (format == Image.Format.GRAY) {
                result[i] = rgb[3 * i + 1];
                continue;
            }
            int to = format.bytes * i;
            result[to] = rgb[3 * i + first];
            result[to + 1] = rgb[3 * i + 1];
            result[to + 2] = rgb[3 * i + 2 - first];
            if (format.bytes == 4) {
                result[to + 3] = (byte) 128;
            }
        }
        return new Image(result, width, height, format);
    }

    private Photo load(String name) throws IOException {
        Photo photo = photos.get(name);
        if (photo == null) {
            photo = readPpm(folder.resolve(name + ".ppm"));
            photos.put(name, photo);
        }
        return photo;
    }

    private static Photo readPpm(Path path) throws IOException {
        Photo photo = new Photo();
        photo.data = Files.readAllBytes(path);
        // P6, width and height, largest value: three lines.
        String[] lines = new String[3];
        for (int i = 0; i < 3; i++) {
            int end = photo.start;
            while (photo.data[end] != '\n') {
                end++;
            }
            lines[i] = new String(
                    photo.data, photo.start, end - photo.start, StandardCharsets.US_ASCII);
            photo.start = end + 1;
        }
        if (!lines[0].equals("P6") || !lines[2].equals("255")) {
            throw new IOException(path + " is no PPM image");
        }
        photo.width = Integer.parseInt(lines[1].split(" ")[0]);
        return photo;
    }
}
