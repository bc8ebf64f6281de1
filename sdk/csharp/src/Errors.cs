using System;

namespace Rtmpose
{
    /// <summary>Why a call failed.</summary>
    public enum Status
    {
        /// <summary>It did not.</summary>
        Ok = 0,

        /// <summary>A size, number or box makes no sense.</summary>
        Argument = 1,

        /// <summary>A model is missing, damaged or of another kind.</summary>
        Model = 2,

        /// <summary>ONNX Runtime is missing, or failed.</summary>
        Engine = 3,

        /// <summary>A stream is in use by another call.</summary>
        Busy = 4,

        /// <summary>Not enough memory.</summary>
        Memory = 5,

        /// <summary>A fault of the library.</summary>
        Internal = 6,
    }

    /// <summary>What every call throws when the library reports a failure; the message is its text.
    /// </summary>
    public sealed class RtmposeException : Exception
    {
        internal RtmposeException(Status status, string text) : base(text)
        {
            Status = status;
        }

        /// <summary>Kind of the failure.</summary>
        public Status Status { get; }
    }
}
