package rtmpose;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Reads JSON: objects as maps, arrays as lists, numbers as Double. */
final class Json {
    private final String text;
    private int at;

    private Json(String text) {
        this.text = text;
    }

    static Map<String, Object> read(String text) {
        return map(new Json(text).value());
    }

    @SuppressWarnings("unchecked")
    static Map<String, Object> map(Object value) {
        return (Map<String, Object>) value;
    }

    @SuppressWarnings("unchecked")
    static List<Object> list(Object value) {
        return (List<Object>) value;
    }

    static int integer(Object value) {
        return ((Double) value).intValue();
    }

    static double[] numbers(Object value) {
        return list(value).stream().mapToDouble(number -> (Double) number).toArray();
    }

    static double[][] rows(Object value) {
        return list(value).stream().map(Json::numbers).toArray(double[][]::new);
    }

    private Object value() {
        switch (next()) {
            case '{':
                return object();
            case '[':
                return array();
            case '"':
                return string();
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
                return number();
        }
    }

    // The next character that is no space.
    private char next() {
        while (Character.isWhitespace(text.charAt(at))) {
            at++;
        }
        return text.charAt(at);
    }

    private Map<String, Object> object() {
        Map<String, Object> result = new LinkedHashMap<>();
        at++;
        while (next() != '}') {
            String name = string();
            if (next() != ':') {
                throw new IllegalArgumentException("no colon at " + at);
            }
            at++;
            result.put(name, value());
            if (next() == ',') {
                at++;
            }
        }
        at++;
        return result;
    }

    private List<Object> array() {
        List<Object> result = new ArrayList<>();
        at++;
        while (next() != ']') {
            result.add(value());
            if (next() == ',') {
                at++;
            }
        }
        at++;
        return result;
    }

    // The cases have no escapes.
    private String string() {
        next();
        int end = text.indexOf('"', at + 1);
        String result = text.substring(at + 1, end);
        at = end + 1;
        return result;
    }

    private Double number() {
        int start = at;
        while (at < text.length() && "+-.eE0123456789".indexOf(text.charAt(at)) >= 0) {
            at++;
        }
        return Double.valueOf(text.substring(start, at));
    }
}
