package rtmpose;

import java.io.IOException;
import java.lang.reflect.Field;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** Runs sdk/conformance/cases.json. */
final class Cases implements AutoCloseable {
    private final Map<String, Object> record;
    private final Recipes recipes;
    private final Model detectorModel;
    private final Model poseModel;
    private final Comparison detections = new Comparison("detect");
    private final Comparison poses = new Comparison("pose");
    private final Comparison tracks = new Comparison("track");

    private Cases(Path root, Path images) throws IOException {
        record = Json.read(Files.readString(root.resolve("sdk/conformance/cases.json")));
        if (Json.integer(record.get("format")) != 1) {
            throw new IOException("the cases are of a format that is not known here");
        }
        recipes = new Recipes(images);
        Map<String, Object> models = Json.map(record.get("models"));
        detectorModel = open(root, models.get("detector"));
        poseModel = open(root, models.get("pose"));
    }

    /** All cases; true where every bar is met. */
    static boolean run(Path root, Path images) throws Exception {
        try (Cases cases = new Cases(root, images);
                Detector detector = new Detector(cases.detectorModel);
                PoseDetector pose = new PoseDetector(cases.poseModel)) {
            for (Object one : Json.list(cases.record.get("cases"))) {
                Map<String, Object> values = Json.map(one);
                switch ((String) values.get("kind")) {
                    case "detect":
                        cases.detect(values, detector);
                        break;
                    case "pose":
                        cases.estimate(values, pose);
                        break;
                    case "track":
                        cases.track(values);
                        break;
                    default:
                        throw new IOException("unknown kind of case " + values.get("kind"));
                }
            }
            boolean good = cases.detections.report();
            good &= cases.poses.report();
            good &= cases.tracks.report();
            return good;
        }
    }

    @Override
    public void close() {
        detectorModel.close();
        poseModel.close();
    }

    private static Model open(Path root, Object file) {
        return new Model(root.resolve((String) file).toString(), "cpu", 1, false);
    }

    private Map<String, Object> recipe(Map<String, Object> values) {
        return Json.map(Json.map(record.get("images")).get(values.get("image")));
    }

    private void detect(Map<String, Object> values, Detector detector) throws IOException {
        Map<String, Object> recipe = recipe(values);
        Image image = recipes.compose(recipe, (String) values.get("pixels"));
        float boxThr = ((Double) values.get("box_thr")).floatValue();
        Detections found = detector.apply(image, boxThr, Detector.PEOPLE, -1);
        detections.detections(found, Json.map(values.get("expected")),
                (String) values.get("name"), Recipes.repeat(recipe));
    }

    private void estimate(Map<String, Object> values, PoseDetector pose) throws IOException {
        Map<String, Object> recipe = recipe(values);
        Image image = recipes.compose(recipe, (String) values.get("pixels"));
        Poses found = pose.apply(image, boxes(values.get("boxes")));
        Set<String> ties = Stream.of(Json.rows(values.get("ties")))
                .map(tie -> (int) tie[0] + " " + (int) tie[1])
                .collect(Collectors.toSet());
        poses.poses(found, Json.map(values.get("expected")), (String) values.get("name"),
                Recipes.repeat(recipe), ties);
    }

    private void track(Map<String, Object> values) throws Exception {
        Model found = (Boolean) values.get("detects") ? detectorModel : null;
        TrackerParams params = params(Json.map(values.get("params")));
        try (PoseTracker tracker = new PoseTracker(found, poseModel, params);
                PoseStream stream = tracker.createStream()) {
            int index = 0;
            for (Object one : Json.list(values.get("frames"))) {
                Map<String, Object> next = Json.map(one);
                Image image = recipes.compose(Json.map(next.get("image")), "bgr");
                Frame frame = new Frame(stream, image);
                frame.boxes = next.containsKey("boxes") ? boxes(next.get("boxes")) : null;
                if (next.containsKey("time_s")) {
                    frame.timeS = (Double) next.get("time_s");
                }
                tracks.poses(tracker.apply(frame), Json.map(next.get("expected")),
                        values.get("name") + ", frame " + index++, 1, Set.of());
            }
        }
    }

    // Names such as det_interval are fields such as detInterval.
    private static TrackerParams params(Map<String, Object> values) throws Exception {
        TrackerParams params = new TrackerParams();
        for (Map.Entry<String, Object> setting : values.entrySet()) {
            StringBuilder name = new StringBuilder();
            for (String word : setting.getKey().split("_")) {
                name.append(name.length() == 0 ? word.substring(0, 1)
                        : word.substring(0, 1).toUpperCase()).append(word.substring(1));
            }
            Field field = TrackerParams.class.getField(name.toString());
            Class<?> type = field.getType();
            if (type == float[].class) {
                double[] numbers = Json.numbers(setting.getValue());
                field.set(params, new float[] {
                    (float) numbers[0], (float) numbers[1], (float) numbers[2]});
            } else if (type == int.class) {
                field.setInt(params, Json.integer(setting.getValue()));
            } else if (type == boolean.class) {
                field.setBoolean(params, Json.integer(setting.getValue()) != 0);
            } else {
                field.setFloat(params, ((Double) setting.getValue()).floatValue());
            }
        }
        return params;
    }

    private static Box[] boxes(Object list) {
        return list == null ? null : Stream.of(Json.rows(list))
                .map(s -> new Box((float) s[0], (float) s[1], (float) s[2], (float) s[3]))
                .toArray(Box[]::new);
    }
}
