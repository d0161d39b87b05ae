package licenseapitest

import "slices"

// The acts of a Write.
const (
	ActDeactivateLicense = "deactivate_license" // License API
	ActDeactivateBundle  = "deactivate_bundle"  // License API
	ActDisable           = "disable"            // Management API, as those below
	ActEnable            = "enable"
	ActResetDevice       = "reset_device"
)

// Write is one call that was to change a license, with any answer. A call that was refused before a license was found
// (a wrong key, a limit, an unknown license) is not a Write.
type Write struct {
	Act     string
	License int64  // the row's id
	Device  string // hardware id; "" where the act has none
	Code    string // why nothing changed: the License API's code, or http_<status>; "": the license was changed
}

// KeepLedger makes the server keep every write for Ledger. Without this option it keeps none, since a fake that runs
// for days must not grow.
func KeepLedger() Option { return func(s *Server) { s.ledger = &ledger{} } }

// Ledger returns the writes so far, of both APIs, in their order.
func (s *Server) Ledger() []Write {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ledger == nil {
		return nil
	}
	return slices.Clone(s.ledger.writes)
}

// ledger is guarded by Server.mu.
type ledger struct{ writes []Write }

func (l *ledger) note(act string, license int64, device, code string) {
	if l != nil {
		l.writes = append(l.writes, Write{Act: act, License: license, Device: device, Code: code})
	}
}
