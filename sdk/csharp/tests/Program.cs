using System;

namespace Rtmpose.Tests
{
    internal static class Program
    {
        // Tests.exe ROOT IMAGES: the checkout, and what sdk/conformance/unpack.py wrote.
        private static int Main(string[] arguments)
        {
            if (arguments.Length == 2 && arguments[0] == "--open")
            {
                return Missing.Open(arguments[1]);
            }
            if (arguments.Length != 2)
            {
                Console.Error.WriteLine("usage: Tests.exe ROOT IMAGES");
                return 2;
            }
            Console.WriteLine("rtmpose {0}", Engine.LibraryVersion);
            bool good = Misuse.Run(arguments[0]);
            good &= Pixels.Run(arguments[0]);
            good &= Missing.Run(arguments[0]);
            good &= Cases.Run(arguments[0], arguments[1]);
            Console.WriteLine("ONNX Runtime {0}: {1}", Engine.Version, good ? "passed" : "FAILED");
            return good ? 0 : 1;
        }
    }
}
