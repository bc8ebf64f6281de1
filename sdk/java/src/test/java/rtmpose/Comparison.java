package rtmpose;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;

/** Differences of all cases of a kind, and the bars of sdk/conformance/README.md. */
final class Comparison {
    private final String kind;
    private final List<Double> boxes = new ArrayList<>();
    private final List<Double> boxScores = new ArrayList<>();
    private final List<Double> keypoints = new ArrayList<>();
    private final List<Double> scores = new ArrayList<>();
    private final List<String> wrong = new ArrayList<>();
    private int cases;
    private int jumps;
    private int ties;

    Comparison(String kind) {
        this.kind = kind;
    }

    void detections(Detections found, Map<String, Object> expected, String name, int scale) {
        cases++;
        double[][] wanted = Json.rows(expected.get("boxes"));
        double[] wantedScores = Json.numbers(expected.get("scores"));
        double[] labels = Json.numbers(expected.get("labels"));
        if (found.count() != wanted.length) {
            wrong.add(name + ": " + found.count() + " boxes, not " + wanted.length);
            return;
        }

        // Nearest first: scores that are nearly the same may come in another order.
        boolean[] taken = new boolean[wanted.length];
        for (int i = 0; i < wanted.length; i++) {
            int nearest = -1;
            for (int j = 0; j < wanted.length; j++) {
                boolean nearer = nearest < 0
                        || distance(found.boxes[j], wanted[i]) < distance(found.boxes[nearest], wanted[i]);
                if (!taken[j] && nearer) {
                    nearest = j;
                }
            }
            taken[nearest] = true;
            boxes.add(distance(found.boxes[nearest], wanted[i]) / scale);
            boxScores.add(Math.abs(found.scores[nearest] - wantedScores[i]));
            if (found.labels[nearest] != (int) labels[i]) {
                wrong.add(name + ": a label is " + found.labels[nearest]);
            }
        }
    }

    void poses(
            Poses found, Map<String, Object> expected, String name, int scale, Set<String> listed) {
        cases++;
        double[][] wanted = Json.rows(expected.get("boxes"));
        double[] wantedScores = Json.numbers(expected.get("box_scores"));
        if (found.count() != wanted.length) {
            wrong.add(name + ": " + found.count() + " people, not " + wanted.length);
            return;
        }
        if (expected.containsKey("ids") && !sameIds(found, Json.numbers(expected.get("ids")))) {
            wrong.add(name + ": the ids are others");
            return;
        }
        List<Object> people = Json.list(expected.get("keypoints"));
        double[][] pointScores = Json.rows(expected.get("scores"));
        for (int n = 0; n < wanted.length; n++) {
            boxes.add(distance(found.boxes[n], wanted[n]) / scale);
            boxScores.add(Math.abs(found.boxScores[n] - wantedScores[n]));
            double[][] points = Json.rows(people.get(n));
            for (int k = 0; k < points.length; k++) {
                float[] point = found.keypoints[n][k];
                double distance = Math.hypot(point[0] - points[k][0], point[1] - points[k][1]) / scale;
                keypoints.add(distance);
                scores.add(Math.abs(found.scores[n][k] - pointScores[n][k]));
                if (distance > 0.5) {
                    jumps++;
                    ties += listed.contains(n + " " + k) ? 1 : 0;
                }
            }
        }
    }

    /** Prints a line; true where every bar is met. */
    boolean report() {
        bar("boxes: median", percentile(boxes, 50), 0.01);
        bar("boxes: largest", percentile(boxes, 100), 1);
        bar("box scores: largest", percentile(boxScores, 100), 0.001);
        bar("keypoints: median", percentile(keypoints, 50), 0.01);
        bar("keypoints: 95 %", percentile(keypoints, 95), 0.5);
        bar("keypoint scores: 99 %", percentile(scores, 99), 0.001);
        System.out.println(String.format(Locale.ROOT,
                "%s: %d images, %d people; boxes median %.4f largest %.3f px; keypoints median %.4f"
                + " 95 %% %.3f largest %.1f px, %d jumps (%d listed)",
                kind, cases, boxes.size(), percentile(boxes, 50), percentile(boxes, 100),
                percentile(keypoints, 50), percentile(keypoints, 95), percentile(keypoints, 100),
                jumps, ties));
        wrong.forEach(line -> System.out.println("  WRONG " + line));
        return wrong.isEmpty();
    }

    private void bar(String what, double value, double most) {
        if (!(value <= most)) {
            wrong.add(what + ": " + value + " is more than " + most);
        }
    }

    private static boolean sameIds(Poses found, double[] wanted) {
        if (found.ids == null || found.ids.length != wanted.length) {
            return false;
        }
        for (int i = 0; i < wanted.length; i++) {
            if (found.ids[i] != (long) wanted[i]) {
                return false;
            }
        }
        return true;
    }

    private static double distance(Box box, double[] wanted) {
        double x = Math.max(Math.abs(box.x1 - wanted[0]), Math.abs(box.x2 - wanted[2]));
        double y = Math.max(Math.abs(box.y1 - wanted[1]), Math.abs(box.y2 - wanted[3]));
        return Math.max(x, y);
    }

    private static double percentile(List<Double> values, double percent) {
        if (values.isEmpty()) {
            return 0;
        }
        List<Double> sorted = new ArrayList<>(values);
        Collections.sort(sorted);
        return sorted.get((int) Math.round((sorted.size() - 1) * percent / 100));
    }
}
