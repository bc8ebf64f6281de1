using System;
using System.Runtime.InteropServices;
using System.Text;

namespace Rtmpose
{
    /// <summary>Texts of the library are UTF-8 on every system.</summary>
    internal static class Text
    {
        internal static string FromUtf8(IntPtr text)
        {
            if (text == IntPtr.Zero)
            {
                return "";
            }
            int length = 0;
            while (Marshal.ReadByte(text, length) != 0)
            {
                length++;
            }
            var bytes = new byte[length];
            Marshal.Copy(text, bytes, 0, length);
            return Encoding.UTF8.GetString(bytes);
        }

        /// <summary>Bytes with a zero at the end.</summary>
        internal static byte[] ToUtf8(string text, string name)
        {
            if (text == null)
            {
                throw new ArgumentNullException(name);
            }
            if (text.IndexOf('\0') >= 0)
            {
                throw new ArgumentException("there is a zero character in it", name);
            }
            return Encoding.UTF8.GetBytes(text + "\0");
        }

        /// <summary>An array of texts in the library's memory.</summary>
        internal static string[] Array(IntPtr texts, int count)
        {
            var result = new string[count];
            for (int i = 0; i < count; i++)
            {
                result[i] = FromUtf8(Marshal.ReadIntPtr(texts, i * IntPtr.Size));
            }
            return result;
        }
    }
}
