// The vectors before the verifier in Java: `verify` itself, and the filter.
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.lang.reflect.InvocationHandler;
import java.lang.reflect.Proxy;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

public class Vectors {
    static final List<String> MISTAKES = new ArrayList<>();

    public static void main(String[] arguments) throws Exception {
        Map<?, ?> file = (Map<?, ?>) new Json(Files.readString(Path.of("tests/data/signature-vectors.json"))).value();
        Map<String, MemberFilter.Key> known = new HashMap<>();
        Map<String, String> ids = new HashMap<>();
        for (Map.Entry<?, ?> entry : ((Map<?, ?>) file.get("keys")).entrySet()) {
            Map<String, Object> key = object(entry.getValue());
            ids.put((String) entry.getKey(), (String) key.get("id"));
            known.put((String) entry.getKey(), key.containsKey("secret")
                    ? MemberFilter.hmacKey((String) key.get("secret")) : MemberFilter.publicKey(strings(key.get("jwk"))));
        }
        List<Map<String, Object>> vectors = new ArrayList<>();
        for (Object vector : (List<?>) file.get("vectors")) {
            vectors.add(object(vector));
            for (boolean asRequest : new boolean[] {false, true}) {
                judge(object(vector), known, ids, asRequest);
            }
        }
        anonymous(vectors);
        keySet();
        System.out.println(MISTAKES.isEmpty() ? vectors.size() + " vectors" : String.join("\n", MISTAKES));
        System.exit(MISTAKES.isEmpty() ? 0 : 1);
    }

    static void judge(Map<String, Object> vector, Map<String, MemberFilter.Key> known, Map<String, String> ids, boolean asRequest) {
        Map<String, Object> own = object(vector.get("verifier"));
        Map<String, MemberFilter.Key> keys = new HashMap<>();
        ((List<?>) own.get("keys")).forEach(label -> keys.put(ids.get(label), known.get(label)));
        MemberFilter filter = new MemberFilter(keys).authority((String) own.get("authority"));
        if (own.containsKey("fields")) {
            filter.names(list(own.get("fields")));
        }
        long now = (Long) vector.get("now");
        List<String> remembered = new ArrayList<>();
        if (own.containsKey("nonces")) {
            MemberFilter.Memory memory = new MemberFilter.Memory();
            MemberFilter.Nonces nonces = (nonce, until, at) -> memory.isNew(nonce, until, at) && remembered.add(nonce);
            list(own.get("nonces")).forEach(nonce -> nonces.isNew(nonce, now + 60, now));
            filter.nonces(nonces);
        }
        Object found;
        try {
            String method = (String) vector.get("method");
            String target = (String) vector.get("target");
            found = Map.of("member", asRequest ? filter.verify(request(vector, new HashMap<>()), now) : filter.verify(method, target, fields(vector), now));
        } catch (MemberFilter.Refused refused) {
            found = Map.of("error", refused.getMessage());
        }
        Object expected = vector.getOrDefault("remembered", List.of());
        if (!found.equals(vector.get("expected")) || !remembered.equals(expected)) {
            MISTAKES.add((asRequest ? "request: " : "verify: ") + vector.get("name") + ": " + found + ", " + remembered);
        }
    }

    /** The anonymous pass without the fields they wrote themselves, and with a bad signature nobody does. */
    static void anonymous(List<Map<String, Object>> vectors) throws Exception {
        MemberFilter filter = new MemberFilter(Map.of()).anonymous();
        Map<String, Object> unsigned = vectors.stream().filter(vector -> vector.get("name").toString().endsWith(": identity fields alone")).findFirst().get();
        Map<String, Object> attributes = new HashMap<>();
        List<HttpServletRequest> passed = new ArrayList<>();
        filter.doFilter(request(unsigned, attributes), null, (asked, answer) -> passed.add((HttpServletRequest) asked));
        HttpServletRequest seen = passed.get(0);
        if (attributes.get("member") != null || seen.getRemoteUser() != null || seen.getHeader("X-Member-Id") != null
                || seen.getHeaders("x_member_id").hasMoreElements() || !Collections.list(seen.getHeaderNames()).equals(List.of("Host"))) {
            MISTAKES.add("the anonymous keep what they wrote");
        }
        StringWriter text = new StringWriter();
        List<Object> status = new ArrayList<>();
        HttpServletResponse answer = proxy(HttpServletResponse.class, (self, method, values) -> {
            if (method.getName().equals("setStatus")) {
                status.add(values[0]);
            }
            return method.getName().equals("getWriter") ? new PrintWriter(text, true) : null;
        });
        filter.doFilter(request(vectors.get(0), attributes), answer, (asked, unused) -> MISTAKES.add("an unknown key passes"));
        if (!status.equals(List.of(401)) || !text.toString().trim().equals("unknown-key")) {
            MISTAKES.add("an unknown key is answered " + status + text);
        }
    }

    /** The keys of a site are fetched once, again for an unknown id after a minute, and again after an hour. */
    static void keySet() {
        MemberFilter.JwkSet keys = new MemberFilter.JwkSet(System.getenv("JWK_SET"));
        Object[][] steps = {{0, "2026-11.ed", true}, {1, "2026-12.p256", true}, {59, "?", false}, {60, "?", false},
            {61, "2026-11.ed", true}, {3659, "2026-11.p256", true}, {3660, "2026-11.ed", true}};
        try {
            for (Object[] step : steps) {
                if ((keys.find((String) step[1], 1_795_300_000L + (Integer) step[0]) != null) != (Boolean) step[2]) {
                    MISTAKES.add("JwkSet: " + step[1] + " after " + step[0] + " s");
                }
            }
            MISTAKES.add("JwkSet without a server: " + new MemberFilter.JwkSet("http://127.0.0.1:1/").find("?", 0));
        } catch (MemberFilter.Refused refused) {
            if (!refused.getMessage().equals("keys-unavailable")) {
                MISTAKES.add(refused.getMessage());
            }
        }
    }

    static HttpServletRequest request(Map<String, Object> vector, Map<String, Object> attributes) {
        String[] target = ((String) vector.get("target")).split("\\?", 2);
        Map<String, List<String>> lines = new LinkedHashMap<>();
        Map<String, String> spelling = new HashMap<>();
        for (String[] field : fields(vector)) {
            String name = spelling.computeIfAbsent(field[0].toLowerCase(), unused -> field[0]);
            lines.computeIfAbsent(name, unused -> new ArrayList<>()).add(field[1]);
        }
        return proxy(HttpServletRequest.class, (self, method, values) -> switch (method.getName()) {
            case "getMethod" -> vector.get("method");
            case "getRequestURI" -> target[0];
            case "getQueryString" -> target.length > 1 ? target[1] : null;
            case "getHeaderNames" -> Collections.enumeration(lines.keySet());
            case "getHeaders" -> Collections.enumeration(lines.getOrDefault(values[0], List.of()));
            case "getHeader" -> lines.getOrDefault(values[0], List.of("?")).get(0);
            case "setAttribute" -> attributes.put((String) values[0], values[1]);
            default -> null;
        });
    }

    static <T> T proxy(Class<T> type, InvocationHandler handler) {
        return type.cast(Proxy.newProxyInstance(Vectors.class.getClassLoader(), new Class<?>[] {type}, handler));
    }

    static List<String[]> fields(Map<String, Object> vector) {
        List<String[]> fields = new ArrayList<>();
        for (Object pair : (List<?>) vector.get("fields")) {
            fields.add(list(pair).toArray(new String[0]));
        }
        return fields;
    }

    static Map<String, Object> object(Object value) {
        Map<String, Object> object = new LinkedHashMap<>();
        ((Map<?, ?>) value).forEach((name, member) -> object.put((String) name, member));
        return object;
    }

    static Map<String, String> strings(Object value) {
        Map<String, String> strings = new HashMap<>();
        ((Map<?, ?>) value).forEach((name, member) -> strings.put((String) name, (String) member));
        return strings;
    }

    static List<String> list(Object value) {
        List<String> list = new ArrayList<>();
        ((List<?>) value).forEach(element -> list.add((String) element));
        return list;
    }

    /** As much of JSON as the vectors need. */
    static class Json {
        private final String text;
        private int at;

        Json(String text) {
            this.text = text;
        }

        Object value() {
            switch (next()) {
                case '{': {
                    Map<String, Object> object = new LinkedHashMap<>();
                    for (at++; next() != '}'; skip(',')) {
                        String name = string();
                        skip(':');
                        object.put(name, value());
                    }
                    at++;
                    return object;
                }
                case '[': {
                    List<Object> list = new ArrayList<>();
                    for (at++; next() != ']'; skip(',')) {
                        list.add(value());
                    }
                    at++;
                    return list;
                }
                case '"':
                    return string();
                default: {
                    int start = at;
                    while (Character.isDigit(text.charAt(at))) {
                        at++;
                    }
                    return Long.parseLong(text.substring(start, at));
                }
            }
        }

        private char next() {
            while (Character.isWhitespace(text.charAt(at))) {
                at++;
            }
            return text.charAt(at);
        }

        private void skip(char character) {
            if (next() == character) {
                at++;
            }
        }

        private String string() {
            next();
            StringBuilder string = new StringBuilder();
            for (at++; text.charAt(at) != '"'; at++) {
                char character = text.charAt(at);
                if (character == '\\') {
                    character = text.charAt(++at);
                    int escape = "nrtbf".indexOf(character);
                    if (escape >= 0) {
                        character = "\n\r\t\b\f".charAt(escape);
                    } else if (character == 'u') {
                        character = (char) Integer.parseInt(text.substring(at + 1, at + 5), 16);
                        at += 4;
                    }
                }
                string.append(character);
            }
            at++;
            return string.toString();
        }
    }
}
