using System;
using System.Collections.Generic;
using System.Linq;

namespace Rtmpose.Tests
{
    /// <summary>Differences of all cases of a kind, and the bars of sdk/conformance/README.md.
    /// </summary>
    internal sealed class Comparison
    {
        private readonly string kind;
        private readonly List<double> boxes = new List<double>();
        private readonly List<double> keypoints = new List<double>();
        private readonly List<double> scores = new List<double>();
        private readonly List<double> boxScores = new List<double>();
        private readonly List<string> wrong = new List<string>();
        private int cases;
        private int ties;
        private int jumps;

        internal Comparison(string kind)
        {
            this.kind = kind;
        }

        internal void Detections(Detections found, Dictionary<string, object> expected, string name, int scale)
        {
            cases++;
            double[][] wanted = Cases.Rows(expected["boxes"]);
            double[] wantedScores = Cases.Doubles(expected["scores"]);
            int[] labels = Cases.Ints(expected["labels"]);
            if (found.Count != wanted.Length)
            {
                wrong.Add(name + ": " + found.Count + " boxes, not " + wanted.Length);
                return;
            }

            // Nearest first: scores that are nearly the same may come in another order.
            var free = new HashSet<int>(Enumerable.Range(0, found.Count));
            for (int i = 0; i < wanted.Length; i++)
            {
                int nearest = free.OrderBy(j => Distance(found.Boxes[j], wanted[i])).First();
                free.Remove(nearest);
                boxes.Add(Distance(found.Boxes[nearest], wanted[i]) / scale);
                boxScores.Add(Math.Abs(found.Scores[nearest] - wantedScores[i]));
                if (found.Labels[nearest] != labels[i])
                {
                    wrong.Add(name + ": a label is " + found.Labels[nearest] + ", not " + labels[i]);
                }
            }
        }

        internal void Poses(Poses found, Dictionary<string, object> expected, string name, int scale, HashSet<string> listed)
        {
            cases++;
            double[][] wanted = Cases.Rows(expected["boxes"]);
            double[] wantedScores = Cases.Doubles(expected["box_scores"]);
            if (found.Count != wanted.Length)
            {
                wrong.Add(name + ": " + found.Count + " people, not " + wanted.Length);
                return;
            }
            if (expected.ContainsKey("ids"))
            {
                long[] ids = Cases.Ints(expected["ids"]).Select(id => (long)id).ToArray();
                if (found.Ids == null || !found.Ids.SequenceEqual(ids))
                {
                    wrong.Add(name + ": ids are not " + string.Join(" ", ids));
                    return;
                }
            }
            var people = (List<object>)expected["keypoints"];
            double[][] pointScores = Cases.Rows(expected["scores"]);
            for (int n = 0; n < wanted.Length; n++)
            {
                boxes.Add(Distance(found.Boxes[n], wanted[n]) / scale);
                boxScores.Add(Math.Abs(found.BoxScores[n] - wantedScores[n]));
                double[][] points = Cases.Rows(people[n]);
                for (int k = 0; k < points.Length; k++)
                {
                    double dx = found.Keypoints[n, k, 0] - points[k][0];
                    double dy = found.Keypoints[n, k, 1] - points[k][1];
                    double distance = Math.Sqrt(dx * dx + dy * dy) / scale;
                    keypoints.Add(distance);
                    scores.Add(Math.Abs(found.Scores[n, k] - pointScores[n][k]));
                    if (distance > 0.5)
                    {
                        jumps++;
                        ties += listed.Contains(n + " " + k) ? 1 : 0;
                    }
                }
            }
        }

        /// <summary>Prints a line; true where every bar is met.</summary>
        internal bool Report()
        {
            Bar("boxes: median", Percentile(boxes, 50), 0.01);
            Bar("boxes: largest", Percentile(boxes, 100), 1);
            Bar("box scores: largest", Percentile(boxScores, 100), 0.001);
            Bar("keypoints: median", Percentile(keypoints, 50), 0.01);
            Bar("keypoints: 95 %", Percentile(keypoints, 95), 0.5);
            Bar("keypoint scores: 99 %", Percentile(scores, 99), 0.001);
            Console.WriteLine(
                "{0}: {1} images, {2} people; boxes median {3:0.0000} largest {4:0.000} px; keypoints"
                + " median {5:0.0000} 95 % {6:0.000} largest {7:0.0} px, {8} jumps ({9} listed)",
                kind, cases, boxes.Count, Percentile(boxes, 50), Percentile(boxes, 100),
                Percentile(keypoints, 50), Percentile(keypoints, 95), Percentile(keypoints, 100),
                jumps, ties);
            foreach (string line in wrong)
            {
                Console.WriteLine("  WRONG " + line);
            }
            return wrong.Count == 0;
        }

        private void Bar(string what, double value, double most)
        {
            if (!(value <= most))
            {
                wrong.Add(what + ": " + value + " is more than " + most);
            }
        }

        private static double Distance(Box box, double[] wanted)
        {
            return new[]
            {
                Math.Abs(box.X1 - wanted[0]), Math.Abs(box.Y1 - wanted[1]),
                Math.Abs(box.X2 - wanted[2]), Math.Abs(box.Y2 - wanted[3]),
            }.Max();
        }

        private static double Percentile(List<double> values, double percent)
        {
            if (values.Count == 0)
            {
                return 0;
            }
            List<double> sorted = values.OrderBy(value => value).ToList();
            return sorted[(int)Math.Round((sorted.Count - 1) * percent / 100)];
        }
    }
}
