using System;
using System.Runtime.InteropServices;

namespace Rtmpose
{
    /// <summary>The inference engine, ONNX Runtime.</summary>
    public static class Engine
    {
        /// <summary>Version of this library.</summary>
        public static string LibraryVersion
        {
            get
            {
                Native.CheckLoaded();
                return Text.FromUtf8(Native.rtmpose_version());
            }
        }

        /// <summary>Version of the loaded engine; empty before it is loaded.</summary>
        public static string Version
        {
            get
            {
                Native.CheckLoaded();
                return Text.FromUtf8(Native.rtmpose_engine_version());
            }
        }

        /// <summary>Loads ONNX Runtime 1.16 or newer from a file; without a call, the first model
        /// looks for it.</summary>
        /// <param name="path">The library's file; null looks for it.</param>
        public static void Load(string path = null)
        {
            Native.CheckLoaded();
            Native.Check(
                Native.rtmpose_load_engine(path == null ? null : Text.ToUtf8(path, nameof(path))));
        }
    }

    /// <summary>What a model finds.</summary>
    public enum ModelKind
    {
        /// <summary>Boxes in images.</summary>
        Detector = 1,

        /// <summary>Keypoints of one person in a box.</summary>
        Pose = 2,

        /// <summary>People with boxes and keypoints in images.</summary>
        OneStage = 3,
    }

    /// <summary>An opened model. Detectors and trackers keep what they need of it, so it may be
    /// disposed right after they are made.</summary>
    public sealed class Model : IDisposable
    {
        /// <summary>Opens an .onnx file with a model card, or a folder of the deployment SDK.
        /// </summary>
        /// <param name="path">File or folder.</param>
        /// <param name="device">cpu, auto, openvino, cuda, cuda:1, tensorrt, dml or coreml.</param>
        /// <param name="threads">CPU threads; 0: one per physical core.</param>
        /// <param name="allowSpinning">Idle threads burn CPU: faster alone, slower beside other
        /// programs.</param>
        /// <exception cref="RtmposeException">It cannot be opened.</exception>
        public Model(
            string path, string device = "cpu", int threads = 0, bool allowSpinning = false)
        {
            byte[] file = Text.ToUtf8(path, nameof(path));
            Handle = Open(
                device, threads, allowSpinning, (ref NativeOptions options, out ModelHandle model) =>
                    Native.rtmpose_model_open(file, ref options, out model));
            ReadInfo();
        }

        private Model(byte[] bytes, string name, string device, int threads, bool allowSpinning)
        {
            byte[] called = Text.ToUtf8(name, nameof(name));
            var size = new UIntPtr((uint)bytes.Length);
            // An empty array may reach the library as null, which is another error.
            byte[] data = bytes.Length == 0 ? new byte[1] : bytes;
            Handle = Open(
                device, threads, allowSpinning, (ref NativeOptions options, out ModelHandle model) =>
                    Native.rtmpose_model_open_memory(data, size, called, ref options, out model));
            ReadInfo();
        }

        /// <summary>Opens the bytes of an .onnx file with its weights, such as a resource of the
        /// program; they are copied.</summary>
        /// <param name="bytes">All of the file.</param>
        /// <param name="device">cpu, auto, openvino, cuda, cuda:1, tensorrt, dml or coreml.</param>
        /// <param name="threads">CPU threads; 0: one per physical core.</param>
        /// <param name="name">What errors call it, and the file's name for models without a card.
        /// </param>
        /// <exception cref="RtmposeException">It cannot be opened.</exception>
        public static Model FromMemory(
            byte[] bytes, string device = "cpu", int threads = 0, string name = "")
        {
            if (bytes == null)
            {
                throw new ArgumentNullException(nameof(bytes));
            }
            return new Model(bytes, name, device, threads, false);
        }

        /// <summary>What it finds.</summary>
        public ModelKind Kind { get; private set; }

        /// <summary>Name from its card.</summary>
        public string Id { get; private set; }

        /// <summary>Width of the network's input.</summary>
        public int InputWidth { get; private set; }

        /// <summary>Height of the network's input.</summary>
        public int InputHeight { get; private set; }

        /// <summary>Name of the keypoint set; empty for detectors.</summary>
        public string Skeleton { get; private set; }

        /// <summary>K names; none for detectors.</summary>
        public string[] KeypointNames { get; private set; }

        /// <summary>[L, 2]: keypoints that are drawn connected.</summary>
        public int[,] Links { get; private set; }

        /// <summary>Names of a detector's classes; empty where it has none.</summary>
        public string[] ClassNames { get; private set; }

        /// <summary>Where it runs, such as cpu or openvino.</summary>
        public string Device { get; private set; }

        /// <summary>Why auto did not take OpenVINO; empty else.</summary>
        public string DeviceNote { get; private set; }

        internal ModelHandle Handle { get; }

        /// <summary>Closes it.</summary>
        public void Dispose()
        {
            Handle.Dispose();
        }

        private delegate int Opening(ref NativeOptions options, out ModelHandle model);

        private static ModelHandle Open(
            string device, int threads, bool allowSpinning, Opening opening)
        {
            Native.CheckLoaded();
            byte[] where = Text.ToUtf8(device, nameof(device));
            NativeOptions options;
            Native.rtmpose_options_init(out options, Native.SizeOf<NativeOptions>());
            options.Threads = threads;
            options.AllowSpinning = allowSpinning ? 1 : 0;

            // The name of the device must not move while the library reads it.
            GCHandle pinned = GCHandle.Alloc(where, GCHandleType.Pinned);
            try
            {
                options.Device = pinned.AddrOfPinnedObject();
                ModelHandle handle;
                Native.Check(opening(ref options, out handle));
                return handle;
            }
            finally
            {
                pinned.Free();
            }
        }

        private void ReadInfo()
        {
            var info = new NativeModelInfo { StructSize = Native.SizeOf<NativeModelInfo>() };
            Native.Check(Native.rtmpose_model_get_info(Handle, ref info));
            Kind = (ModelKind)info.Kind;
            Id = Text.FromUtf8(info.Id);
            InputWidth = info.InputWidth;
            InputHeight = info.InputHeight;
            Skeleton = Text.FromUtf8(info.Skeleton);
            KeypointNames = Text.Array(info.KeypointNames, info.Keypoints);
            ClassNames = Text.Array(info.ClassNames, info.Classes);
            Device = Text.FromUtf8(info.Device);
            DeviceNote = Text.FromUtf8(info.DeviceNote);

            // Pairs of indices, one after the other.
            Links = new int[info.Links, 2];
            for (int i = 0; i < 2 * info.Links; i++)
            {
                Links[i / 2, i % 2] = Marshal.ReadInt32(info.LinkPairs, i * sizeof(int));
            }
        }
    }
}
