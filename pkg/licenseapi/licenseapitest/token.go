package licenseapitest

import (
	"crypto/rand"
	"encoding/json"
	"mime"
	"net/http"
	"strings"
	"time"
)

// TokenPath is the path of the token endpoint, beside that of the API, as the real one's is.
//
// Source: https://docs.licensespring.com/license-api/license-api-authorization/oauth-authorization
const TokenPath = "/realms/user-portal/protocol/openid-connect/token" //nolint:gosec // a path, not a token

// tokenLife is how long a token is good for, unless TokenLife says otherwise: that of the documentation's sample.
const tokenLife = 480 * time.Second

const grantClientCredentials = "client_credentials"

// TokenURL returns the address of the token endpoint that goes with the API's, which is Start's or ends with Base.
func TokenURL(api string) string { return strings.TrimSuffix(api, Base) + TokenPath }

// TokenLife changes how long a token is good for, in whole seconds; without it 480 s.
func TokenLife(life time.Duration) Option { return func(s *Server) { s.tokenLife = life } }

// RotateClient replaces a client's secret, as Rotate does a shared key: with the old one there are no more tokens
// (unauthorized_client). Those that are out stay good until they expire. An empty secret removes the client.
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

// serveToken gives a token to a client that is known. Only the form's fields are read, as the documentation sends
// them. Its errors have OAuth's form and not the API's.
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

// authorizeToken checks a bearer token and the date, which is wanted with a token too. s.mu is held.
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
