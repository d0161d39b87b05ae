package console

import (
	"crypto/subtle"
	"log"
	"log/slog"
	"net/http"
	"path"
	"slices"
	"strings"
)

const (
	// tokenHeader carries the token. A page of another origin cannot set it without a question to this server, which the
	// server does not answer.
	tokenHeader = "X-Console-Token"

	// maxFormBytes bounds a form: a plan with the fields of some dozen requests.
	maxFormBytes = 64 << 10

	// viewPrefix is the beginning of every path with content. All others are the same for everybody.
	viewPrefix = "/view/"

	policy = "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; object-src 'none'"
)

// guard decides which requests reach the pages.
type guard struct {
	hosts []string
	token string
	next  http.Handler
}

// handler checks, in this order: that the request names this server (a name that an attacker's DNS turns to this machine is
// refused), that its path is clean, its method, that no page of another origin sent it, and the token.
func (g guard) handler() http.Handler {
	crossOrigin := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		setHeaders(w.Header())
		isView := strings.HasPrefix(r.URL.Path, viewPrefix)
		switch {
		case !slices.Contains(g.hosts, strings.ToLower(r.Host)):
			http.Error(w, "this server is not reached by that name", http.StatusForbidden)
		case !isClean(r):
			http.Error(w, "there is no such page", http.StatusNotFound)
		case r.Method != http.MethodGet && r.Method != http.MethodHead && r.Method != http.MethodPost:
			w.Header().Set("Allow", "GET, HEAD, POST")
			http.Error(w, "the method is not allowed", http.StatusMethodNotAllowed)
		case crossOrigin.Check(r) != nil || isView && isForeign(r):
			http.Error(w, "another page sent this request", http.StatusForbidden)
		case (isView || r.Method == http.MethodPost) && !g.knows(r.Header.Get(tokenHeader)):
			http.Error(w, "the token is missing or is another one: open the address that licensectl printed", http.StatusUnauthorized)
		default:
			r.Body = http.MaxBytesReader(w, r.Body, maxFormBytes)
			g.next.ServeHTTP(w, r)
		}
	})
}

// knows compares a token in constant time.
func (g guard) knows(token string) bool {
	return subtle.ConstantTimeCompare([]byte(token), []byte(g.token)) == 1
}

// isClean reports whether the path is its own shortest form. Any other one is refused instead of being redirected or read in
// another way: /view/../static, //host, %2e%2e and a backslash.
func isClean(r *http.Request) bool {
	p := r.URL.Path
	return r.URL.RawPath == "" && r.URL.Opaque == "" && strings.HasPrefix(p, "/") && path.Clean(p) == p && !strings.ContainsAny(p, "\\\x00") && r.URL.Host == ""
}

// isForeign reports whether a browser says that a page of another origin asks. Only a script of another page asks for a view:
// a person opens the page itself.
func isForeign(r *http.Request) bool {
	site := r.Header.Get("Sec-Fetch-Site")
	origin := r.Header.Get("Origin")
	return site != "" && site != "same-origin" && site != "none" || origin != "" && origin != "http://"+r.Host
}

func setHeaders(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
}

// discard is the log of the HTTP server: its lines hold texts of clients, and nobody reads them.
func discard() *log.Logger { return slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) }
