// Verifies who member-gateway says is asking (RFC 9421, label "member"). .NET Framework 4.5, .NET 5, Mono 5 or later, no
// packages; copy this file.
//
//   var keys = new Dictionary<string, MemberKey> { ["2026-11"] = MemberKey.Hmac("…base64url, the key in gateway.toml…") };
//   var gateway = new MemberGateway(keys) { Authority = "members.example.org" };
//
//   // ASP.NET Core, in app.Use:
//   var target = context.Features.Get<IHttpRequestFeature>().RawTarget;
//   var fields = context.Request.Headers.SelectMany(field => field.Value.Select(line => new KeyValuePair<string, string>(field.Key, line)));
//   // ASP.NET on IIS, in an IHttpModule:
//   var target = request.ServerVariables["UNENCODED_URL"];
//   var fields = request.Headers.AllKeys.SelectMany(name => request.Headers.GetValues(name).Select(line => new KeyValuePair<string, string>(name, line)));
//
//   context.Items["member"] = gateway.Verify(method, target, fields);
//
// The member is a dictionary such as { "x-member-id": "400007995-00", … }. Verify throws MemberRefused, whose message is the
// name of the error: answer it with 401. For ed25519 and ecdsa see MemberKey.Public.
using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;

/// <summary>Nobody is signed in as far as this request goes. The message is the name of the error, for your log.</summary>
public class MemberRefused : Exception
{
    public MemberRefused(string name) : base(name) { }
}

/// <summary>A key and the one algorithm it is for.</summary>
public class MemberKey
{
    private readonly Func<byte[], byte[], bool> verifies;

    private MemberKey(string algorithm, Func<byte[], byte[], bool> verifies)
    {
        Algorithm = algorithm;
        this.verifies = verifies;
    }

    public string Algorithm { get; }

    /// <summary>The secret that app and gateway share.</summary>
    public static MemberKey Hmac(string text)
    {
        var secret = Convert.FromBase64String(text.Replace('-', '+').Replace('_', '/') + new string('=', (4 - text.Length % 4) % 4));
        if (secret.Length < 32) throw new ArgumentException("an hmac-sha256 key is at least 32 bytes, base64url");
        return new MemberKey("hmac-sha256", (signatureBase, signature) =>
        {
            using (var hmac = new HMACSHA256(secret)) return Same(hmac.ComputeHash(signatureBase), signature);
        });
    }

    /// <summary>A public key that something else verifies with: the framework has no ed25519, and P-256 since .NET 4.7 only,
    /// as MemberKey.Public("ecdsa-p256-sha256", (text, signature) => ecdsa.VerifyData(text, signature, HashAlgorithmName.SHA256)).
    /// Look the key up at /_gateway/keys when you deploy.</summary>
    public static MemberKey Public(string algorithm, Func<byte[], byte[], bool> verifies)
    {
        return new MemberKey(algorithm, verifies);
    }

    public bool Verifies(byte[] signatureBase, byte[] signature)
    {
        return verifies(signatureBase, signature);
    }

    /// <summary>Whether they are equal, in a time that does not depend on where they differ.</summary>
    private static bool Same(byte[] left, byte[] right)
    {
        var difference = left.Length ^ right.Length;
        for (var at = 0; at < left.Length && at < right.Length; at++) difference |= left[at] ^ right[at];
        return difference == 0;
    }
}

/// <summary>Remembers the nonces of this process, so that no request is taken twice. Several processes need a common store,
/// such as SET NX EXAT in Redis, behind a function like IsNew.</summary>
public class MemberNonces
{
    private readonly Dictionary<string, long> seen = new Dictionary<string, long>();

    public bool IsNew(string nonce, long until, long now)
    {
        lock (seen)
        {
            foreach (var ended in seen.Where(known => known.Value <= now).Select(known => known.Key).ToList()) seen.Remove(ended);
            if (seen.ContainsKey(nonce)) return false;
            seen[nonce] = until;
            return true;
        }
    }
}

/// <summary>What an app relies on.</summary>
public class MemberGateway
{
    private const string Text = "\"([ !#-\\[\\]-~]*)\"";
    private static readonly Regex Input = new Regex(@"\Amember=(\(([^()]*)\);created=([0-9]{1,15});expires=([0-9]{1,15});nonce=" + Text
        + ";keyid=" + Text + ";alg=" + Text + ";tag=" + Text + @")[ \t]*(?=,|\z)");
    private static readonly Regex Signature = new Regex(@"\Amember=:([A-Za-z0-9+/]+={0,2}):[ \t]*(?=,|\z)");
    private static readonly Regex Again = new Regex(@",[ \t]*member(?![a-z0-9_.*-])"); // a second entry under our label

    private readonly IDictionary<string, MemberKey> keys;

    public MemberGateway(IDictionary<string, MemberKey> keys)
    {
        this.keys = keys;
    }

    /// <summary>The identity fields this app reads, in the order in which the gateway sends them; "name?" need not be sent.</summary>
    public IList<string> Names { get; set; } = new[] { "x-member-id", "x-member-unit-id", "x-member-provider" };

    /// <summary>The Host of this app: needed where one key signs for several sites.</summary>
    public string Authority { get; set; }

    /// <summary>Whether a nonce is new, until and now: new MemberNonces().IsNew, or a function of your own.</summary>
    public Func<string, long, long, bool> Nonces { get; set; }

    /// <summary>How many seconds the clocks of gateway and app may differ.</summary>
    public long Tolerance { get; set; } = 5;

    /// <summary>The identity fields with their values. The target is the raw request target; now, where it is given, counts
    /// seconds since 1970.</summary>
    public IDictionary<string, string> Verify(string method, string target, IEnumerable<KeyValuePair<string, string>> fields, long? at = null)
    {
        if (target == null) throw new ArgumentNullException("target", "no-raw-target: the signature is over the path as it stood in the request line");
        var now = at ?? (long)(DateTime.UtcNow - new DateTime(1970, 1, 1, 0, 0, 0, DateTimeKind.Utc)).TotalSeconds;
        var values = new Dictionary<string, List<string>>();
        foreach (var field in fields)
        {
            var name = field.Key.ToLowerInvariant();
            if (!values.ContainsKey(name)) values[name] = new List<string>();
            values[name].Add(field.Value.Trim(' ', '\t'));
        }
        Func<string, string> joined = name => values.ContainsKey(name) ? string.Join(", ", values[name]) : "";
        string given = joined("signature-input"), signed = joined("signature");
        Require(given.StartsWith("member=", StringComparison.Ordinal) && signed.StartsWith("member=", StringComparison.Ordinal), "no-signature");
        var known = Names.Select(Bare).ToList();
        var guarded = known.Concat(new[] { "signature-input" }).ToDictionary(Folded);
        Require(values.Keys.All(name => !guarded.ContainsKey(Folded(name)) || guarded[Folded(name)] == name), "look-alike-field");
        Require(known.Concat(new[] { "host" }).All(name => !values.ContainsKey(name) || values[name].Count == 1 && !joined(name).Contains(",")), "duplicated-field");
        Match entry = Input.Match(given), match = Signature.Match(signed);
        Require(entry.Success && !Again.IsMatch(given.Substring(entry.Length)), "malformed-signature");
        Require(match.Success && !Again.IsMatch(signed.Substring(match.Length)), "malformed-signature");
        var signature = Unbase64(match.Groups[1].Value);
        var sent = Names.Where(name => !name.EndsWith("?", StringComparison.Ordinal) || values.ContainsKey(Bare(name))).Select(Bare).ToList();
        var components = new[] { "@method", "@authority", "@path", "@query" }.Concat(sent).Select(name => "\"" + name + "\"").ToList();
        Require(entry.Groups[2].Value == string.Join(" ", components), "wrong-components");
        MemberKey key;
        Require(keys.TryGetValue(entry.Groups[6].Value, out key), "unknown-key");
        Require(entry.Groups[7].Value == key.Algorithm, "wrong-algorithm");
        Require(entry.Groups[8].Value == "member-gateway", "wrong-tag");
        var expires = long.Parse(entry.Groups[4].Value, CultureInfo.InvariantCulture);
        Require(long.Parse(entry.Groups[3].Value, CultureInfo.InvariantCulture) <= now + Tolerance, "not-yet-valid");
        Require(expires + Tolerance > now, "expired");
        var question = target.IndexOf('?') < 0 ? target.Length : target.IndexOf('?');
        var query = question == target.Length ? "?" : target.Substring(question);
        var lines = new[] { method, joined("host"), target.Substring(0, question), query }.Concat(sent.Select(joined)).ToList();
        Require(lines[1] != "" && lines.Skip(4).All(line => line != ""), "missing-field");
        Require(lines.All(line => line.All(character => character >= ' ' && character <= '~')), "malformed-value");
        Require(Authority == null || lines[1] == Authority, "wrong-authority");
        var text = string.Concat(components.Zip(lines, (component, line) => component + ": " + line + "\n")) + "\"@signature-params\": " + entry.Groups[1].Value;
        Require(key.Verifies(Encoding.ASCII.GetBytes(text), signature), "wrong-signature");
        Require(Nonces == null || Nonces(entry.Groups[5].Value, expires + Tolerance, now), "replayed");
        return sent.ToDictionary(name => name, joined);
    }

    private static void Require(bool holds, string error)
    {
        if (!holds) throw new MemberRefused(error);
    }

    private static byte[] Unbase64(string text)
    {
        try
        {
            var bytes = Convert.FromBase64String(text);
            Require(Convert.ToBase64String(bytes) == text, "malformed-signature");
            return bytes;
        }
        catch (FormatException)
        {
            throw new MemberRefused("malformed-signature");
        }
    }

    private static string Bare(string name)
    {
        return name.TrimEnd('?');
    }

    /// <summary>A name as CGI and its heirs read it: X_Member.Id is X-Member-Id to them.</summary>
    private static string Folded(string name)
    {
        return Regex.Replace(name.ToLowerInvariant(), "[^a-z0-9]", "-");
    }
}
