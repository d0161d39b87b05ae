package licenseapitest

import (
	"errors"
	"fmt"
	"strings"
)

// State is the fake's initial state: the JSON of a state file.
type State struct {
	APIKeys  map[string]string `json:"api_keys"`          // API key to shared key
	Clients  map[string]string `json:"clients,omitempty"` // OAuth client id to client secret
	Licenses []License         `json:"licenses"`

	ManagementAPIKeys []string `json:"management_api_keys,omitempty"` // each of them is accepted; none: every call is refused
}

// check returns every problem at once. Positions are numbers, since the values are secrets.
func (s State) check() error {
	var problems []error
	bad := func(format string, args ...any) {
		problems = append(problems, fmt.Errorf("licenseapitest: "+format, args...))
	}
	for key, shared := range s.APIKeys {
		if key == "" || shared == "" || strings.TrimSpace(key) != key || strings.TrimSpace(shared) != shared {
			bad("api_keys: a key or shared key is empty or has white space at its ends")
		}
	}
	for id, secret := range s.Clients {
		if id == "" || secret == "" || strings.TrimSpace(id) != id || strings.TrimSpace(secret) != secret {
			bad("clients: an id, or what goes with it, is empty or has white space at its ends")
		}
	}
	for i, key := range s.ManagementAPIKeys {
		if key == "" || strings.TrimSpace(key) != key {
			bad("management_api_keys[%d]: is empty or has white space at its ends", i)
		}
	}
	seen, ids := map[string]int{}, map[int64]int{}
	for i, l := range s.Licenses {
		if first, twice := ids[l.ID]; twice && l.ID != 0 {
			bad("licenses[%d]: the same id as licenses[%d]", i, first)
		}
		ids[l.ID] = i
		if why := l.problem(); why != "" {
			bad("licenses[%d]: %s", i, why)
		}
		for _, name := range l.names() {
			name += fmt.Sprintf("\x00%d\x00%s", l.ID, l.Bundle)
			if first, twice := seen[name]; twice && first != i {
				bad("licenses[%d]: the same product and identity as licenses[%d]; give them different ids", i, first)
			}
			seen[name] = i
		}
	}
	return errors.Join(problems...)
}
