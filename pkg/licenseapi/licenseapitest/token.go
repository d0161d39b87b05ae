package licenseapitest

import (
	"crypto/rand"
	"encoding/json"
	"mime"
	"net/http"
	"strings"
	"time"
)

// TokenPath is the path of the token endpoint, outside the API's path, as in the real service.
//
// Source: https://docs.licensespring.com/license-api/license-api-authorization/oauth-authorization
const TokenPath = "/realms/user-portal/protocol/openid-connect/token" //nolint:gosec // a path, not a token

// tokenLife is how long a token is valid, unless TokenLife changes it: the value in the documentation's sample.
const tokenLife = 480 * time.Second

// oauthURLPath is where clients ask for the token endpoint's address, without authorization, as the vendor's Python SDK
// does.
const oauthURLPath = Base + "/oauth_url"

const grantClientCredentials = "client_credentials"

// TokenURL returns the address of the token endpoint for an API's address, which is Start's or ends with Base.
func TokenURL(api string) string { return strings.TrimSuffix(api, Base) + TokenPath }

// TokenLife changes how long a token is valid, in whole seconds; without it 480 s.
func TokenLife(life time.Duration) Option { return func(s *Server) { s.tokenLife = life } }

// RotateClient replaces a client's secret, as Rotate does a shared key: the old one gets no more tokens
// (unauthorized_client). Issued tokens stay valid until they expire. An empty secret removes the client.
func (s *Server) RotateClient(id, secret string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if secret == "" {
		delete(s.clients, id)
		return
	}
	if s.clients == nil {
		s.clients = map[string]string{}
	}
	s.clients[id] = secret
}

// serveOAuthURL answers with the address of the token endpoint on this server.
func (s *Server) serveOAuthURL(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet {
		w.Header().Set("Allow", http.MethodGet)
		s.write(w, refuse("method_not_allowed"))
		return
	}
	switch r.URL.Query().Get("login_type") {
	case grantClientCredentials:
	case "":
		s.write(w, refuse("missing_parameters"))
		return
	default:
		s.write(w, refuse("validation_error"))
		return
	}
	scheme := "http://"
	if r.TLS != nil {
		scheme = "https://"
	}
	body, err := json.Marshal(map[string]string{"url": scheme + r.Host + TokenPath})
	if err != nil {
		body = nil // a text is always JSON
	}
	s.write(w, reply{status: http.StatusOK, name: "oauth_url", body: string(body), kind: jsonText})
}

// serveToken issues a token to a known client. It reads only the fields of the form, as the documentation sends them.
// Its errors have OAuth's form and not the API's.
func (s *Server) serveToken(w http.ResponseWriter, r *http.Request) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" {
		s.write(w, refuseToken(http.StatusUnsupportedMediaType, "unsupported_media_type"))
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBodyBytes)
	if err := r.ParseForm(); err != nil {
		s.write(w, refuseToken(http.StatusBadRequest, "invalid_request"))
		return
	}
	s.write(w, s.issue(r.PostForm.Get("grant_type"), r.PostForm.Get("client_id"), r.PostForm.Get("client_secret")))
}

func (s *Server) issue(grant, id, secret string) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	known, ok := s.clients[id]
	switch {
	case grant == "":
		return refuseToken(http.StatusBadRequest, "invalid_request")
	case grant != grantClientCredentials:
		return refuseToken(http.StatusBadRequest, "unsupported_grant_type")
	case !ok:
		return refuseToken(http.StatusUnauthorized, "invalid_client")
	case known != secret:
		return refuseToken(http.StatusUnauthorized, "unauthorized_client")
	}
	token := rand.Text()
	s.tokens[token] = s.now().Add(s.tokenLife)
	s.counts.Tokens++
	body, err := json.Marshal(map[string]any{
		"access_token": token, "expires_in": int(s.tokenLife / time.Second), "refresh_expires_in": 0,
		"token_type": "Bearer", "not-before-policy": 0, "scope": "profile email",
	})
	if err != nil {
		return refuseToken(http.StatusInternalServerError, "server_error") // texts and numbers are always JSON
	}
	return reply{status: http.StatusOK, name: "token", body: string(body), kind: jsonText}
}

func refuseToken(status int, code string) reply {
	body, err := json.Marshal(map[string]string{"error": code, "error_description": "refused: " + code})
	if err != nil {
		body = nil // texts are always JSON
	}
	return reply{status: status, name: code, body: string(body), kind: jsonText}
}

// authorizeToken checks a bearer token and the date, which is also required with a token. s.mu is held.
func (s *Server) authorizeToken(token, date string) (code string) {
	expires, known := s.tokens[token]
	switch {
	case !known:
		return "oauth_token_malformed"
	case !s.now().Before(expires):
		return "oauth_token_expired"
	case !fresh(date, s.now()):
		return "date_header_diff"
	}
	return ""
}
