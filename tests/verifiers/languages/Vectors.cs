// The vectors before the verifier in C#: those of hmac-sha256, for Mono verifies no others.
using System;
using System.Collections;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Web.Script.Serialization;

public static class Vectors
{
    public static int Main()
    {
        var reader = new JavaScriptSerializer { MaxJsonLength = int.MaxValue };
        var file = reader.Deserialize<Dictionary<string, object>>(File.ReadAllText("tests/data/signature-vectors.json"));
        var known = (Dictionary<string, object>)file["keys"];
        var mistakes = new List<string>();
        var count = 0;
        foreach (Dictionary<string, object> vector in (IEnumerable)file["vectors"])
        {
            var own = (Dictionary<string, object>)vector["verifier"];
            var labels = Texts(own["keys"]);
            var keys = new Dictionary<string, MemberKey>();
            foreach (var key in labels.Select(label => (Dictionary<string, object>)known[label]))
            {
                // A public key that takes whatever it is shown: the checks before it are the same for every algorithm.
                keys[(string)key["id"]] = key.ContainsKey("secret")
                    ? MemberKey.Hmac((string)key["secret"])
                    : MemberKey.Public((string)key["algorithm"], (text, signature) => true);
            }
            var expected = (Dictionary<string, object>)vector["expected"];
            var isHmac = ((string)vector["name"]).StartsWith("hmac-sha256", StringComparison.Ordinal);
            if (!isHmac && (expected.ContainsKey("member") || (string)expected["error"] == "wrong-signature")) continue;
            count++;
            var gateway = new MemberGateway(keys) { Authority = own.ContainsKey("authority") ? (string)own["authority"] : null };
            if (own.ContainsKey("fields")) gateway.Names = Texts(own["fields"]);
            var now = (long)(int)vector["now"];
            var remembered = new List<string>();
            if (own.ContainsKey("nonces"))
            {
                var memory = new MemberNonces();
                gateway.Nonces = (nonce, until, at) =>
                {
                    if (!memory.IsNew(nonce, until, at)) return false;
                    remembered.Add(nonce);
                    return true;
                };
                foreach (var nonce in Texts(own["nonces"])) gateway.Nonces(nonce, now + 60, now);
            }
            var fields = ((IEnumerable)vector["fields"]).Cast<object>().Select(Texts).Select(pair => new KeyValuePair<string, string>(pair[0], pair[1]));
            string found;
            try
            {
                found = Shown(gateway.Verify((string)vector["method"], (string)vector["target"], fields, now).ToDictionary(pair => pair.Key, pair => (object)pair.Value));
            }
            catch (MemberRefused refused)
            {
                found = refused.Message;
            }
            var must = expected.ContainsKey("member") ? Shown((Dictionary<string, object>)expected["member"]) : (string)expected["error"];
            var kept = vector.ContainsKey("remembered") ? Texts(vector["remembered"]) : new List<string>();
            if (found != must || !remembered.SequenceEqual(kept)) mistakes.Add(vector["name"] + ": " + found + ", " + string.Join(" ", remembered));
        }
        try
        {
            new MemberGateway(new Dictionary<string, MemberKey>()).Verify("GET", null, new KeyValuePair<string, string>[0]);
            mistakes.Add("no target");
        }
        catch (ArgumentNullException error)
        {
            if (!error.Message.StartsWith("no-raw-target: ", StringComparison.Ordinal)) mistakes.Add(error.Message);
        }
        Console.WriteLine(mistakes.Count == 0 ? count + " vectors" : string.Join("\n", mistakes));
        return mistakes.Count == 0 ? 0 : 1;
    }

    private static List<string> Texts(object list)
    {
        return ((IEnumerable)list).Cast<string>().ToList();
    }

    private static string Shown(Dictionary<string, object> member)
    {
        return string.Join(", ", member.OrderBy(pair => pair.Key, StringComparer.Ordinal).Select(pair => pair.Key + "=" + pair.Value));
    }
}
