package rtmpose;

import java.nio.file.Path;

/** Tests ROOT IMAGES: the checkout, and what sdk/conformance/unpack.py wrote. */
final class Tests {
    private Tests() {
    }

    public static void main(String[] arguments) throws Exception {
        if (arguments.length != 2) {
            System.err.println("usage: Tests ROOT IMAGES");
            System.exit(2);
        }
        System.out.println("rtmpose " + Engine.libraryVersion());
        Path root = Path.of(arguments[0]);
        boolean good = Misuse.run(root);
        good &= Pixels.run();
        good &= Missing.run(root);
        good &= Cases.run(root, Path.of(arguments[1]));
        System.out.println("ONNX Runtime " + Engine.version() + (good ? ": passed" : ": FAILED"));
        System.exit(good ? 0 : 1);
    }
}
