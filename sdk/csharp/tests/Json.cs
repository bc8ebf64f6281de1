using System;
using System.Collections.Generic;
using System.Globalization;

namespace Rtmpose.Tests
{
    /// <summary>Reads JSON: objects as dictionaries, arrays as lists, numbers as double.</summary>
    internal sealed class Json
    {
        private readonly string text;
        private int at;

        private Json(string text)
        {
            this.text = text;
        }

        internal static Dictionary<string, object> Read(string text)
        {
            return (Dictionary<string, object>)new Json(text).Value();
        }

        private object Value()
        {
            char c = Next();
            switch (c)
            {
                case '{':
                    return Object();
                case '[':
                    return List();
                case '"':
                    return String();
                case 't':
                    at += 4;
                    return true;
                case 'f':
                    at += 5;
                    return false;
                case 'n':
                    at += 4;
                    return null;
                default:
                    return Number();
            }
        }

        // The next character that is no space.
        private char Next()
        {
            while (char.IsWhiteSpace(text[at]))
            {
                at++;
            }
            return text[at];
        }

        private Dictionary<string, object> Object()
        {
            var result = new Dictionary<string, object>();
            at++;
            while (Next() != '}')
            {
                string name = String();
                if (Next() != ':')
                {
                    throw new FormatException("no colon at " + at);
                }
                at++;
                result[name] = Value();
                if (Next() == ',')
                {
                    at++;
                }
            }
            at++;
            return result;
        }

        private List<object> List()
        {
            var result = new List<object>();
            at++;
            while (Next() != ']')
            {
                result.Add(Value());
                if (Next() == ',')
                {
                    at++;
                }
            }
            at++;
            return result;
        }

        // The cases have no escapes.
        private string String()
        {
            Next();
            int end = text.IndexOf('"', at + 1);
            string result = text.Substring(at + 1, end - at - 1);
            at = end + 1;
            return result;
        }

        private double Number()
        {
            int start = at;
            while (at < text.Length && "+-.eE0123456789".IndexOf(text[at]) >= 0)
            {
                at++;
            }
            return double.Parse(text.Substring(start, at - start), CultureInfo.InvariantCulture);
        }
    }
}
