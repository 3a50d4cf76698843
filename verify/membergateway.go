// Package membergateway verifies who member-gateway says is asking (RFC 9421, label "member"). Go 1.22 or later, nothing
// but the standard library; copy this file.
//
//	key, err := membergateway.HMACKey("…base64url, the key in gateway.toml…")
//	keys := membergateway.Keys{"2026-11": key}                                            // ids and keys of [identity.signature]
//	keys, err := membergateway.NewJWKSet("https://members.example.org/_gateway/keys")     // or ed25519 and ecdsa
//
//	verifier := &membergateway.Verifier{Keys: keys, Authority: "members.example.org"}
//	http.ListenAndServe("127.0.0.1:3000", verifier.Middleware(app))
//
// In a handler membergateway.MemberOf(r) is a map such as {"x-member-id": "400007995-00", …}. Everybody else gets 401,
// unless Anonymous is set: then whoever carries no signature passes with nil, without the identity fields. Errors are of
// type Refused, the name of the error.
package membergateway

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Fields are the identity fields an app reads that says nothing else, in the order in which the gateway sends them.
// "name?" need not be sent.
var Fields = []string{"x-member-id", "x-member-unit-id", "x-member-provider"}

const text = `"([ !#-\[\]-~]*)"`

var (
	inputPattern = regexp.MustCompile(`\Amember=(\(([^()]*)\);created=([0-9]{1,15});expires=([0-9]{1,15});nonce=` + text +
		`;keyid=` + text + `;alg=` + text + `;tag=` + text + `)[ \t]*(,|\z)`)
	signaturePattern = regexp.MustCompile(`\Amember=:([A-Za-z0-9+/]+={0,2}):[ \t]*(,|\z)`)
	again            = regexp.MustCompile(`,[ \t]*member([^a-z0-9_.*-]|\z)`) // a second entry under our label
	visible          = regexp.MustCompile(`\A[ -~]*\z`)
)

// Refused is the name of an error, for your log: nobody is signed in as far as this request goes.
type Refused string

func (r Refused) Error() string { return string(r) }

// A Key is for one algorithm, which no message can choose.
type Key struct {
	algorithm string
	verifies  func(base, signature []byte) bool
}

// HMACKey is the secret that app and gateway share.
func HMACKey(encoded string) (Key, error) {
	secret, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil || len(secret) < 32 {
		return Key{}, errors.New("an hmac-sha256 key is at least 32 bytes, base64url")
	}
	return Key{"hmac-sha256", func(base, signature []byte) bool {
		mac := hmac.New(sha256.New, secret)
		mac.Write(base)
		return hmac.Equal(mac.Sum(nil), signature)
	}}, nil
}

// A JWK is a public key as /_gateway/keys has it (RFC 7517).
type JWK struct{ Kty, Crv, Kid, X, Y string }

// PublicKey is the ed25519 or P-256 key in a JWK.
func PublicKey(jwk JWK) (Key, error) {
	x, errX := base64.RawURLEncoding.DecodeString(jwk.X)
	y, errY := base64.RawURLEncoding.DecodeString(jwk.Y)
	switch {
	case errX != nil || errY != nil || len(x) != 32:
	case jwk.Kty == "OKP" && jwk.Crv == "Ed25519":
		return Key{"ed25519", func(base, signature []byte) bool { return ed25519.Verify(x, base, signature) }}, nil
	case jwk.Kty == "EC" && jwk.Crv == "P-256" && len(y) == 32:
		key := &ecdsa.PublicKey{Curve: elliptic.P256(), X: new(big.Int).SetBytes(x), Y: new(big.Int).SetBytes(y)}
		if _, err := key.ECDH(); err != nil { // not on the curve
			break
		}
		return Key{"ecdsa-p256-sha256", func(base, signature []byte) bool {
			if len(signature) != 64 {
				return false
			}
			hash := sha256.Sum256(base)
			r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
			return ecdsa.Verify(key, hash[:], r, s)
		}}, nil
	}
	return Key{}, errors.New("neither an Ed25519 nor a P-256 key")
}

// A KeySource finds keys by their ids.
type KeySource interface {
	Find(keyID string, now time.Time) (Key, error)
}

// Keys maps ids to keys.
type Keys map[string]Key

// Find finds a key.
func (k Keys) Find(keyID string, _ time.Time) (Key, error) {
	key, found := k[keyID]
	if !found {
		return key, Refused("unknown-key")
	}
	return key, nil
}

// JWKSet holds the public keys of a site, fetched when they are needed, again after MaxAge, and at most once in Retry.
type JWKSet struct {
	MaxAge, Retry  time.Duration
	url            string
	lock           sync.Mutex
	keys           Keys
	fetched, tried time.Time
}

// NewJWKSet fetches nothing yet.
func NewJWKSet(address string) (*JWKSet, error) {
	parsed, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	host := parsed.Hostname()
	if parsed.Scheme != "https" && host != "localhost" && host != "127.0.0.1" && host != "::1" {
		return nil, errors.New("keys come over https, or nobody knows whose they are")
	}
	return &JWKSet{MaxAge: time.Hour, Retry: time.Minute, url: address}, nil
}

// Find finds a key, and fetches the set first where that may help.
func (s *JWKSet) Find(keyID string, now time.Time) (Key, error) {
	s.lock.Lock()
	defer s.lock.Unlock()
	_, found := s.keys[keyID]
	if (!found || !now.Before(s.fetched.Add(s.MaxAge))) && (s.tried.IsZero() || !now.Before(s.tried.Add(s.Retry))) {
		s.tried = now
		if keys, err := s.fetch(); err == nil { // what is known already stays otherwise
			s.keys, s.fetched = keys, now
		}
	}
	if s.keys == nil {
		return Key{}, Refused("keys-unavailable")
	}
	return s.keys.Find(keyID, now)
}

func (s *JWKSet) fetch() (Keys, error) {
	client := http.Client{Timeout: 5 * time.Second}
	answer, err := client.Get(s.url)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, errors.New(answer.Status)
	}
	var set struct{ Keys []JWK }
	if err := json.NewDecoder(http.MaxBytesReader(nil, answer.Body, 1<<16)).Decode(&set); err != nil {
		return nil, err
	}
	keys := Keys{}
	for _, jwk := range set.Keys {
		if key, err := PublicKey(jwk); err == nil {
			keys[jwk.Kid] = key
		}
	}
	return keys, nil
}

// Nonces remembers the nonces of this process, so that no request is taken twice. Several processes need a common store,
// such as SET NX EXAT in Redis, behind a function like Remember.
type Nonces struct {
	lock sync.Mutex
	seen map[string]int64
}

// Remember says whether a nonce is new.
func (n *Nonces) Remember(nonce string, until, now int64) bool {
	n.lock.Lock()
	defer n.lock.Unlock()
	if n.seen == nil {
		n.seen = map[string]int64{}
	}
	for known, ends := range n.seen {
		if ends <= now {
			delete(n.seen, known)
		}
	}
	_, found := n.seen[nonce]
	if !found {
		n.seen[nonce] = until
	}
	return !found
}

// A Verifier is what an app relies on.
type Verifier struct {
	Keys KeySource
	// Fields are the identity fields, Fields of this package where there are none.
	Fields []string
	// Authority is the Host of this app: needed where one key signs for several sites.
	Authority string
	// Nonces says whether a nonce is new: (&Nonces{}).Remember, or a function of your own.
	Nonces func(nonce string, until, now int64) bool
	// Tolerance is how far the clocks of gateway and app may differ; 5 s where it is zero.
	Tolerance time.Duration
	// Anonymous lets requests pass that carry no signature.
	Anonymous bool
}

// A Field is a name and a value.
type Field [2]string

// Verify gives the identity fields with their values, or Refused. The target is the raw request target.
func (v *Verifier) Verify(method, target string, fields []Field, now time.Time) (map[string]string, error) {
	values := map[string][]string{}
	for _, field := range fields {
		name := strings.ToLower(field[0])
		values[name] = append(values[name], strings.Trim(field[1], " \t"))
	}
	joined := func(name string) string { return strings.Join(values[name], ", ") }
	given, signed := joined("signature-input"), joined("signature")
	if !strings.HasPrefix(given, "member=") || !strings.HasPrefix(signed, "member=") {
		return nil, Refused("no-signature")
	}
	known, sent := v.names(), []string{}
	guarded := map[string]string{"signature-input": "signature-input"}
	for _, name := range known {
		bare := strings.TrimSuffix(name, "?")
		guarded[folded(bare)] = bare
		if _, there := values[bare]; there || bare == name {
			sent = append(sent, bare)
		}
	}
	for name := range values {
		if ours, found := guarded[folded(name)]; found && ours != name {
			return nil, Refused("look-alike-field")
		}
	}
	for _, name := range append([]string{"host"}, known...) {
		lines := values[strings.TrimSuffix(name, "?")]
		if len(lines) > 1 || len(lines) == 1 && strings.Contains(lines[0], ",") {
			return nil, Refused("duplicated-field")
		}
	}
	entry, match := inputPattern.FindStringSubmatch(given), signaturePattern.FindStringSubmatch(signed)
	if entry == nil || match == nil || again.MatchString(given[len("member=")+len(entry[1]):]) ||
		again.MatchString(signed[len("member=::")+len(match[1]):]) {
		return nil, Refused("malformed-signature")
	}
	parameters, covered, nonce, keyID, alg, tag := entry[1], entry[2], entry[5], entry[6], entry[7], entry[8]
	signature, err := base64.StdEncoding.Strict().DecodeString(match[1])
	if err != nil {
		return nil, Refused("malformed-signature")
	}
	components := append([]string{"@method", "@authority", "@path", "@query"}, sent...)
	if covered != `"`+strings.Join(components, `" "`)+`"` {
		return nil, Refused("wrong-components")
	}
	key, err := v.Keys.Find(keyID, now)
	if err != nil {
		return nil, err
	}
	if alg != key.algorithm {
		return nil, Refused("wrong-algorithm")
	}
	if tag != "member-gateway" {
		return nil, Refused("wrong-tag")
	}
	created, _ := strconv.ParseInt(entry[3], 10, 64) // 15 digits at most, which are always a number
	expires, _ := strconv.ParseInt(entry[4], 10, 64)
	tolerance := int64(5)
	if v.Tolerance != 0 {
		tolerance = int64(v.Tolerance / time.Second)
	}
	if created > now.Unix()+tolerance {
		return nil, Refused("not-yet-valid")
	}
	if expires+tolerance <= now.Unix() {
		return nil, Refused("expired")
	}
	path, query, _ := strings.Cut(target, "?")
	lines := []string{method, joined("host"), path, "?" + query}
	for _, name := range sent {
		lines = append(lines, joined(name))
	}
	for index, line := range lines {
		if (index == 1 || index > 3) && line == "" {
			return nil, Refused("missing-field")
		}
	}
	var base strings.Builder
	for index, line := range lines {
		if !visible.MatchString(line) {
			return nil, Refused("malformed-value")
		}
		fmt.Fprintf(&base, "\"%s\": %s\n", components[index], line)
	}
	if v.Authority != "" && lines[1] != v.Authority {
		return nil, Refused("wrong-authority")
	}
	fmt.Fprintf(&base, "\"@signature-params\": %s", parameters)
	if !key.verifies([]byte(base.String()), signature) {
		return nil, Refused("wrong-signature")
	}
	if v.Nonces != nil && !v.Nonces(nonce, expires+tolerance, now.Unix()) {
		return nil, Refused("replayed")
	}
	member := map[string]string{}
	for index, name := range sent {
		member[name] = lines[index+4]
	}
	return member, nil
}

func (v *Verifier) names() []string {
	if v.Fields == nil {
		return Fields
	}
	return v.Fields
}

// VerifyRequest verifies a request of net/http, which keeps the raw target in RequestURI and Host outside of Header.
func (v *Verifier) VerifyRequest(r *http.Request, now time.Time) (map[string]string, error) {
	fields := []Field{{"Host", r.Host}}
	for name, lines := range r.Header {
		for _, line := range lines {
			fields = append(fields, Field{name, line})
		}
	}
	return v.Verify(r.Method, r.RequestURI, fields, now)
}

type memberKey struct{}

// MemberOf is the member of a request behind Middleware, nil for the anonymous.
func MemberOf(r *http.Request) map[string]string {
	member, _ := r.Context().Value(memberKey{}).(map[string]string)
	return member
}

// Middleware answers 401 to whoever does not prove who they are.
func (v *Verifier) Middleware(app http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		member, err := v.VerifyRequest(r, time.Now())
		if err != nil && !(v.Anonymous && err == Refused("no-signature")) {
			w.Header().Set("Cache-Control", "no-store")
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		r = r.WithContext(context.WithValue(r.Context(), memberKey{}, member))
		if member == nil {
			r.Header = r.Header.Clone()
			for _, name := range v.names() {
				for field := range r.Header {
					if folded(field) == folded(strings.TrimSuffix(name, "?")) {
						delete(r.Header, field)
					}
				}
			}
		}
		app.ServeHTTP(w, r)
	})
}

// folded is a name as CGI and its heirs read it: X_Member.Id is X-Member-Id to them.
func folded(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z' || '0' <= r && r <= '9':
			return r
		case 'A' <= r && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '-'
	}, name)
}
