using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;

namespace Rtmpose.Tests
{
    using Map = Dictionary<string, object>;

    /// <summary>Runs sdk/conformance/cases.json.</summary>
    internal sealed class Cases
    {
        private readonly Map record;
        private readonly Recipes recipes;
        private readonly Model detectorModel;
        private readonly Model poseModel;
        private readonly Comparison[] comparisons =
        {
            new Comparison("detect"), new Comparison("pose"), new Comparison("track"),
        };

        private Cases(string root, string images)
        {
            record = Json.Read(File.ReadAllText(Path.Combine(root, "sdk/conformance/cases.json")));
            if ((double)record["format"] != 1)
            {
                throw new FormatException("the cases are of a format that is not known here");
            }
            recipes = new Recipes(images);
            var models = (Map)record["models"];
            detectorModel = new Model(Path.Combine(root, (string)models["detector"]), threads: 1);
            poseModel = new Model(Path.Combine(root, (string)models["pose"]), threads: 1);
        }

        /// <summary>All cases; true where every bar is met.</summary>
        internal static bool Run(string root, string images)
        {
            var cases = new Cases(root, images);
            using (cases.detectorModel)
            using (cases.poseModel)
            using (var detector = new Detector(cases.detectorModel))
            using (var pose = new PoseDetector(cases.poseModel))
            {
                foreach (object one in (List<object>)cases.record["cases"])
                {
                    var values = (Map)one;
                    switch ((string)values["kind"])
                    {
                        case "detect":
                            cases.Detect(values, detector);
                            break;
                        case "pose":
                            cases.Estimate(values, pose);
                            break;
                        case "track":
                            cases.Track(values);
                            break;
                        default:
                            throw new FormatException("unknown kind of case " + values["kind"]);
                    }
                }
            }
            return cases.comparisons.Select(comparison => comparison.Report()).ToArray().All(met => met);
        }

        private void Detect(Map values, Detector detector)
        {
            var recipe = (Map)((Map)record["images"])[(string)values["image"]];
            Image image = recipes.Compose(recipe, (string)values["pixels"]);
            Detections found = detector.Apply(image, (float)(double)values["box_thr"]);
            comparisons[0].Detections(
                found, (Map)values["expected"], (string)values["name"], Recipes.Repeat(recipe));
        }

        private void Estimate(Map values, PoseDetector pose)
        {
            var recipe = (Map)((Map)record["images"])[(string)values["image"]];
            Image image = recipes.Compose(recipe, (string)values["pixels"]);
            Poses found = pose.Apply(image, Boxes(values["boxes"]));
            var ties = new HashSet<string>(
                Rows(values["ties"]).Select(tie => (int)tie[0] + " " + (int)tie[1]));
            comparisons[1].Poses(
                found, (Map)values["expected"], (string)values["name"], Recipes.Repeat(recipe), ties);
        }

        private void Track(Map values)
        {
            Model found = (bool)values["detects"] ? detectorModel : null;
            using (var tracker = new PoseTracker(found, poseModel, Params((Map)values["params"])))
            using (PoseStream stream = tracker.CreateStream())
            {
                int index = 0;
                foreach (object one in (List<object>)values["frames"])
                {
                    var next = (Map)one;
                    Image image = recipes.Compose((Map)next["image"], "bgr");
                    var frame = new Frame(stream, image);
                    if (next.ContainsKey("boxes"))
                    {
                        frame.Boxes = Boxes(next["boxes"]);
                    }
                    if (next.ContainsKey("time_s"))
                    {
                        frame.TimeS = (double)next["time_s"];
                    }
                    comparisons[2].Poses(
                        tracker.Apply(frame), (Map)next["expected"],
                        values["name"] + ", frame " + index++, 1, new HashSet<string>());
                }
            }
        }

        // Names such as det_interval are properties such as DetInterval.
        private static TrackerParams Params(Map values)
        {
            var result = new TrackerParams();
            foreach (KeyValuePair<string, object> setting in values)
            {
                string name = string.Concat(
                    setting.Key.Split('_').Select(word => char.ToUpper(word[0]) + word.Substring(1)));
                System.Reflection.PropertyInfo property = typeof(TrackerParams).GetProperty(name);
                object value = setting.Value is List<object>
                    ? (object)Doubles(setting.Value).Select(number => (float)number).ToArray()
                    : Convert.ChangeType(setting.Value, property.PropertyType);
                property.SetValue(result, value);
            }
            return result;
        }

        internal static double[] Doubles(object list)
        {
            return ((List<object>)list).Cast<double>().ToArray();
        }

        internal static int[] Ints(object list)
        {
            return Doubles(list).Select(number => (int)number).ToArray();
        }

        internal static double[][] Rows(object list)
        {
            return ((List<object>)list).Select(Doubles).ToArray();
        }

        private static Box[] Boxes(object list)
        {
            return list == null
                ? null
                : Rows(list).Select(s => new Box((float)s[0], (float)s[1], (float)s[2], (float)s[3])).ToArray();
        }
    }
}
