package lambdaemu

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
)

// FunctionsAPI answers Lambda's GetFunctionConfiguration with the variables of the functions, by name. They hold no
// secret: the functions read those from elsewhere.
type FunctionsAPI struct {
	Variables map[string]map[string]string
}

// Serves reports whether the request is for this API.
func (FunctionsAPI) Serves(r *http.Request) bool {
	_, ok := configuredFunction(r)
	return ok
}

// configuredFunction returns the function's name in the path of GetFunctionConfiguration.
func configuredFunction(r *http.Request) (name string, ok bool) {
	name, ok = strings.CutPrefix(r.URL.EscapedPath(), functionsPath)
	if !ok || r.Method != http.MethodGet {
		return "", false
	}
	return strings.CutSuffix(name, "/configuration")
}

// ServeHTTP implements http.Handler. A page in a browser is refused, as for invocations.
func (a FunctionsAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !IsProgram(r) {
		http.Error(w, `{"message":"only a program on this machine may read the configuration"}`, http.StatusForbidden)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	name, _ := configuredFunction(r)
	variables, known := a.Variables[name]
	if !known {
		w.Header().Set("X-Amzn-Errortype", "ResourceNotFoundException")
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"Type":"User","Message":"Function not found"}`)
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"FunctionName": name, "Environment": map[string]any{"Variables": variables}})
}
