using System;
using System.Collections.Generic;
using System.IO;
using System.Threading;

namespace Rtmpose.Tests
{
    /// <summary>What must be an exception with a text, and what must not be one.</summary>
    internal sealed class Misuse
    {
        private readonly string detectorFile;
        private readonly string poseFile;
        private readonly Image image = new Image(new byte[64 * 48 * 3], 64, 48);
        private int failures;

        private Misuse(string root)
        {
            string models = Path.Combine(root, "rtmpose/assets/models");
            detectorFile = Path.Combine(models, "rtmdet-nano_finetuned_320x320.onnx");
            poseFile = Path.Combine(models, "rtmpose-s_finetuned-halpe26_256x192.onnx");
        }

        /// <summary>All checks; true where none failed.</summary>
        internal static bool Run(string root)
        {
            var misuse = new Misuse(root);
            misuse.Models();
            misuse.Memory();
            misuse.Images();
            misuse.Boxes();
            misuse.Closed();
            misuse.Forgotten();
            misuse.Threads();
            Console.WriteLine("misuse: {0} failures", misuse.failures);
            return misuse.failures == 0;
        }

        private void Models()
        {
            Refused<RtmposeException>("a missing model", () => new Model("/nowhere/model.onnx"));
            Refused<RtmposeException>("an empty path", () => new Model(""));
            Refused<ArgumentNullException>("no path", () => new Model(null));
            Refused<ArgumentException>("a path with a zero", () => new Model("a\0b"));
            Refused<RtmposeException>("an unknown device", () => new Model(poseFile, "toaster"));
            Refused<RtmposeException>("negative threads", () => new Model(poseFile, threads: -3));
            string text = Path.GetTempFileName();
            File.WriteAllText(text, "this is no model");
            Refused<RtmposeException>("a file that is no model", () => new Model(text));
            File.Delete(text);

            Refused<RtmposeException>("no bytes", () => Model.FromMemory(new byte[0]));
            Refused<ArgumentNullException>("null as bytes", () => Model.FromMemory(null));
            Refused<RtmposeException>("bytes of no model", () => Model.FromMemory(new byte[100]));

            using (var detector = new Model(detectorFile, threads: 1))
            using (var pose = new Model(poseFile, threads: 1))
            {
                True("the kind of a detector", detector.Kind == ModelKind.Detector);
                True("names of keypoints", pose.KeypointNames.Length == 26 && pose.KeypointNames[0] == "nose");
                True("links", pose.Links.GetLength(0) > 10);
                Refused<RtmposeException>("a pose network as detector", () => new Detector(pose));
                Refused<RtmposeException>("a detector as pose network", () => new PoseDetector(detector));
                Refused<RtmposeException>("a tracker of two detectors", () => new PoseTracker(detector, detector));
                var wrong = new TrackerParams { DetInterval = 0 };
                Refused<RtmposeException>("a det_interval of 0", () => new PoseTracker(detector, pose, wrong));
            }
        }

        private void Memory()
        {
            using (var anywhere = new Model(poseFile, "auto"))
            {
                bool cpu = anywhere.Device == "cpu";
                True("the device of a model", cpu || anywhere.Device.StartsWith("openvino"));
                True("why it is not another", cpu != (anywhere.DeviceNote.Length == 0));
            }
            byte[] bytes = File.ReadAllBytes(poseFile);
            using (var file = new Model(poseFile, threads: 1))
            using (Model read = Model.FromMemory(bytes, threads: 1))
            using (var expected = new PoseDetector(file))
            using (var pose = new PoseDetector(read))
            {
                Array.Clear(bytes, 0, bytes.Length);
                Poses a = pose.Apply(image);
                Poses b = expected.Apply(image);
                True("a model in memory", read.Id == file.Id && a.Keypoints[0, 3, 0] == b.Keypoints[0, 3, 0]
                    && a.Scores[0, 25] == b.Scores[0, 25]);
            }
            try
            {
                Model.FromMemory(new byte[100], name: "pose resource").Dispose();
            }
            catch (RtmposeException error)
            {
                True("the name of bytes", error.Message.Contains("pose resource") && error.Status == Status.Model);
            }
        }

        private void Images()
        {
            using (var model = new Model(detectorFile, threads: 1))
            using (var detector = new Detector(model))
            {
                Refused<ArgumentNullException>("no image", () => detector.Apply(null));
                Refused<ArgumentNullException>("no pixels", () => new Image(null, 1, 1));
                Refused<ArgumentException>("too few pixels", () => new Image(new byte[10], 64, 48));
                Refused<ArgumentException>("4 bytes a pixel as BGR", () => new Image(new byte[64 * 48 * 4], 64, 48));
                Refused<ArgumentException>("rows from the bottom that overlap", () => new Image(new byte[10], 1, 2, stride: -2));
                Refused<ArgumentException>("too few rows from the bottom", () => new Image(new byte[10], 1, 4, stride: -3));
                Refused<RtmposeException>("an empty image", () => detector.Apply(new Image(new byte[0], 0, 0)));
                Refused<RtmposeException>("a negative width", () => detector.Apply(new Image(new byte[9], -1, 3)));
                Refused<RtmposeException>("an unknown format", () => detector.Apply(new Image(new byte[100], 2, 2, (PixelFormat)9)));
                Refused<RtmposeException>("rows that overlap", () => detector.Apply(new Image(new byte[100], 4, 4, stride: 5)));
                Refused<RtmposeException>("a threshold that is no number", () => detector.Apply(image, float.NaN));
                True("nobody in a black image", detector.Apply(image).Count == 0);
                using (var poseModel = new Model(poseFile, threads: 1))
                using (var pose = new PoseDetector(poseModel))
                {
                    True("no people in a black image", pose.FindPeople(detector, image).Count == 0);
                    Refused<RtmposeException>("people without a detector", () => pose.FindPeople(null, image));
                    Refused<RtmposeException>("a person score that is no number", () => pose.FindPeople(detector, image, 0.3f, float.NaN));
                }
            }
        }

        private void Boxes()
        {
            using (var model = new Model(poseFile, threads: 1))
            using (var pose = new PoseDetector(model))
            {
                var nan = new[] { new Box(0, 0, float.NaN, 10) };
                Refused<RtmposeException>("a box that is no number", () => pose.Apply(image, nan));
                var endless = new[] { new Box(0, 0, float.PositiveInfinity, 10) };
                Refused<RtmposeException>("an endless box", () => pose.Apply(image, endless));
                var turned = new[] { new Box(30, 30, 10, 10) };
                Refused<RtmposeException>("a box from right to left", () => pose.Apply(image, turned));
                Poses nobody = pose.Apply(image, new Box[0]);
                True("no boxes are nobody", nobody.Count == 0 && nobody.KeypointCount == 26);
                Poses whole = pose.Apply(image);
                var twice = new[] { new Box(5, 5, 40, 45), new Box(5, 5, 40, 45) };
                True("both boxes", pose.Apply(image, twice).Count == 2);
                True("the whole image", whole.Count == 1 && whole.Keypoints.GetLength(1) == 26 && whole.Ids == null);
            }
        }

        private void Closed()
        {
            var model = new Model(poseFile, threads: 1);
            var pose = new PoseDetector(model);
            model.Dispose();
            model.Dispose();
            True("a pose detector outlives its model", pose.Apply(image).Count == 1);
            Refused<ObjectDisposedException>("a closed model", () => new PoseDetector(model));
            pose.Dispose();
            pose.Dispose();
            Refused<ObjectDisposedException>("a closed pose detector", () => pose.Apply(image));

            using (var open = new Model(poseFile, threads: 1))
            {
                var tracker = new PoseTracker(null, open);
                PoseStream stream = tracker.CreateStream();
                True("a stream without boxes", tracker.Apply(stream, image).Count == 0);
                stream.Reset();
                stream.Dispose();
                Refused<ObjectDisposedException>("a closed stream", () => tracker.Apply(stream, image));
                Refused<ObjectDisposedException>("a closed stream is not reset", () => stream.Reset());
                tracker.Dispose();
                Refused<ObjectDisposedException>("a closed tracker", () => tracker.CreateStream());
            }
        }

        // Nothing breaks where nobody disposes.
        private void Forgotten()
        {
            for (int i = 0; i < 5; i++)
            {
                var tracker = new PoseTracker(null, new Model(poseFile, threads: 1));
                tracker.Apply(tracker.CreateStream(), image);
            }
            GC.Collect();
            GC.WaitForPendingFinalizers();
            True("forgotten handles", true);
        }

        private void Threads()
        {
            using (var model = new Model(poseFile, threads: 1))
            using (var tracker = new PoseTracker(null, model, new TrackerParams { Confirm = 1, PersonThr = 0 }))
            {
                var errors = new List<string>();
                var threads = new List<Thread>();
                for (int i = 0; i < 8; i++)
                {
                    threads.Add(new Thread(() => Follow(tracker, errors)));
                }
                threads.ForEach(thread => thread.Start());
                threads.ForEach(thread => thread.Join());
                True("eight threads " + string.Join("; ", errors), errors.Count == 0);
            }
        }

        private void Follow(PoseTracker tracker, List<string> errors)
        {
            try
            {
                using (PoseStream stream = tracker.CreateStream())
                {
                    for (int i = 0; i < 10; i++)
                    {
                        var frame = new Frame(stream, image) { Boxes = new[] { new Box(5, 5, 40, 45) } };
                        tracker.Apply(frame);
                    }
                }
            }
            catch (Exception error)
            {
                lock (errors)
                {
                    errors.Add(error.Message);
                }
            }
        }

        private void Refused<T>(string what, Action call) where T : Exception
        {
            try
            {
                call();
                Fail(what + " was taken");
            }
            catch (T error)
            {
                if (error.Message.Length < 10)
                {
                    Fail(what + ": the text says nothing: \"" + error.Message + "\"");
                }
            }
            catch (Exception error)
            {
                Fail(what + ": " + error.GetType().Name + " " + error.Message);
            }
        }

        private void True(string what, bool holds)
        {
            if (!holds)
            {
                Fail(what);
            }
        }

        private void Fail(string what)
        {
            failures++;
            Console.WriteLine("  WRONG " + what);
        }
    }
}
