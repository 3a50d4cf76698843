// The vectors before the verifier in Go: Verify itself, and the middleware.
package membergateway

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

type found struct {
	Member map[string]string `json:",omitempty"`
	Error  string            `json:",omitempty"`
}

type vector struct {
	Name, Method, Target string
	Fields               []Field
	Verifier             struct {
		Keys, Fields, Nonces []string
		Authority            string
	}
	Now        int64
	Expected   found
	Remembered []string
}

type file struct {
	Keys map[string]struct {
		ID, Algorithm, Secret string
		JWK                   JWK
	}
	Vectors []vector
}

func load(t *testing.T) (file, map[string]Key) {
	var loaded file
	text, err := os.ReadFile(os.Getenv("VECTORS"))
	if err == nil {
		err = json.Unmarshal(text, &loaded)
	}
	keys := map[string]Key{}
	for label, described := range loaded.Keys {
		key, keyErr := HMACKey(described.Secret)
		if described.Secret == "" {
			key, keyErr = PublicKey(described.JWK)
		}
		if keyErr != nil {
			err = keyErr
		}
		keys[label] = key
	}
	if err != nil || len(loaded.Vectors) == 0 {
		t.Fatal("the vectors: ", err)
	}
	return loaded, keys
}

// latin1 are the bytes that a text stands for: each character is one.
func latin1(text string) string {
	bytes := []byte{}
	for _, character := range text {
		bytes = append(bytes, byte(character))
	}
	return string(bytes)
}

func named(member map[string]string, err error) found {
	if err != nil {
		return found{Error: err.Error()}
	}
	return found{Member: member}
}

func TestEveryVectorIsJudgedAsItMustBe(t *testing.T) {
	loaded, known := load(t)
	for _, vector := range loaded.Vectors {
		keys := Keys{}
		for _, label := range vector.Verifier.Keys {
			keys[loaded.Keys[label].ID] = known[label]
		}
		verifier := Verifier{Keys: keys, Fields: vector.Verifier.Fields, Authority: vector.Verifier.Authority}
		memory := &Nonces{}
		if vector.Verifier.Nonces != nil {
			verifier.Nonces = memory.Remember
			for _, nonce := range vector.Verifier.Nonces {
				memory.Remember(nonce, vector.Now+60, vector.Now)
			}
		}
		fields := []Field{}
		for _, field := range vector.Fields {
			fields = append(fields, Field{field[0], latin1(field[1])})
		}
		now := time.Unix(vector.Now, 0)
		if got := named(verifier.Verify(vector.Method, latin1(vector.Target), fields, now)); !reflect.DeepEqual(got, vector.Expected) {
			t.Errorf("%s: %v", vector.Name, got)
		}
		remembered := []string{}
		for nonce := range memory.seen {
			remembered = append(remembered, nonce)
		}
		slices.Sort(remembered)
		slices.Sort(vector.Remembered)
		if !slices.Equal(remembered, vector.Remembered) {
			t.Errorf("%s: remembers %v", vector.Name, remembered)
		}

		// net/http answers two Host fields itself, and gives Host apart from the others.
		request := &http.Request{Method: vector.Method, RequestURI: latin1(vector.Target), Header: http.Header{}}
		hosts := 0
		for _, field := range fields {
			if strings.EqualFold(field[0], "host") {
				hosts++
				request.Host = field[1]
			} else {
				request.Header.Add(field[0], field[1])
			}
		}
		verifier.Nonces = nil
		if vector.Expected.Error == "replayed" || hosts > 1 {
			continue
		}
		if got := named(verifier.VerifyRequest(request, now)); !reflect.DeepEqual(got, vector.Expected) {
			t.Errorf("a request: %s: %v", vector.Name, got)
		}
	}
}

func TestTheAnonymousPassWithoutTheFieldsTheyWrote(t *testing.T) {
	loaded, _ := load(t)
	verifier := &Verifier{Keys: Keys{}, Anonymous: true}
	app := verifier.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if MemberOf(r) != nil || len(r.Header) != 1 || r.Header.Get("Accept") == "" {
			t.Errorf("passes %v with %v", r.Header, MemberOf(r))
		}
	}))
	request := httptest.NewRequest("GET", "/", nil)
	request.Header = http.Header{"X-Member-Id": {"1"}, "X_member_id": {"2"}, "Accept": {"*/*"}}
	app.ServeHTTP(httptest.NewRecorder(), request)

	delete(request.Header, "X_member_id")
	for _, field := range loaded.Vectors[0].Fields[1:] {
		request.Header.Set(field[0], field[1])
	}
	answer := httptest.NewRecorder()
	app.ServeHTTP(answer, request)
	body, _ := io.ReadAll(answer.Body)
	if answer.Code != 401 || string(body) != "unknown-key\n" {
		t.Errorf("an unknown key is answered %d %s", answer.Code, body)
	}
}

func TestTheKeysOfASiteAreFetchedOnceAndNowAndThen(t *testing.T) {
	keys, err := NewJWKSet(os.Getenv("JWK_SET"))
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		seconds  int64
		keyID    string
		expected bool
	}{{0, "2026-11.ed", true}, {1, "2026-12.p256", true}, {59, "?", false}, {60, "?", false},
		{61, "2026-11.ed", true}, {3659, "2026-11.p256", true}, {3660, "2026-11.ed", true}} {
		if _, err := keys.Find(step.keyID, time.Unix(1_795_300_000+step.seconds, 0)); (err == nil) != step.expected {
			t.Errorf("%s after %d s: %v", step.keyID, step.seconds, err)
		}
	}
	nowhere, _ := NewJWKSet("http://127.0.0.1:1/")
	if _, err := nowhere.Find("?", time.Now()); err != Refused("keys-unavailable") {
		t.Errorf("without a server: %v", err)
	}
}
