using System;
using System.Diagnostics;
using System.IO;
using System.Text;

namespace Rtmpose.Tests
{
    /// <summary>What a program says where a library is not there or does not fit. Each check is a
    /// process of its own: a library is loaded once.</summary>
    internal sealed class Missing
    {
        private readonly string model;
        private readonly string folder;
        private int failures;

        private Missing(string root, string folder)
        {
            model = Path.Combine(root, "rtmpose/assets/models/rtmdet-nano_finetuned_320x320.onnx");
            this.folder = folder;
        }

        /// <summary>All checks; true where none failed.</summary>
        internal static bool Run(string root)
        {
            string folder = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());
            Directory.CreateDirectory(folder);
            try
            {
                var missing = new Missing(Path.GetFullPath(root), folder);
                missing.Library();
                missing.Engine();
                Console.WriteLine("missing libraries: {0} failures", missing.failures);
                return missing.failures == 0;
            }
            finally
            {
                Directory.Delete(folder, true);
            }
        }

        /// <summary>The child: prints what opening a model ends in.</summary>
        internal static int Open(string model)
        {
            try
            {
                new Model(model).Dispose();
                Console.WriteLine("opened");
            }
            catch (Exception error)
            {
                var known = error as RtmposeException;
                Console.WriteLine(
                    "{0} {1}: {2}", error.GetType().Name, known?.Status, error.Message);
            }
            return 0;
        }

        private void Library()
        {
            // The assemblies alone, in a folder where no library lies.
            foreach (Type type in new[] { typeof(Missing), typeof(Model) })
            {
                string file = type.Assembly.Location;
                File.Copy(file, Path.Combine(folder, Path.GetFileName(file)));
            }

            // What dotnet, unlike mono, needs besides.
            string settings = Path.ChangeExtension(typeof(Missing).Assembly.Location, ".runtimeconfig.json");
            if (File.Exists(settings))
            {
                File.Copy(settings, Path.Combine(folder, Path.GetFileName(settings)));
            }
            Says("DllNotFoundException", "was not found: put it next to Rtmpose.dll", null);

            string library = Path.Combine(folder, "librtmpose.so");
            File.WriteAllText(library, "this is no library");
            Says("DllNotFoundException", library + " could not be loaded: it is no library", null);

            // The head of a library for another processor.
            var head = new byte[64];
            Encoding.ASCII.GetBytes("\u007fELF").CopyTo(head, 0);
            bool onArm = System.Runtime.InteropServices.RuntimeInformation.ProcessArchitecture
                == System.Runtime.InteropServices.Architecture.Arm64;
            head[18] = (byte)(onArm ? 62 : 183);
            File.WriteAllBytes(library, head);
            Says("DllNotFoundException", onArm ? "it is for x64" : "it is for arm64", null);
        }

        private void Engine()
        {
            string own = Path.GetDirectoryName(typeof(Missing).Assembly.Location);
            string libraries = Environment.GetEnvironmentVariable("LD_LIBRARY_PATH");
            Says("RtmposeException Engine", "ONNX Runtime could not be loaded", libraries, own);
        }

        private void Says(string kind, string text, string libraries, string programs = null)
        {
            string program = Path.Combine(
                programs ?? folder, Path.GetFileName(typeof(Missing).Assembly.Location));
            var start = new ProcessStartInfo(
                Process.GetCurrentProcess().MainModule.FileName,
                "\"" + program + "\" --open \"" + model + "\"")
            {
                UseShellExecute = false,
                RedirectStandardOutput = true,
            };
            start.EnvironmentVariables["LD_LIBRARY_PATH"] = libraries ?? "";
            start.EnvironmentVariables["RTMPOSE_ONNXRUNTIME"] = "/nowhere/libonnxruntime.so";
            using (Process process = Process.Start(start))
            {
                string output = process.StandardOutput.ReadToEnd();
                process.WaitForExit();
                if (!output.StartsWith(kind) || !output.Contains(text))
                {
                    failures++;
                    Console.WriteLine("  WRONG not \"{0}: ... {1}\" but {2}", kind, text, output);
                }
            }
        }
    }
}
