using System;
using System.Collections.Generic;
using System.Runtime.InteropServices;

namespace Rtmpose
{
    /// <summary>What must stay where it is until a call is over.</summary>
    internal sealed class KeptHandles : IDisposable
    {
        private readonly List<GCHandle> pinned = new List<GCHandle>();
        private readonly List<SafeHandle> used = new List<SafeHandle>();

        /// <summary>Pins an array or a struct.</summary>
        internal IntPtr Add(object values)
        {
            GCHandle handle = GCHandle.Alloc(values, GCHandleType.Pinned);
            pinned.Add(handle);
            return handle.AddrOfPinnedObject();
        }

        /// <summary>Keeps a handle from being closed.</summary>
        internal IntPtr Add(SafeHandle handle)
        {
            bool added = false;
            handle.DangerousAddRef(ref added);
            used.Add(handle);
            return handle.DangerousGetHandle();
        }

        /// <summary>The image for the library, its pixels pinned.</summary>
        internal NativeImage Add(Image image)
        {
            if (image == null)
            {
                throw new ArgumentNullException(nameof(image));
            }
            return image.ToNative(image.Pixels == null ? image.Address : Add(image.Pixels));
        }

        public void Dispose()
        {
            foreach (GCHandle handle in pinned)
            {
                handle.Free();
            }
            foreach (SafeHandle handle in used)
            {
                handle.DangerousRelease();
            }
        }
    }
}
