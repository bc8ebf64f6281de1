using System;
using System.Collections.Generic;
using System.IO;
using System.Runtime.InteropServices;

namespace Rtmpose
{
    /// <summary>Why the library could not be loaded, in words: runtimes say its name only.</summary>
    internal static class MissingLibrary
    {
        private static readonly string[] Names =
            { "librtmpose.so", "librtmpose.so.0", "librtmpose.dylib", "rtmpose.dll", "librtmpose.dll" };

        internal static string Text()
        {
            foreach (string folder in Folders())
            {
                foreach (string name in Names)
                {
                    string file = Path.Combine(folder, name);
                    if (File.Exists(file))
                    {
                        return file + " could not be loaded: " + Fault(file);
                    }
                }
            }
            return "librtmpose.so (on Windows rtmpose.dll) was not found: put it next to"
                + " Rtmpose.dll, or where the system finds libraries (LD_LIBRARY_PATH, PATH);"
                + " sdk/build.sh makes it";
        }

        private static IEnumerable<string> Folders()
        {
            var folders = new List<string> { AppDomain.CurrentDomain.BaseDirectory };
            string assembly = typeof(MissingLibrary).Assembly.Location;
            if (!string.IsNullOrEmpty(assembly))
            {
                folders.Add(Path.GetDirectoryName(assembly));
            }
            foreach (string variable in new[] { "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PATH" })
            {
                string value = Environment.GetEnvironmentVariable(variable) ?? "";
                folders.AddRange(value.Split(Path.PathSeparator));
            }
            folders.RemoveAll(
                folder => folder.Length == 0 || folder.IndexOfAny(Path.GetInvalidPathChars()) >= 0);
            return folders;
        }

        private static string Fault(string file)
        {
            string machine = MachineOf(file);
            string own = RuntimeInformation.ProcessArchitecture.ToString().ToLowerInvariant();
            if (machine == null)
            {
                return "it is no library, or one that is damaged";
            }
            if (machine != own)
            {
                return "it is for " + machine + ", and this program runs as " + own;
            }
            return "a library that it needs is missing, or it is for another system"
                + " (on Linux: ldd " + Path.GetFileName(file) + ")";
        }

        // The processor in the head of an ELF or PE file; null for other files.
        private static string MachineOf(string file)
        {
            var head = new byte[4096];
            using (FileStream stream = File.OpenRead(file))
            {
                stream.Read(head, 0, head.Length);
            }
            if (head[0] == 0x7f && head[1] == 'E' && head[2] == 'L' && head[3] == 'F')
            {
                return NameOf(BitConverter.ToUInt16(head, 18));
            }
            int start = BitConverter.ToInt32(head, 60);
            bool windows = head[0] == 'M' && head[1] == 'Z' && start > 0 && start < head.Length - 6;
            return windows ? NameOf(BitConverter.ToUInt16(head, start + 4)) : null;
        }

        private static string NameOf(ushort machine)
        {
            switch (machine)
            {
                case 62:
                case 0x8664:
                    return "x64";
                case 3:
                case 0x14c:
                    return "x86";
                case 183:
                case 0xaa64:
                    return "arm64";
                case 40:
                    return "arm";
                default:
                    return "another processor (" + machine + ")";
            }
        }
    }
}
