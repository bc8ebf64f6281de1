import java.io.File;
import javax.imageio.ImageIO;
import rtmpose.Detector;
import rtmpose.Image;
import rtmpose.Model;
import rtmpose.PoseDetector;
import rtmpose.PoseStream;
import rtmpose.PoseTracker;
import rtmpose.Poses;

/** People in a photo, their keypoints, and their ids as in a video: Photo DETECTOR POSE PHOTO. */
public final class Photo {
    public static void main(String[] arguments) throws Exception {
        Image image = Image.of(ImageIO.read(new File(arguments[2])));
        try (Model detectorModel = new Model(arguments[0]);
                Model poseModel = new Model(arguments[1]);
                Detector detector = new Detector(detectorModel);
                PoseDetector pose = new PoseDetector(poseModel)) {
            Poses poses = pose.findPeople(detector, image);
            for (int i = 0; i < poses.count(); i++) {
                System.out.printf("%s at %.0f %.0f, score %.2f%n", poseModel.keypointNames[0],
                        poses.keypoints[i][0][0], poses.keypoints[i][0][1], poses.scores[i][0]);
            }

            try (PoseTracker tracker = new PoseTracker(detectorModel, poseModel);
                    PoseStream stream = tracker.createStream()) {
                Poses people = tracker.apply(stream, image);
                for (long id : people.ids) {
                    System.out.println("id " + id);
                }
            }
        }
    }
}
