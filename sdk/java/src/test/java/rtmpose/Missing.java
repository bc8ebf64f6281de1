package rtmpose;

import java.io.File;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * What a program says where a jar or library is not there or does not fit. Each check is a process of
 * its own: a library is loaded once.
 */
final class Missing {
    private static final String MODEL = "rtmpose/assets/models/rtmdet-nano_finetuned_320x320.onnx";

    private final String model;
    private final List<String> jna = new ArrayList<>();
    private final List<String> others = new ArrayList<>();
    private int failures;

    private Missing(Path root) {
        model = root.resolve(MODEL).toString();
        for (String entry : System.getProperty("java.class.path").split(File.pathSeparator)) {
            boolean isJna = new File(entry).getName().startsWith("jna");
            (isJna ? jna : others).add(entry);
        }
    }

    /** The child: prints what a first call ends in, twice. */
    public static void main(String[] arguments) {
        for (int i = 0; i < 2; i++) {
            try {
                if (arguments.length == 0) {
                    System.out.println(Engine.libraryVersion());
                } else if (arguments[0].equals("params")) {
                    System.out.println(new TrackerParams().detInterval);
                } else {
                    new Model(arguments[0]).close();
                }
            } catch (Throwable error) {
                System.out.println(error);
            }
        }
    }

    /** All checks; true where none failed. */
    static boolean run(Path root) throws Exception {
        Missing missing = new Missing(root);
        missing.jna();
        missing.library();
        missing.engine();
        System.out.println("missing libraries: " + missing.failures + " failures");
        return missing.failures == 0;
    }

    private void jna() throws Exception {
        for (String[] arguments : new String[][] {{}, {"params"}, {model}}) {
            says("NoClassDefFoundError: jna.jar is not on the class path: add JNA 5.13 or newer",
                    others, List.of(), arguments);
        }
    }

    private void library() throws Exception {
        List<String> all = new ArrayList<>(others);
        all.addAll(jna);
        Path folder = Files.createTempDirectory("rtmpose");
        String option = "-Djna.library.path=" + folder;
        String name = System.mapLibraryName("rtmpose");
        says("UnsatisfiedLinkError: " + name + " was not found, or not loaded: name its folder",
                all, List.of("LD_LIBRARY_PATH=", option), model);
        Path file = folder.resolve(name);
        Files.writeString(file, "this is no library");
        says("UnsatisfiedLinkError: " + name + " was not found, or not loaded: name its folder",
                all, List.of("LD_LIBRARY_PATH=", option), "params");
        Files.delete(file);
        Files.delete(folder);
    }

    private void engine() throws Exception {
        List<String> all = new ArrayList<>(others);
        all.addAll(jna);
        says("RtmposeException: ONNX Runtime could not be loaded: ", all, List.of(), model);
    }

    // settings: options of the virtual machine, and variables as NAME=VALUE.
    private void says(String text, List<String> path, List<String> settings, String... arguments)
            throws Exception {
        List<String> command = new ArrayList<>();
        command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        command.add("-XX:TieredStopAtLevel=1");
        ProcessBuilder builder = new ProcessBuilder();
        builder.environment().put("RTMPOSE_ONNXRUNTIME", "/nowhere/libonnxruntime.so");
        for (String setting : settings) {
            if (setting.startsWith("-")) {
                command.add(setting);
            } else {
                String[] parts = setting.split("=", 2);
                builder.environment().put(parts[0], parts[1]);
            }
        }
        command.addAll(List.of("-cp", String.join(File.pathSeparator, path), "rtmpose.Missing"));
        command.addAll(List.of(arguments));
        Process process = builder.command(command).redirectErrorStream(true).start();
        byte[] bytes = process.getInputStream().readAllBytes();
        process.waitFor();
        String[] lines = new String(bytes, StandardCharsets.UTF_8).split("(?m)^(?=\\S*(Error|Exception): )");
        int found = 0;
        for (String line : lines) {
            found += line.contains(text) ? 1 : 0;
        }
        if (found != 2) {
            failures++;
            System.out.println("  WRONG not twice \"" + text + "\" but " + String.join("", lines));
        }
    }
}
