// People in a photo, their keypoints, and their ids as in a video:
//   mono Photo.exe DETECTOR POSE PHOTO
using System;
using System.Drawing;
using System.Drawing.Imaging;
using System.Runtime.InteropServices;
using Rtmpose;

internal static class Photo
{
    private static void Main(string[] arguments)
    {
        using (var detectorModel = new Model(arguments[0]))
        using (var poseModel = new Model(arguments[1]))
        using (var detector = new Detector(detectorModel))
        using (var pose = new PoseDetector(poseModel))
        {
            Rtmpose.Image image = Read(arguments[2]);
            Poses poses = pose.FindPeople(detector, image);
            for (int i = 0; i < poses.Count; i++)
            {
                Console.WriteLine(
                    "{0} at {1:0} {2:0}, score {3:0.00}", poseModel.KeypointNames[0],
                    poses.Keypoints[i, 0, 0], poses.Keypoints[i, 0, 1], poses.Scores[i, 0]);
            }

            using (var tracker = new PoseTracker(detectorModel, poseModel))
            using (PoseStream stream = tracker.CreateStream())
            {
                Poses people = tracker.Apply(stream, image);
                Console.WriteLine("ids {0}", string.Join(" ", people.Ids));
            }
        }
    }

    private static Rtmpose.Image Read(string path)
    {
        using (var bitmap = new Bitmap(path))
        {
            var all = new Rectangle(0, 0, bitmap.Width, bitmap.Height);
            // 24 bits "RGB" of Windows are blue, green, red.
            BitmapData data = bitmap.LockBits(
                all, ImageLockMode.ReadOnly, System.Drawing.Imaging.PixelFormat.Format24bppRgb);
            var pixels = new byte[data.Stride * data.Height];
            Marshal.Copy(data.Scan0, pixels, 0, pixels.Length);
            bitmap.UnlockBits(data);
            return new Rtmpose.Image(
                pixels, data.Width, data.Height, Rtmpose.PixelFormat.Bgr, data.Stride);
        }
    }
}
