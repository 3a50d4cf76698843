// Verifies who member-gateway says is asking (RFC 9421, label "member"). Java 15 or later, no libraries; copy this file.
//
//   Map<String, MemberFilter.Key> keys = Map.of("2026-11", MemberFilter.hmacKey("…base64url, the key in gateway.toml…"));
//   MemberFilter.Keys keys = new MemberFilter.JwkSet("https://members.example.org/_gateway/keys");   // or ed25519 and ecdsa
//
//   context.addFilter("member", new MemberFilter(keys).authority("members.example.org"))
//          .addMappingForUrlPatterns(null, false, "/*");             // or in web.xml, with init-param keyId, key, authority
//
// The member is request.getAttribute("member"), a Map such as {x-member-id=400007995-00, …}; getRemoteUser() is the first of
// its values. Everybody else gets 401, unless anonymous(): then whoever carries no signature passes, without the identity
// fields. `verify` throws Refused, whose message is the name of the error. On a javax container write javax for jakarta below.
import jakarta.servlet.Filter;
import jakarta.servlet.FilterChain;
import jakarta.servlet.FilterConfig;
import jakarta.servlet.ServletException;
import jakarta.servlet.ServletRequest;
import jakarta.servlet.ServletResponse;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletRequestWrapper;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.math.BigInteger;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.security.AlgorithmParameters;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.MessageDigest;
import java.security.PublicKey;
import java.security.Signature;
import java.security.spec.ECGenParameterSpec;
import java.security.spec.ECParameterSpec;
import java.security.spec.ECPoint;
import java.security.spec.ECPublicKeySpec;
import java.security.spec.X509EncodedKeySpec;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collections;
import java.util.Enumeration;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

public class MemberFilter implements Filter {
    /** The identity fields this app reads, in the order in which the gateway sends them; "name?" need not be sent. */
    public static final List<String> FIELDS = List.of("x-member-id", "x-member-unit-id", "x-member-provider");

    private static final String TEXT = "\"([ !#-\\[\\]-~]*)\"";
    private static final Pattern INPUT = Pattern.compile("member=(\\(([^()]*)\\);created=([0-9]{1,15});expires=([0-9]{1,15});nonce="
            + TEXT + ";keyid=" + TEXT + ";alg=" + TEXT + ";tag=" + TEXT + ")[ \t]*(?=,|\\z)");
    private static final Pattern SIGNATURE = Pattern.compile("member=:([A-Za-z0-9+/]+={0,2}):[ \t]*(?=,|\\z)");
    private static final Pattern AGAIN = Pattern.compile(",[ \t]*member(?![a-z0-9_.*-])"); // a second entry under our label
    private static final Pattern VISIBLE = Pattern.compile("[ -~]*");

    private Keys keys;
    private List<String> names = FIELDS;
    private String authority;
    private Nonces nonces;
    private long tolerance = 5;
    private boolean anonymous;

    /** Nobody is signed in as far as this request goes. The message is the name of the error, for your log. */
    public static class Refused extends Exception {
        private static final long serialVersionUID = 1;

        public Refused(String name) {
            super(name, null, false, false);
        }
    }

    /** A key and the one algorithm it is for. */
    public interface Key {
        String algorithm();

        boolean verifies(byte[] base, byte[] signature) throws GeneralSecurityException;
    }

    /** Finds keys by their ids; null where there is none. */
    public interface Keys {
        Key find(String keyId, long now) throws Refused;
    }

    /** Whether a nonce is new: `new Memory()`, or with several processes a common store such as SET NX EXAT in Redis. */
    public interface Nonces {
        boolean isNew(String nonce, long until, long now);
    }

    /** Remembers the nonces of this process, so that no request is taken twice. */
    public static class Memory implements Nonces {
        private final Map<String, Long> seen = new HashMap<>();

        @Override
        public synchronized boolean isNew(String nonce, long until, long now) {
            seen.values().removeIf(ends -> ends <= now);
            return seen.putIfAbsent(nonce, until) == null;
        }
    }

    /** For web.xml, with the init-params keyId, key and authority. */
    public MemberFilter() {
    }

    public MemberFilter(Map<String, Key> keys) {
        this((keyId, now) -> keys.get(keyId));
    }

    public MemberFilter(Keys keys) {
        this.keys = keys;
    }

    public MemberFilter names(List<String> names) {
        this.names = names;
        return this;
    }

    /** The Host of this app: needed where one key signs for several sites. */
    public MemberFilter authority(String authority) {
        this.authority = authority;
        return this;
    }

    public MemberFilter nonces(Nonces nonces) {
        this.nonces = nonces;
        return this;
    }

    /** How many seconds the clocks of gateway and app may differ. */
    public MemberFilter tolerance(long seconds) {
        this.tolerance = seconds;
        return this;
    }

    /** Lets requests pass that carry no signature. */
    public MemberFilter anonymous() {
        this.anonymous = true;
        return this;
    }

    @Override
    public void init(FilterConfig config) throws ServletException {
        if (keys == null) {
            Map<String, Key> one = Map.of(config.getInitParameter("keyId"), hmacKey(config.getInitParameter("key")));
            keys = (keyId, now) -> one.get(keyId);
            authority = config.getInitParameter("authority");
        }
    }

    @Override
    public void destroy() {
    }

    /** The secret that app and gateway share. */
    public static Key hmacKey(String text) {
        byte[] secret = Base64.getUrlDecoder().decode(text);
        if (secret.length < 32) {
            throw new IllegalArgumentException("an hmac-sha256 key is at least 32 bytes, base64url");
        }
        return key("hmac-sha256", (base, signature) -> {
            Mac mac = Mac.getInstance("HmacSHA256");
            mac.init(new SecretKeySpec(secret, "HmacSHA256"));
            return MessageDigest.isEqual(mac.doFinal(base), signature);
        });
    }

    /** An ed25519 or P-256 key, from the members of a JWK (RFC 7517); null where it is neither. */
    public static Key publicKey(Map<String, String> jwk) throws GeneralSecurityException {
        String kind = jwk.get("kty") + " " + jwk.get("crv");
        if (kind.equals("OKP Ed25519")) {
            // SubjectPublicKeyInfo (RFC 8410 section 4): what stands before the key never changes.
            byte[] der = new BigInteger("302a300506032b6570032100", 16).shiftLeft(256)
                    .or(new BigInteger(1, Base64.getUrlDecoder().decode(jwk.get("x")))).toByteArray();
            PublicKey key = KeyFactory.getInstance("Ed25519").generatePublic(new X509EncodedKeySpec(der));
            return key("ed25519", (base, signature) -> signature.length == 64 && holds("Ed25519", key, base, signature));
        }
        if (kind.equals("EC P-256")) {
            AlgorithmParameters curve = AlgorithmParameters.getInstance("EC");
            curve.init(new ECGenParameterSpec("secp256r1"));
            BigInteger x = new BigInteger(1, Base64.getUrlDecoder().decode(jwk.get("x")));
            BigInteger y = new BigInteger(1, Base64.getUrlDecoder().decode(jwk.get("y")));
            PublicKey key = KeyFactory.getInstance("EC").generatePublic(
                    new ECPublicKeySpec(new ECPoint(x, y), curve.getParameterSpec(ECParameterSpec.class)));
            return key("ecdsa-p256-sha256", (base, signature) ->
                    signature.length == 64 && holds("SHA256withECDSAinP1363Format", key, base, signature));
        }
        return null;
    }

    private static boolean holds(String algorithm, PublicKey key, byte[] base, byte[] signature) throws GeneralSecurityException {
        Signature verifier = Signature.getInstance(algorithm);
        verifier.initVerify(key);
        verifier.update(base);
        try {
            return verifier.verify(signature);
        } catch (java.security.SignatureException malformed) {
            return false;
        }
    }

    private interface Check {
        boolean verifies(byte[] base, byte[] signature) throws GeneralSecurityException;
    }

    private static Key key(String algorithm, Check check) {
        return new Key() {
            @Override
            public String algorithm() {
                return algorithm;
            }

            @Override
            public boolean verifies(byte[] base, byte[] signature) throws GeneralSecurityException {
                return check.verifies(base, signature);
            }
        };
    }

    /** The public keys of a site, fetched when they are needed, again after an hour, and at most once a minute. */
    public static class JwkSet implements Keys {
        // The gateway's set is flat: objects of strings. Java brings no reader of JSON, and this much needs none.
        private static final Pattern OBJECT = Pattern.compile("\\{[^{}]*}");
        private static final Pattern MEMBER = Pattern.compile("\"(\\w+)\"\\s*:\\s*\"([^\"\\\\]*)\"");

        private final URI uri;
        private final long maxAge;
        private final long retry;
        private Map<String, Key> keys;
        private long fetched;
        private Long tried;

        public JwkSet(String url) {
            this(url, 3600, 60);
        }

        public JwkSet(String url, long maxAge, long retry) {
            this.uri = URI.create(url);
            this.maxAge = maxAge;
            this.retry = retry;
            if (!"https".equals(uri.getScheme()) && !List.of("localhost", "127.0.0.1", "[::1]").contains(uri.getHost())) {
                throw new IllegalArgumentException("keys come over https, or nobody knows whose they are");
            }
        }

        @Override
        public synchronized Key find(String keyId, long now) throws Refused {
            boolean stale = keys == null || !keys.containsKey(keyId) || now >= fetched + maxAge;
            if (stale && (tried == null || now >= tried + retry)) {
                tried = now;
                try {
                    keys = fetch();
                    fetched = now;
                } catch (IOException | GeneralSecurityException | IllegalArgumentException unavailable) {
                    // What is known already stays.
                } catch (InterruptedException interrupted) {
                    Thread.currentThread().interrupt();
                }
            }
            if (keys == null) {
                throw new Refused("keys-unavailable");
            }
            return keys.get(keyId);
        }

        private Map<String, Key> fetch() throws IOException, InterruptedException, GeneralSecurityException {
            HttpClient client = HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(5)).build();
            HttpRequest request = HttpRequest.newBuilder(uri).timeout(Duration.ofSeconds(5)).build();
            HttpResponse<String> answer = client.send(request, HttpResponse.BodyHandlers.ofString());
            if (answer.statusCode() != 200 || !answer.body().contains("\"keys\"")) {
                throw new IOException("no JWK Set");
            }
            Map<String, Key> found = new HashMap<>();
            for (Matcher object = OBJECT.matcher(answer.body()); object.find(); ) {
                Map<String, String> jwk = new HashMap<>();
                for (Matcher member = MEMBER.matcher(object.group()); member.find(); ) {
                    jwk.put(member.group(1), member.group(2));
                }
                Key key = publicKey(jwk);
                if (key != null && jwk.containsKey("kid")) {
                    found.put(jwk.get("kid"), key);
                }
            }
            return found;
        }
    }

    /** The identity fields with their values. `target` is the raw request target, `fields` are pairs of name and value. */
    public Map<String, String> verify(String method, String target, List<String[]> fields, long now) throws Refused {
        Map<String, List<String>> values = new HashMap<>();
        for (String[] field : fields) {
            String value = field[1].replaceAll("^[ \t]+|[ \t]+\\z", "");
            values.computeIfAbsent(field[0].toLowerCase(Locale.ROOT), name -> new ArrayList<>()).add(value);
        }
        String given = joined(values, "signature-input");
        String signed = joined(values, "signature");
        require(given.startsWith("member=") && signed.startsWith("member="), "no-signature");
        List<String> sent = new ArrayList<>();
        Map<String, String> guarded = new HashMap<>(Map.of("signature-input", "signature-input"));
        for (String name : names) {
            guarded.put(folded(bare(name)), bare(name));
            if (!name.endsWith("?") || values.containsKey(bare(name))) {
                sent.add(bare(name));
            }
        }
        for (String name : values.keySet()) {
            require(guarded.getOrDefault(folded(name), name).equals(name), "look-alike-field");
        }
        guarded.put("host", "host");
        for (String name : guarded.values()) {
            boolean once = values.getOrDefault(name, List.of()).size() <= 1 && !joined(values, name).contains(",");
            require(once || name.equals("signature-input"), "duplicated-field");
        }
        Matcher entry = INPUT.matcher(given);
        Matcher match = SIGNATURE.matcher(signed);
        require(entry.lookingAt() && !AGAIN.matcher(given.substring(entry.end())).find(), "malformed-signature");
        require(match.lookingAt() && !AGAIN.matcher(signed.substring(match.end())).find(), "malformed-signature");
        byte[] signature;
        try {
            signature = Base64.getDecoder().decode(match.group(1));
        } catch (IllegalArgumentException malformed) {
            throw new Refused("malformed-signature");
        }
        require(Base64.getEncoder().encodeToString(signature).equals(match.group(1)), "malformed-signature");
        List<String> components = new ArrayList<>(List.of("@method", "@authority", "@path", "@query"));
        components.addAll(sent);
        require(entry.group(2).equals("\"" + String.join("\" \"", components) + "\""), "wrong-components");
        Key key = keys.find(entry.group(6), now);
        require(key != null, "unknown-key");
        require(entry.group(7).equals(key.algorithm()), "wrong-algorithm");
        require(entry.group(8).equals("member-gateway"), "wrong-tag");
        long expires = Long.parseLong(entry.group(4));
        require(Long.parseLong(entry.group(3)) <= now + tolerance, "not-yet-valid");
        require(expires + tolerance > now, "expired");
        String host = joined(values, "host");
        int question = target.indexOf('?') < 0 ? target.length() : target.indexOf('?');
        String query = question == target.length() ? "?" : target.substring(question);
        List<String> lines = new ArrayList<>(List.of(method, host, target.substring(0, question), query));
        Map<String, String> member = new LinkedHashMap<>();
        for (String name : sent) {
            member.put(name, joined(values, name));
        }
        lines.addAll(member.values());
        require(!host.isEmpty() && !member.containsValue(""), "missing-field");
        StringBuilder base = new StringBuilder();
        for (int index = 0; index < lines.size(); index++) {
            require(VISIBLE.matcher(lines.get(index)).matches(), "malformed-value");
            base.append('"').append(components.get(index)).append("\": ").append(lines.get(index)).append('\n');
        }
        require(authority == null || authority.equals(host), "wrong-authority");
        base.append("\"@signature-params\": ").append(entry.group(1));
        try {
            require(key.verifies(base.toString().getBytes(StandardCharsets.US_ASCII), signature), "wrong-signature");
        } catch (GeneralSecurityException missing) {
            throw new IllegalStateException("this Java cannot verify " + key.algorithm(), missing);
        }
        require(nonces == null || nonces.isNew(entry.group(5), expires + tolerance, now), "replayed");
        return member;
    }

    /** Verifies a request of the container; getRequestURI() is raw, getServletPath() and getPathInfo() are decoded. */
    public Map<String, String> verify(HttpServletRequest request, long now) throws Refused {
        List<String[]> fields = new ArrayList<>();
        for (String name : Collections.list(request.getHeaderNames())) {
            for (String value : Collections.list(request.getHeaders(name))) {
                fields.add(new String[] {name, value});
            }
        }
        String query = request.getQueryString();
        return verify(request.getMethod(), request.getRequestURI() + (query == null ? "" : "?" + query), fields, now);
    }

    @Override
    public void doFilter(ServletRequest request, ServletResponse response, FilterChain chain) throws IOException, ServletException {
        HttpServletRequest asked = (HttpServletRequest) request;
        Map<String, String> member;
        try {
            member = verify(asked, System.currentTimeMillis() / 1000);
        } catch (Refused refused) {
            if (!anonymous || !refused.getMessage().equals("no-signature")) {
                HttpServletResponse answer = (HttpServletResponse) response;
                answer.setStatus(401);
                answer.setContentType("text/plain");
                answer.setHeader("Cache-Control", "no-store");
                answer.getWriter().println(refused.getMessage());
                return;
            }
            member = null;
        }
        chain.doFilter(new MemberRequest(asked, member), response);
    }

    /** The request as the app sees it: it knows the member, and hides what others wrote under the names of the fields. */
    private class MemberRequest extends HttpServletRequestWrapper {
        private final Map<String, String> member;

        MemberRequest(HttpServletRequest request, Map<String, String> member) {
            super(request);
            this.member = member;
            request.setAttribute("member", member);
        }

        private boolean isHidden(String name) {
            return member == null && names.stream().anyMatch(ours -> folded(bare(ours)).equals(folded(name)));
        }

        @Override
        public String getRemoteUser() {
            return member == null ? null : member.values().iterator().next();
        }

        @Override
        public String getHeader(String name) {
            return isHidden(name) ? null : super.getHeader(name);
        }

        @Override
        public Enumeration<String> getHeaders(String name) {
            return isHidden(name) ? Collections.emptyEnumeration() : super.getHeaders(name);
        }

        @Override
        public Enumeration<String> getHeaderNames() {
            List<String> shown = Collections.list(super.getHeaderNames());
            shown.removeIf(this::isHidden);
            return Collections.enumeration(shown);
        }
    }

    private static void require(boolean holds, String error) throws Refused {
        if (!holds) {
            throw new Refused(error);
        }
    }

    private static String joined(Map<String, List<String>> values, String name) {
        return String.join(", ", values.getOrDefault(name, List.of()));
    }

    private static String bare(String name) {
        return name.endsWith("?") ? name.substring(0, name.length() - 1) : name;
    }

    /** A name as CGI and its heirs read it: X_Member.Id is X-Member-Id to them. */
    private static String folded(String name) {
        return name.toLowerCase(Locale.ROOT).replaceAll("[^a-z0-9]", "-");
    }
}
